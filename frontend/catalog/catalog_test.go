// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/provenance/sbom"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with testdata/name.
func golden(t *testing.T, name string, value any) {
	t.Helper()
	data, err := json.MarshalIndent(value, "", "\t")
	require.NoError(t, err)
	data = append(data, '\n')
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, data, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(data))
}

// debian is a small system: merged /usr, a package for two architectures, one
// that carries a Node package with a library in it, one that is gone.
var debian = map[string]string{
	"etc/os-release":     "-> ../usr/lib/os-release",
	"usr/lib/os-release": "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n",
	"bin":                "-> usr/bin",
	"lib":                "-> usr/lib",
	"usr/bin/sh":         "#!",
	"var/lib/dpkg/status": `Package: libc6
Status: install ok installed
Multi-Arch: same
Priority: optional
Maintainer: GNU Libc Maintainers <debian-glibc@lists.debian.org>
Architecture: amd64
Source: glibc
Version: 2.36-9
Depends: libgcc-s1
Homepage: https://www.gnu.org/software/libc/libc.html
Description: GNU C Library: Shared libraries
 Contains the standard libraries.

Package: node-hello
Status: install ok installed
Maintainer: Jane Doe <jane@example.org>
Architecture: all
Version: 1.0-1
Depends: nodejs:any (>= 18) | node, libc6
Provides: node-hi (= 1.0)
Description: greets

Package: removed
Status: deinstall ok config-files
Maintainer: Jane Doe <jane@example.org>
Architecture: all
Version: 1
Description: was here
`,
	"var/lib/dpkg/info/libc6:amd64.list":          "/.\n/lib\n/lib/libc.so.6\n",
	"var/lib/dpkg/info/node-hello.list":           "/lib/node_modules/hello/package.json\n/lib/node_modules/moved/package.json\n",
	"var/lib/dpkg/diversions":                     "/lib/node_modules/moved/package.json\n/lib/node_modules/moved.distrib/package.json\n:\n",
	"var/lib/apt/extended_states":                 "Package: libc6\nArchitecture: amd64\nAuto-Installed: 1\n",
	"usr/lib/libc.so.6":                           "library",
	"usr/lib/node_modules/hello/package.json":     `{"name":"hello","version":"1.0.0","license":"MIT"}`,
	"usr/lib/node_modules/moved/package.json":     `{"name":"moved","version":"1.0.0"}`,
	"usr/share/doc/libc6/copyright":               "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: LGPL-2.1+\n",
	"usr/share/doc/node-hello":                    "-> libc6",
	"usr/share/common-licenses/GPL-3":             "text",
	"usr/local/lib/node_modules/own/package.json": `{"name":"own","version":"2.0.0"}`,
}

func TestRoot(t *testing.T) {
	result, err := Root(t.Context(), planted(t, debian), Files)
	require.NoError(t, err)
	golden(t, "debian.json", result.Report)
	sum1, sum256 := sha1.Sum([]byte("library")), sha256.Sum256([]byte("library"))
	require.Contains(t, result.Files, sbom.File{
		Path: "/usr/lib/libc.so.6", Size: 7, Owner: "deb/libc6:amd64",
		SHA1: hex.EncodeToString(sum1[:]), SHA256: hex.EncodeToString(sum256[:]),
	})
}

func TestLayerIsAboutTheLayer(t *testing.T) {
	lower, dir := planted(t, debian), planted(t, debian)
	plant(t, dir, map[string]string{
		"opt/a/node_modules/new/package.json": `{"name":"new","version":"1.0.0"}`,
		"var/lib/dpkg/info/new.list":          "/opt/a/node_modules/new/package.json\n",
	})
	status := debian["var/lib/dpkg/status"] + "\nPackage: new\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "var/lib/dpkg/status"), []byte(status), 0o644))
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "usr/local/lib/node_modules/own")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "usr/lib/libc.so.6"), []byte("other"), 0o644))
	result, err := Layer(t.Context(), lower, dir, []Change{
		{Path: "/var/lib/dpkg/status"},
		{Path: "/var/lib/dpkg/info/new.list"},
		{Path: "/usr/local/lib/node_modules/own", Deleted: true},
		{Path: "/usr/share/doc/nothing", Deleted: true},
		{Path: "/usr/lib/libc.so.6"},
		{Path: "/opt"}, {Path: "/opt/a/node_modules/new/package.json"},
	}, Packages)
	require.NoError(t, err)
	require.Nil(t, result.Report.System, "os-release did not change")
	require.Nil(t, result.Files)
	require.Equal(t, []string{"/usr/local/lib/node_modules/own"}, result.Report.Gone)
	var paths []string
	for _, f := range result.Report.Findings {
		paths = append(paths, f.Path+" "+f.Owner)
	}
	require.Equal(t, []string{"/opt/a/node_modules/new/package.json deb/new:all", "/var/lib/dpkg/status "}, paths)
	require.Equal(t, 7, result.Report.Files)

	result, err = Layer(t.Context(), lower, dir, []Change{{Path: "/usr/lib/os-release"}}, Packages)
	require.NoError(t, err)
	require.Equal(t, "bookworm", result.Report.System.Codename)
}

