// SPDX-License-Identifier: Apache-2.0

// Package treetest is an image's root filesystem in memory, for tests of
// readers. It has no links.
package treetest

import (
	"context"
	"io/fs"
	"strings"
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

func (t Tree) files() fstest.MapFS {
	files := fstest.MapFS{}
	for path, data := range t {
		files[strings.TrimPrefix(path, "/")] = &fstest.MapFile{Data: data, Mode: 0o755}
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
