// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/provenance/sbom"
)

// toyReaders are as different as real ones: by name, by mode, one with a fixed
// place and a journal beside it.
func toyReaders() []reader {
	read := func(_ context.Context, t ecosystem.Tree, p string, _ fs.FileInfo) ([]sbom.Package, error) {
		data, err := t.ReadAll(p, 1000)
		if err != nil {
			return nil, err
		}
		if journal, err := t.ReadAll(p+"-journal", 1000); err == nil && strings.HasPrefix(p, "/db/") {
			data = append(data, journal...)
		}
		var out []sbom.Package
		for word := range strings.FieldsSeq(string(data)) {
			switch word {
			case "broken":
				err = errors.New("broken")
			case "panic":
				panic("at the disco")
			default:
				out = append(out, sbom.Package{Type: "toy", Name: word})
			}
		}
		return out, err
	}
	return []reader{
		{Name: "toy", Max: 1000, Read: read, Wants: func(p string, _ fs.FileInfo) bool { return strings.HasSuffix(p, ".pkg") }},
		{Name: "program", Max: 1000, Read: read, Wants: func(p string, info fs.FileInfo) bool {
			return info.Mode()&0o111 != 0
		}},
		{
			Name: "database", Max: 1000, Read: read, Wants: func(p string, _ fs.FileInfo) bool { return p == "/db/installed" },
			Places: []string{"/db/installed"}, Beside: map[string]string{"/db/installed-journal": "/db/installed"},
		},
	}
}

func toySettings() settings {
	with := defaults()
	with.readers, with.owning = toyReaders(), nil
	return with
}

// A report of the base and those of any number of layers say together what one
// look at the final tree says. All of the catalogue rests on this: a layer that
// did not change is not looked at again.
func TestLayersSayWhatTheRootSays(t *testing.T) {
	for seed := range uint64(100) {
		for _, level := range []Level{Packages, Files} {
			t.Run(fmt.Sprintf("%d %s", seed, level), func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				dir := t.TempDir()
				for range 15 {
					mutate(t, random, dir)
				}
				base, err := root(t.Context(), dir, level, toySettings())
				require.NoError(t, err)
				require.Empty(t, base.Report.Gone)
				layers := []sbom.Layer{{Report: base.Report, Base: true}}
				lists := []sbom.FileLayer{{Files: each(base.Files)}}
				for range 4 {
					lower := t.TempDir()
					copyTree(t, dir, lower)
					for range random.IntN(15) {
						mutate(t, random, dir)
					}
					found, err := layer(t.Context(), lower, dir, difference(t, lower, dir), level, toySettings())
					require.NoError(t, err)
					layers = append(layers, sbom.Layer{Report: found.Report})
					lists = append(lists, sbom.FileLayer{Files: each(found.Files), Gone: found.Report.Gone})
				}
				want, err := root(t.Context(), dir, level, toySettings())
				require.NoError(t, err)
				findings, unread := replay(layers)
				require.Equal(t, byPath(want.Report.Findings), findings)
				require.Equal(t, unreadByPath(want.Report.Unread), unread)
				sameItems(t, want.Report, sbom.Merge(layers))
				var files []sbom.File
				for file, err := range sbom.MergeFiles(lists) {
					require.NoError(t, err)
					files = append(files, file)
				}
				require.Equal(t, append([]sbom.File(nil), want.Files...), files)
			})
		}
	}
}

// replay puts reports on top of each other, as sbom.Merge does, in so few lines
// that one sees that they are right.
func replay(layers []sbom.Layer) (map[string][]sbom.Package, map[string]string) {
	findings, unread := map[string][]sbom.Package{}, map[string]string{}
	for _, l := range layers {
		for _, gone := range l.Report.Gone {
			for p := range findings {
				if p == gone || strings.HasPrefix(p, gone+"/") {
					delete(findings, p)
				}
			}
			for p := range unread {
				if p == gone || strings.HasPrefix(p, gone+"/") {
					delete(unread, p)
				}
			}
		}
		for _, u := range l.Report.Unread {
			delete(findings, u.Path)
		}
		for _, f := range l.Report.Findings {
			delete(unread, f.Path)
			delete(findings, f.Path)
			if len(f.Packages) > 0 {
				findings[f.Path] = f.Packages
			}
		}
		for _, u := range l.Report.Unread {
			unread[u.Path] = u.Reason
		}
	}
	return findings, unread
}

