// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/sbom"
)

// A tree is an image's root filesystem, reached through os.Root only.
type tree struct {
	root   *os.Root
	system func() (*sbom.System, bool)
	once   sync.Map // by key, func() any
}

var _ ecosystem.Tree = (*tree)(nil)

var errSpecial = errors.New("neither a file nor a folder")

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root}
	t.system = sync.OnceValues(t.readSystem)
	return t, nil
}

func (t *tree) close() { t.root.Close() }

// Open opens a regular file or a folder.
func (t *tree) Open(name string) (fs.File, error) {
	f, _, err := t.open(name)
	if err != nil {
		return nil, err // not f: a nil *os.File in an fs.File is not nil
	}
	return f, nil
}

// open looks before it opens, because to open a device is to use it, and once
// more after it, because only then it is sure to be the same file. O_NONBLOCK
// keeps a pipe that came between from waiting for its writer.
func (t *tree) open(name string) (*os.File, fs.FileInfo, error) {
	p, info, err := t.find(name)
	if err != nil {
		return nil, nil, err
	}
	if !readable(info) {
		return nil, nil, &fs.PathError{Op: "open", Path: name, Err: errSpecial}
	}
	f, err := t.root.OpenFile(p, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err = f.Stat()
	if err == nil && !readable(info) {
		err = &fs.PathError{Op: "open", Path: name, Err: errSpecial}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func readable(info fs.FileInfo) bool { return info.Mode().IsRegular() || info.IsDir() }

// Stat follows links within the tree.
func (t *tree) Stat(name string) (fs.FileInfo, error) {
	_, info, err := t.find(name)
	return info, err
}

// Resolve returns where the file is after all links.
func (t *tree) Resolve(name string) (string, error) {
	resolved, _, err := t.linked(name)
	return path.Clean(resolved), err
}

// Once returns what make returned the first time.
func (t *tree) Once(key string, make func() any) any {
	once, _ := t.once.LoadOrStore(key, sync.OnceValue(make))
	return once.(func() any)()
}

// ReadAll reads a regular file of at most limit bytes.
func (t *tree) ReadAll(name string, max int64) ([]byte, error) {
	f, info, err := t.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch {
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR}
	case info.Size() > max:
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%w: more than %d bytes", limit.ErrTooLarge, max)}
	}
	return limit.ReadAll(f, max)
}

// ReadDir lists a folder, sorted by name.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	f, info, err := t.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	entries, err := readDir(f, maxFolderEntries)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return entries, nil
}

var errManyEntries = errors.New("more entries than are looked at")

// readDir lists an open folder, sorted by name, or fails with errManyEntries
// before it holds many more than max entries.
func readDir(f *os.File, max int) ([]fs.DirEntry, error) {
	var all []fs.DirEntry
	for {
		some, err := f.ReadDir(1024)
		all = append(all, some...)
		switch {
		case len(all) > max:
			return nil, errManyEntries
		case errors.Is(err, io.EOF):
			slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
			return all, nil
		case err != nil:
			return nil, err
		}
	}
}
