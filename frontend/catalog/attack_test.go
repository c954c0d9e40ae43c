// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/provenance/sbom"
)

// good is what every attack shares its tree with, and what must be found all
// the same.
const good = `{"name":"good","version":"1.0.0"}`

func TestAttacks(t *testing.T) {
	host := planted(t, map[string]string{"shadow": "Package: root\nStatus: install ok installed\nVersion: secret\nArchitecture: all\n"})
	const status = "/var/lib/dpkg/status"
	for name, test := range map[string]struct {
		files  map[string]string
		unread []string // "path: part of the reason"
	}{
		"database leads out":        {map[string]string{status: "-> " + host + "/shadow"}, []string{status + ": leads nowhere"}},
		"database leads up and out": {map[string]string{status: "-> ../../../../../../../../.." + host + "/shadow"}, []string{status + ": leads nowhere"}},
		"folder leads out":          {map[string]string{"/var/lib/dpkg": "-> " + host}, []string{"/var/lib/dpkg: leads nowhere"}},
		"upper folder leads out":    {map[string]string{"/var": "-> " + host}, []string{"/var: leads nowhere"}},
		"database is a loop":        {map[string]string{status: "-> status"}, []string{status + ": leads nowhere"}},
		"folders are a loop":        {map[string]string{"/var/lib/dpkg": "-> ../cache/dpkg", "/var/cache/dpkg": "-> ../lib/dpkg"}, []string{"/var/lib/dpkg: leads nowhere"}},
		"database is a pipe":        {map[string]string{status: "fifo"}, []string{status + ": no file"}},
		"database is a device":      {map[string]string{status: "device"}, []string{status + ": no file"}},
		"database is a folder":      {map[string]string{status: "dir"}, []string{status + ": no file"}},
		"link to a pipe":            {map[string]string{status: "-> /pipe", "/pipe": "fifo"}, []string{status + ": no file"}},
		"apk's is a pipe":           {map[string]string{"/lib/apk/db/installed": "fifo"}, []string{"/lib/apk/db/installed: no file"}},
		"rpm's is a device":         {map[string]string{"/var/lib/rpm/Packages": "device"}, []string{"/var/lib/rpm/Packages: no file"}},
		"rpm's is text":             {map[string]string{"/var/lib/rpm/rpmdb.sqlite": "hello"}, []string{"/var/lib/rpm/rpmdb.sqlite: broken database"}},
		"image's own shadow":        {map[string]string{status: "-> /etc/shadow", "/etc/shadow": "root:$6$secret:1:0:::::\n"}, []string{status + ": stanza 1"}},
		"dpkg: no package":          {map[string]string{status: "Status: install ok installed\nVersion: 1\n"}, []string{status + ": no package name"}},
		"dpkg: NUL":                 {map[string]string{status: "Package: a\x00b\n"}, []string{status + ": NUL"}},
		"dpkg: twice":               {map[string]string{status: stanzaOf("a") + stanzaOf("a")}, []string{status + ": there before"}},
		"dpkg: a field twice":       {map[string]string{status: "Package: a\nPackage: b\n"}, []string{status + ": twice"}},
		"dpkg: ends early":          {map[string]string{status: stanzaOf("a") + "Package: b\nStat"}, []string{status + ": no field"}},
		"dpkg: a large field":       {map[string]string{status: "Package: a\nDescription: " + strings.Repeat("x", 2<<20) + "\n\n" + stanzaOf("a")}, []string{status + ": a field of more"}},
		"apk: ends early":           {map[string]string{"/lib/apk/db/installed": "P:a\nV:1\nA:x86_64\n\nP:b\nV"}, []string{"/lib/apk/db/installed: no field"}},
		"no UTF-8":                  {map[string]string{"/a\xff/node_modules/b\xfe/package.json": "no JSON"}, []string{`/a\xff/node_modules/b\xfe/package.json: package.json`}},
		"package.json is a pipe":    {map[string]string{"/a/node_modules/b/package.json": "fifo"}, nil},
		"package.json leads out":    {map[string]string{"/a/node_modules/b/package.json": "-> " + host + "/shadow"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := planted(t, test.files)
			plant(t, dir, map[string]string{"/opt/node_modules/good/package.json": good})
			for _, level := range []Level{Packages, Files} {
				result, err := Root(t.Context(), dir, level)
				require.NoError(t, err)
				holds(t, result, test.unread)
			}
			var changes []Change
			for p := range listing(t, dir) {
				changes = append(changes, Change{Path: p})
			}
			result, err := Layer(t.Context(), t.TempDir(), dir, changes, Packages)
			require.NoError(t, err)
			holds(t, result, test.unread)
		})
	}
}

