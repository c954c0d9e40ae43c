// SPDX-License-Identifier: Apache-2.0

// Package treetest is an image's root filesystem in memory, for tests of
// readers. Its files may be links (Link), its folders are none.
package treetest

import (
	"context"
	"io/fs"
	pathpkg "path"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/sbom"
)

// A Tree holds files by absolute path.
type Tree map[string][]byte

var _ ecosystem.Tree = Tree{}

// maxLinks is how many links are followed on the way to one file.
const maxLinks = 40

const link = "\x00link to "

// Link is the content of a link. The target is relative to its folder.
func Link(target string) []byte { return []byte(link + target) }

func (t Tree) files() fstest.MapFS {
	files := fstest.MapFS{}
	for path, data := range t {
		file := &fstest.MapFile{Data: data, Mode: 0o755}
		if target, ok := strings.CutPrefix(string(data), link); ok {
			file = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		}
		files[strings.TrimPrefix(path, "/")] = file
	}
	return files
}

func relative(path string) string {
	if path = strings.Trim(path, "/"); path == "" {
		return "."
	}
	return path
}

// Open opens a file.
func (t Tree) Open(path string) (fs.File, error) { return t.files().Open(relative(path)) }

// Stat tells about a file or a folder. All files are executable.
func (t Tree) Stat(path string) (fs.FileInfo, error) { return fs.Stat(t.files(), relative(path)) }

// ReadDir lists a folder.
func (t Tree) ReadDir(path string) ([]fs.DirEntry, error) {
	return fs.ReadDir(t.files(), relative(path))
}

// ReadAll reads a file of at most max bytes.
func (t Tree) ReadAll(path string, max int64) ([]byte, error) {
	f, err := t.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return limit.ReadAll(f, max)
}

// Resolve follows links.
func (t Tree) Resolve(path string) (string, error) {
	files, at := t.files(), relative(path)
	for range maxLinks {
		target, err := files.ReadLink(at)
		if err != nil {
			_, err = files.Lstat(at)
			return "/" + at, err
		}
		at = relative(pathpkg.Join("/", pathpkg.Dir(at), target))
	}
	return "", &fs.PathError{Op: "readlink", Path: path, Err: syscall.ELOOP}
}

// Once calls make: this tree remembers nothing, so that tests see what becomes
// of a change.
func (t Tree) Once(_ string, make func() any) any { return make() }

// System is that of no distribution.
func (t Tree) System() *sbom.System { return &sbom.System{} }

// Read has every reader that wants the file at path read it, as the catalogue
// does.
func (t Tree) Read(tb testing.TB, readers []ecosystem.Reader, path string) ([]sbom.Package, error) {
	tb.Helper()
	info, err := t.Stat(path)
	require.NoError(tb, err)
	for _, r := range readers {
		if r.Wants(path, info) {
			require.LessOrEqual(tb, info.Size(), r.Max)
			return r.Read(context.Background(), t, path, info)
		}
	}
	return nil, nil
}
