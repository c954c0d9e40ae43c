// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Folder is where entries come from: os.Root's view of a folder, or what a
// filter leaves of it.
type Folder interface {
	// Walk calls fn for the entries below target with paths relative to the
	// folder, as filepath.WalkDir does.
	Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error
	Open(path string) (io.ReadCloser, error)
	// Readlink returns a link's text.
	Readlink(path string) (string, error)
}

// Of reads all entries of a folder.
func Of(ctx context.Context, folder Folder) ([]Entry, error) {
	var entries []Entry
	err := folder.Walk(ctx, "", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if path == "." || path == "" {
			return nil
		}
		if len(entries) == MaxEntries {
			return fmt.Errorf("%w: more than %d entries", ErrEntry, MaxEntries)
		}
		e, err := entry(folder, path, d)
		if err == nil && kindOf(e.Mode) != "" { // a socket is sent by no client
			entries = append(entries, e)
		}
		return err
	})
	return entries, err
}

func entry(folder Folder, path string, d fs.DirEntry) (Entry, error) {
	info, err := d.Info()
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: filepath.ToSlash(path), Mode: info.Mode()}
	switch kindOf(e.Mode) {
	case "l":
		e.Target, err = folder.Readlink(path)
	case "f":
		err = e.read(folder, path)
	}
	return e, err
}

func (e *Entry) read(folder Folder, path string) error {
	f, err := folder.Open(path)
	if err != nil {
		return err
	}
	h := sha256.New()
	e.Size, err = io.Copy(h, f)
	copy(e.SHA256[:], h.Sum(nil))
	return errors.Join(err, f.Close())
}

// Dir is a folder on disk with everything in it.
type Dir string

var _ Folder = Dir("")

// Walk implements Folder.
func (d Dir) Walk(_ context.Context, target string, fn fs.WalkDirFunc) error {
	root := string(d)
	return filepath.WalkDir(filepath.Join(root, target), func(path string, entry fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(root, path)
		return fn(rel, entry, errors.Join(err, relErr))
	})
}

// Open implements Folder.
func (d Dir) Open(path string) (io.ReadCloser, error) { return os.Open(filepath.Join(string(d), path)) }

// Readlink implements Folder.
func (d Dir) Readlink(path string) (string, error) {
	return os.Readlink(filepath.Join(string(d), path))
}

// Unlike lists the paths of entries that recorded does not have as they are:
// changed or added ones, at most max. missing is how many records have no
// counterpart: changed or removed ones. Without marks it knows nothing.
func Unlike(entries []Entry, recorded Summary, max int) (paths []string, missing int) {
	if recorded.Marks == "" || len(recorded.Marks)%markSize != 0 {
		return nil, 0
	}
	left := map[string]int{}
	for i := 0; i < len(recorded.Marks); i += markSize {
		left[recorded.Marks[i:i+markSize]]++
		missing++
	}
	for _, e := range entries {
		record, err := e.record()
		if err != nil {
			continue
		}
		if m := mark(record); left[m] > 0 {
			left[m]--
			missing--
		} else if len(paths) < max {
			paths = append(paths, strings.ToValidUTF8(e.Path, "?"))
		}
	}
	return paths, missing
}