func stanzaOf(name string) string {
	return "Package: " + name + "\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n"
}

// holds checks that the good package was found, that the report tells of what
// was not read, and nothing of the host.
func holds(t *testing.T, result *Result, unread []string) {
	t.Helper()
	var got []string
	for i, u := range result.Report.Unread {
		require.NotContains(t, u.Reason, "secret")
		if i < len(unread) {
			p, part, _ := strings.Cut(unread[i], ": ")
			require.Equal(t, p, u.Path)
			require.Contains(t, u.Reason, part)
		}
		got = append(got, u.Path+": "+u.Reason)
	}
	require.Len(t, got, len(unread), "%q", got)
	found := false
	for _, f := range result.Report.Findings {
		for _, p := range f.Packages {
			require.NotEqual(t, "root", p.Name)
			found = found || p.Name == "good"
		}
	}
	require.True(t, found)
	data := written(t, result)
	_, err := ReadReport(data)
	require.NoError(t, err)
}

func written(t *testing.T, result *Result) []byte {
	t.Helper()
	out := t.TempDir()
	require.NoError(t, result.Write(out))
	data, err := os.ReadFile(filepath.Join(out, ReportFile))
	require.NoError(t, err)
	return data
}

// Holes cost nothing to make, and must cost nothing here.
func TestHugeFiles(t *testing.T) {
	dir := planted(t, map[string]string{"opt/node_modules/good/package.json": good})
	for p, size := range map[string]int64{
		"a/node_modules/b/package.json": 1 << 30,
		"var/lib/dpkg/status":           100 << 30,
		"var/lib/dpkg/info/x.list":      1 << 30,
		"lib/apk/db/installed":          1 << 30,
		"var/lib/rpm/Packages.db":       100 << 30,
		"etc/os-release":                1 << 30,
	} {
		plant(t, dir, map[string]string{p: ""})
		require.NoError(t, os.Truncate(filepath.Join(dir, p), size))
	}
	result, err := Root(t.Context(), dir, Packages)
	require.NoError(t, err)
	holds(t, result, []string{
		"/a/node_modules/b/package.json: too large", "/lib/apk/db/installed: too large",
		"/var/lib/dpkg/info/x.list: too large", "/var/lib/dpkg/status: too large", "/var/lib/rpm/Packages.db: too large",
	})
}

func TestPanicIsOneUnreadFile(t *testing.T) {
	with := defaults()
	with.readers = append(with.readers, reader{
		Name: "careless", Max: 1 << 20, Wants: func(p string, _ fs.FileInfo) bool { return strings.HasSuffix(p, ".bad") },
		Read: func(context.Context, ecosystem.Tree, string, fs.FileInfo) ([]sbom.Package, error) {
			var none []sbom.Package
			return []sbom.Package{none[len(none)]}, nil
		},
	})
	with.owning = append(with.owning, owning{
		Name: "careless lists", Wants: func(p string) bool { return strings.HasSuffix(p, ".bad") },
		Read: func(context.Context, ecosystem.Tree, []string, func(string, string)) error { panic("at the disco") },
	})
	with.readers = append(with.readers, reader{
		Name: "rash", Max: 1, Wants: func(p string, _ fs.FileInfo) bool {
			if strings.HasSuffix(p, "rash") {
				panic("at once")
			}
			return false
		},
	})
	dir := planted(t, map[string]string{"x.bad": "", "rash": "", "opt/node_modules/good/package.json": good})
	result, err := root(t.Context(), dir, Packages, with)
	require.NoError(t, err)
	holds(t, result, []string{"/rash: rash: the reader gave up: at once", "/x.bad: careless lists: the reader gave up", "/x.bad: careless: the reader gave up"})
}

// Errors of readers go into a document: one line, of bounded length, with
// nothing of this machine.
func TestReason(t *testing.T) {
	long := strings.Repeat("é", maxReason)
	for want, err := range map[string]error{
		"dpkg: permission denied": fmt.Errorf("dpkg: %w", &fs.PathError{Op: "openat", Path: "/tmp/x", Err: unix.EACCES}),
		"a b":                     errors.New("a\nb"),
		"\uFFFD":                  errors.New("\xff"),
		long[:maxReason]:          errors.New(long),
	} {
		require.Equal(t, want, reason(err))
	}
}

