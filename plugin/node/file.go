// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
)

// maxFile bounds every file that is read, in bytes; the largest is the verifier.
const maxFile = 512 << 20

// A File is one that install writes.
type File struct {
	Path string
	Mode fs.FileMode
	// Data is its content; nil: it is not to be there.
	Data []byte
	// program tells that containerd runs whatever lies in this folder at any
	// moment, so that the file has to appear there whole and alone.
	program bool
	// runtime tells that containerd reads it when it starts.
	runtime bool
	// free tells that others change it in normal use, so that what is there
	// says nothing about who wrote it.
	free bool
}

// onDisk is what there is at a path; nil if there is nothing.
func onDisk(path string) (*File, error) {
	data, err := limit.ReadFile(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &File{Path: path, Mode: info.Mode().Perm(), Data: data}, nil
}

// same tells that f is what there is.
func (f File) same(now *File) bool {
	if now == nil || f.Data == nil {
		return now == nil && f.Data == nil
	}
	return now.Mode == f.Mode && bytes.Equal(now.Data, f.Data)
}

// put makes the disk have f.
func (f File) put() error {
	switch {
	case f.Data == nil:
		return remove(f.Path)
	case f.program:
		return f.rename()
	}
	return durable.WriteFile(f.Path, f.Data, f.Mode)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// rename puts a file in its folder from outside: containerd starts everything
// in it, half a program and one under a passing name as well.
func (f File) rename() error {
	folder := filepath.Dir(f.Path)
	outside := filepath.Dir(folder)
	if err := sameDevice(folder, outside); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(outside, ".plomb-verifier-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(f.Data)
	if err = errors.Join(err, tmp.Chmod(f.Mode), tmp.Sync(), tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	if err := os.Rename(tmp.Name(), f.Path); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return syncFolder(folder)
}

func sameDevice(folder, outside string) error {
	var in, out syscall.Stat_t
	if err := errors.Join(syscall.Stat(folder, &in), syscall.Stat(outside, &out)); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFolder, folder, err)
	}
	if in.Dev != out.Dev {
		return fmt.Errorf("%w: %s is a file system of its own, so that nothing can be renamed into it from %s: "+
			"set bin_dir to a folder below it", ErrFolder, folder, outside)
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// difference is a unified diff from what there is to what is to be.
func difference(now *File, f File) string {
	from, to := "/dev/null", "/dev/null"
	var before, after []byte
	if now != nil {
		from, before = f.Path, now.Data
	}
	if f.Data != nil {
		to, after = f.Path, f.Data
	}
	head := ""
	switch {
	case now == nil:
		head = fmt.Sprintf("new file, mode %04o\n", f.Mode)
	case f.Data == nil:
		head = "removed\n"
	case now.Mode != f.Mode:
		head = fmt.Sprintf("mode %04o → %04o\n", now.Mode, f.Mode)
	}
	if !isText(before) || !isText(after) {
		return fmt.Sprintf("%s--- %s\n+++ %s\nprograms differ: %s → %s\n", head, from, to, sum(before), sum(after))
	}
	if bytes.Equal(before, after) {
		return head
	}
	text := diff.Diff(from, before, to, after)
	// The library begins with a line of its own, for people who run diff.
	if _, rest, ok := bytes.Cut(text, []byte("\n")); ok && bytes.HasPrefix(text, []byte("diff ")) {
		text = rest
	}
	return head + string(text)
}

func isText(data []byte) bool {
	return utf8.Valid(data) && bytes.IndexByte(data, 0) < 0
}

func sum(data []byte) string {
	if data == nil {
		return "none"
	}
	return digest.FromBytes(data).String()
}
