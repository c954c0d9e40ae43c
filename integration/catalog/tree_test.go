// SPDX-License-Identifier: Apache-2.0

//go:build integration

package catalog

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/frontend/catalog"
)

// changes are what a layer between two trees has: what is new or different,
// and the topmost path of what is gone.
func changes(t *testing.T, lower, dir string) []catalog.Change {
	t.Helper()
	return between(t, lower, dir, "/")
}

func between(t *testing.T, lower, dir, at string) (list []catalog.Change) {
	t.Helper()
	old, now := entries(t, lower, at), entries(t, dir, at)
	for name := range old {
		if now[name] == nil {
			list = append(list, catalog.Change{Path: path.Join(at, name), Deleted: true})
		}
	}
	for name, info := range now {
		p := path.Join(at, name)
		if old[name] == nil || !same(t, lower, dir, p, old[name], info) {
			list = append(list, catalog.Change{Path: p})
		}
		if info.IsDir() {
			below := lower
			if old[name] == nil || !old[name].IsDir() {
				below = t.TempDir() // nothing was there
			}
			list = append(list, between(t, below, dir, p)...)
		}
	}
	slices.SortFunc(list, func(a, b catalog.Change) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func entries(t *testing.T, dir, at string) map[string]fs.FileInfo {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, at))
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
		return nil
	}
	all := make(map[string]fs.FileInfo, len(list))
	for _, e := range list {
		info, err := e.Info()
		require.NoError(t, err)
		all[e.Name()] = info
	}
	return all
}

func same(t *testing.T, lower, dir, at string, a, b fs.FileInfo) bool {
	t.Helper()
	if a.Mode() != b.Mode() || !a.IsDir() && (a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())) {
		return false
	}
	if a.Mode()&fs.ModeSymlink == 0 {
		return true
	}
	old, err := os.Readlink(filepath.Join(lower, at))
	require.NoError(t, err)
	now, err := os.Readlink(filepath.Join(dir, at))
	require.NoError(t, err)
	return old == now
}

// step changes a tree by a script, as a RUN instruction would, and returns the
// result: an overlay over the tree, whose own layers are below.
func step(t *testing.T, script string, below ...string) (merged string, layers []string) {
	t.Helper()
	upper, at := t.TempDir(), t.TempDir()
	mount(t, at, "upperdir="+upper+",workdir="+t.TempDir()+",lowerdir="+strings.Join(below, ":"))
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-euxc", script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: at}
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, unix.Unmount(at, 0))
	require.NoError(t, err, string(out))

	layers = append([]string{upper}, below...)
	mount(t, at, "lowerdir="+strings.Join(layers, ":"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(at, 0)) })
	return at, layers
}

func mount(t *testing.T, at, options string) {
	t.Helper()
	require.NoError(t, unix.Mount("overlay", at, "overlay", 0, options), options)
}