func TestBounds(t *testing.T) {
	files := map[string]string{}
	for i := range 20 {
		files[fmt.Sprintf("d/f%02d.pkg", i)] = "one two"
		files[fmt.Sprintf("e%02d.pkg", i)] = "broken"
	}
	files["x/y/z/deep.pkg"] = "deep"
	dir := planted(t, files)
	for name, test := range map[string]struct {
		set      func(*settings)
		findings int
		unread   []string
	}{
		"entries":   {func(s *settings) { s.entries = 30; s.unread = 100 }, 1, []string{"/d/: more entries"}},
		"folder":    {func(s *settings) { s.folderEntries = 19; s.unread = 100 }, 0, []string{"/: more entries"}},
		"depth":     {func(s *settings) { s.depth = 2; s.unread = 100 }, 20, []string{"/x/y/z: more than 2 folders deep"}},
		"path":      {func(s *settings) { s.path = 12; s.unread = 100 }, 20, []string{"/x/y/z: longer than 12 bytes"}},
		"packages":  {func(s *settings) { s.content = 12 << 10; s.unread = 100 }, 5, []string{"/: 16 files with packages are left out"}},
		"per file":  {func(s *settings) { s.perFile = 1; s.unread = 100 }, 21, []string{"/d/f00.pkg: more packages than are listed"}},
		"unread":    {func(s *settings) { s.unread = 5 }, 21, []string{"/: 15 more could not be read", "/e00.pkg: broken"}},
		"total":     {func(s *settings) { s.total = 70; s.unread = 100 }, 10, []string{"/d/f10.pkg: too large"}},
		"file size": {func(s *settings) { s.readers[0].Max = 4; s.unread = 100 }, 1, []string{"/d/f00.pkg: toy: too large"}},
	} {
		t.Run(name, func(t *testing.T) {
			with := toySettings()
			test.set(&with)
			result, err := root(t.Context(), dir, Packages, with)
			require.NoError(t, err)
			require.Len(t, result.Report.Findings, test.findings)
			var got []string
			for _, u := range result.Report.Unread {
				got = append(got, u.Path+": "+u.Reason)
			}
			for _, want := range test.unread {
				p, part, _ := strings.Cut(want, ": ")
				require.Contains(t, strings.Join(got, "\n"), p+": ")
				require.Contains(t, strings.Join(got, "\n"), part)
			}
			again, err := root(t.Context(), dir, Packages, with)
			require.NoError(t, err)
			require.Equal(t, result, again)
		})
	}
}

func TestBoundsOfFiles(t *testing.T) {
	dir, lower := planted(t, map[string]string{"a": "1", "b": "22", "c": "333"}), planted(t, map[string]string{"a": "0", "b": "0", "c": "0"})
	changes := []Change{{Path: "/c"}, {Path: "/b"}, {Path: "/a"}}
	with := toySettings()
	with.files = 2
	result, err := layer(t.Context(), lower, dir, changes, Files, with)
	require.NoError(t, err)
	require.Len(t, result.Files, 2)
	require.Equal(t, []string{"/c"}, result.Report.Gone, "else it would keep the digests of the file below")
	require.Contains(t, result.Report.Unread[0].Reason, "1 files are not listed")

	with = toySettings()
	with.hashed = 2
	result, err = layer(t.Context(), lower, dir, changes, Files, with)
	require.NoError(t, err)
	require.Len(t, result.Files, 2)
	require.Equal(t, []string{"/c"}, result.Report.Gone)
	require.Equal(t, "/c", result.Report.Unread[0].Path)

	with = toySettings()
	with.entries = 2
	result, err = layer(t.Context(), lower, dir, changes, Packages, with)
	require.NoError(t, err)
	require.Contains(t, result.Report.Unread[0].Reason, "the layer changes more than 2")
}

// Many files in one folder, and folders in folders as deep as paths go.
func TestManyFiles(t *testing.T) {
	const many = 30_000
	dir := t.TempDir()
	folder, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer folder.Close()
	for i := range many {
		f, err := folder.Create(fmt.Sprintf("%06d.txt", i))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	plant(t, dir, map[string]string{"opt/node_modules/good/package.json": good})
	deep, err := folder.OpenRoot(".")
	require.NoError(t, err)
	for range 1000 {
		require.NoError(t, deep.Mkdir("d", 0o755))
		next, err := deep.OpenRoot("d")
		require.NoError(t, err)
		require.NoError(t, deep.Close())
		deep = next
	}
	require.NoError(t, deep.Close())
	result, err := Root(t.Context(), dir, Packages)
	require.NoError(t, err)
	holds(t, result, []string{strings.Repeat("/d", maxDepth+1) + ": folders deep"})
	require.Greater(t, result.Report.Files, many)
}