// The same tree at another place, planted in another order, by another process:
// the same bytes.
func TestEqualTreesGiveEqualBytes(t *testing.T) {
	var first map[string]string
	for range 3 {
		result, err := Root(t.Context(), planted(t, debian), Files)
		require.NoError(t, err)
		out := t.TempDir()
		require.NoError(t, result.Write(out))
		if got := listing(t, out); first == nil {
			first = got
		} else {
			require.Equal(t, first, got)
		}
	}
	require.Len(t, first, 2)
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := planted(t, debian)
	_, err := Root(ctx, dir, Files)
	require.ErrorIs(t, err, context.Canceled)
	_, err = Layer(ctx, dir, dir, []Change{{Path: "/var/lib/dpkg/status"}}, Packages)
	require.ErrorIs(t, err, context.Canceled)
}

func TestNoTree(t *testing.T) {
	_, err := Root(t.Context(), filepath.Join(t.TempDir(), "nothing"), Packages)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Layer(t.Context(), filepath.Join(t.TempDir(), "nothing"), t.TempDir(), nil, Packages)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Layer(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "nothing"), nil, Packages)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestEmptyTree(t *testing.T) {
	result, err := Root(t.Context(), t.TempDir(), Packages)
	require.NoError(t, err)
	require.Equal(t, sbom.Report{Files: 1}, result.Report)
	result, err = Layer(t.Context(), t.TempDir(), t.TempDir(), nil, Files)
	require.NoError(t, err)
	require.Equal(t, sbom.Report{}, result.Report)
	require.Empty(t, result.Files)
	require.NotNil(t, result.Files, "the list is empty, not missing")
}

// Several names of one file are hashed once, and all of them listed.
func TestHardLinks(t *testing.T) {
	dir := planted(t, map[string]string{"a": "content"})
	require.NoError(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	with := defaults()
	result, err := root(t.Context(), dir, Files, with)
	require.NoError(t, err)
	require.Len(t, result.Files, 2)
	require.Equal(t, result.Files[0].SHA256, result.Files[1].SHA256)
	require.Equal(t, int64(7), result.Files[1].Size)
}

func TestMainRefuses(t *testing.T) {
	for want, args := range map[string][]string{
		"allowed are packages and files": {"--level", "all"},
		"is no flag of catalog":          {"files"},
		"flag provided but not defined":  {"--colour", "red"},
	} {
		require.ErrorContains(t, Main(t.Context(), args), want)
	}
}

// Every reader of the table is whole, and no two have one name.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for _, r := range readers() {
		require.NotEmpty(t, r.Name)
		require.False(t, names[r.Name], r.Name)
		names[r.Name] = true
		require.NotNil(t, r.Wants, r.Name)
		require.NotNil(t, r.Read, r.Name)
		require.Positive(t, r.Max, r.Name)
		for _, place := range r.Places {
			require.True(t, r.Wants(place, fakeInfo{}), "%s does not want %s", r.Name, place)
		}
	}
	for _, o := range ownings() {
		require.NotEmpty(t, o.Name)
		require.NotNil(t, o.Wants, o.Name)
		require.NotNil(t, o.Read, o.Name)
	}
}

type fakeInfo struct{ fs.FileInfo }

func BenchmarkRoot(b *testing.B) {
	dir := b.TempDir()
	for i := range 2000 {
		at := filepath.Join(dir, fmt.Sprintf("usr/lib/node_modules/p%d/package.json", i))
		require.NoError(b, os.MkdirAll(filepath.Dir(at), 0o755))
		require.NoError(b, os.WriteFile(at, fmt.Appendf(nil, `{"name":"p%d","version":"1.0.0"}`, i), 0o644))
	}
	for b.Loop() {
		result, err := Root(b.Context(), dir, Packages)
		require.NoError(b, err)
		require.Len(b, result.Report.Findings, 2000)
	}
}

var _ ecosystem.Tree = (*tree)(nil)