func sameItems(t *testing.T, want sbom.Report, got *sbom.Inventory) {
	t.Helper()
	all := sbom.Merge([]sbom.Layer{{Report: want, Base: true}})
	for _, inv := range []*sbom.Inventory{all, got} {
		inv.Files = 0
		for i := range inv.Items {
			inv.Items[i].Origin = sbom.Origin{}
		}
	}
	require.Equal(t, all, got)
}

func byPath(findings []sbom.Finding) map[string][]sbom.Package {
	out := map[string][]sbom.Package{}
	for _, f := range findings {
		out[f.Path] = f.Packages
	}
	return out
}

func unreadByPath(list []sbom.Unread) map[string]string {
	out := map[string]string{}
	for _, u := range list {
		out[u.Path] = u.Reason
	}
	return out
}

func each(files []sbom.File) iter.Seq2[sbom.File, error] {
	return func(yield func(sbom.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}

// mutate does one random thing to a tree. There are few names, so that things
// get into each other's way.
func mutate(t *testing.T, random *rand.Rand, dir string) {
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	name := pick("a.pkg", "run", "db", "store", "d\xff") + "/" + pick("a.pkg", "run", "installed", "c/a.pkg")
	if random.IntN(3) > 0 {
		name = pick("a.pkg", "run", "db", "db/installed", "db/installed-journal", "store", "store/installed", "store/x", "c")
	}
	p := filepath.Join(dir, name)
	if !direct(dir, filepath.Dir(p)) {
		return
	}
	content := pick("one", "two", "three", "broken", "panic", "", "") + " " + pick("one", "two", "", "")
	replace := func() {
		require.NoError(t, os.RemoveAll(p))
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
	}
	switch what := random.IntN(20); {
	case what < 3:
		require.NoError(t, os.RemoveAll(p))
	case what < 10:
		replace()
		require.NoError(t, os.WriteFile(p, []byte(content), 0o644))
	case what < 12:
		replace()
		require.NoError(t, os.WriteFile(p, []byte(content), 0o755))
	case what < 15:
		replace()
		require.NoError(t, os.Symlink(pick("/store", "store", "../store/x", "/db/installed", "/nowhere", "run", "/a.pkg", "/etc/passwd"), p))
	case what < 17:
		replace()
		require.NoError(t, os.Mkdir(p, 0o755))
	case what == 17:
		replace()
		require.NoError(t, unix.Mkfifo(p, 0o644))
	default:
		if info, err := os.Lstat(p); err == nil && info.Mode()&fs.ModeSymlink == 0 {
			require.NoError(t, os.Chmod(p, []fs.FileMode{0o755, 0o644, 0o700}[random.IntN(3)]))
		}
	}
}

// direct reports whether p, as far as it is there, is folders only.
func direct(dir, p string) bool {
	for ; p != dir; p = filepath.Dir(p) {
		if info, err := os.Lstat(p); err == nil && !info.IsDir() {
			return false
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// listing lists a tree by path: kind, mode and content.
func listing(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			if content, err = os.Readlink(p); err != nil {
				return err
			}
		}
		if p != dir {
			out[strings.TrimPrefix(p, dir)] = info.Mode().String() + content
		}
		return nil
	}))
	return out
}

// difference lists the changes as the seal helper finds them: of what was
// deleted with its folder, only the folder.
func difference(t *testing.T, lower, upper string) []Change {
	was, is := listing(t, lower), listing(t, upper)
	var out []Change
	for p := range was {
		_, there := is[p]
		above := filepath.Dir(p)
		upThere := above == "/" || strings.HasPrefix(is[above], "d")
		if !there && upThere {
			out = append(out, Change{Path: p, Deleted: true})
		}
	}
	for p, now := range is {
		if was[p] != now {
			out = append(out, Change{Path: p})
		}
	}
	return out
}

func copyTree(t *testing.T, from, to string) {
	require.NoError(t, filepath.WalkDir(from, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == from {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(p, from))
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			err = os.Mkdir(at, 0o755)
		case info.Mode().IsRegular():
			var data []byte
			if data, err = os.ReadFile(p); err == nil {
				err = os.WriteFile(at, data, 0o644)
			}
		case info.Mode()&fs.ModeSymlink != 0:
			target, readErr := os.Readlink(p)
			return errors.Join(readErr, os.Symlink(target, at))
		default:
			err = unix.Mkfifo(at, 0o644)
		}
		return errors.Join(err, os.Chmod(at, info.Mode().Perm()))
	}))
}
