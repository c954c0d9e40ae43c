// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/internal/limit"
)

// plant makes files in dir: by path, the content; "-> target" makes a link,
// "fifo" a pipe, "device" a device, "dir" a folder.
func plant(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for p, content := range files {
		at := filepath.Join(dir, p)
		require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
		switch target, link := strings.CutPrefix(content, "-> "); {
		case link:
			require.NoError(t, os.Symlink(target, at))
		case content == "fifo":
			require.NoError(t, unix.Mkfifo(at, 0o644))
		case content == "device":
			require.NoError(t, unix.Mknod(at, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3))))
		case content == "dir":
			require.NoError(t, os.MkdirAll(at, 0o755))
		default:
			require.NoError(t, os.WriteFile(at, []byte(content), 0o644))
		}
	}
}

func planted(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	plant(t, dir, files)
	return dir
}

func opened(t *testing.T, dir string) *tree {
	t.Helper()
	tr, err := openTree(dir)
	require.NoError(t, err)
	t.Cleanup(tr.close)
	return tr
}

// Links lead where they would lead a process in the container, which is nowhere
// outside.
func TestTreeFollowsLinksInside(t *testing.T) {
	outside := planted(t, map[string]string{"secret": "of the host"})
	dir := planted(t, map[string]string{
		"etc/passwd":           "inside",
		"usr/bin/sh":           "shell",
		"bin":                  "-> usr/bin",
		"lib":                  "-> /usr/lib",
		"usr/lib/x":            "x",
		"absolute":             "-> /etc/passwd",
		"up":                   "-> ../../../../../../etc/passwd",
		"a/b/relative":         "-> ../../etc/passwd",
		"chain":                "-> /a/b/relative",
		"out":                  "-> " + outside + "/secret",
		"outdir":               "-> " + outside,
		"loop":                 "-> loop",
		"ping":                 "-> pong",
		"pong":                 "-> ping",
		"dangling":             "-> nothing",
		"self":                 "-> .",
		"etc/through/file/not": "",
	})
	tr := opened(t, dir)
	for name, want := range map[string]string{
		"/etc/passwd": "inside", "etc/passwd": "inside", "/bin/sh": "shell", "/lib/x": "x",
		"/absolute": "inside", "/up": "inside", "/a/b/relative": "inside", "/chain": "inside",
		"/self/self/self/etc/passwd": "inside", "/../../etc/passwd": "inside",
	} {
		data, err := tr.ReadAll(name, 100)
		require.NoError(t, err, name)
		require.Equal(t, want, string(data), name)
	}
	for _, name := range []string{
		"/out", "/outdir/secret", "/loop", "/ping", "/dangling", "/etc/passwd/below", "/nothing", "/a\x00b",
		strings.Repeat("/self", 50) + "/etc/passwd", outside + "/secret",
	} {
		_, err := tr.ReadAll(name, 100)
		require.Error(t, err, name)
		_, err = tr.Open(name)
		require.Error(t, err, name)
		_, err = tr.Stat(name)
		require.Error(t, err, name)
	}
}

// A pipe would block and a device could do anything when it is opened.
func TestTreeOpensNothingSpecial(t *testing.T) {
	dir := planted(t, map[string]string{"pipe": "fifo", "null": "device", "link": "-> pipe", "folder/file": ""})
	tr := opened(t, dir)
	for _, name := range []string{"/pipe", "/null", "/link"} {
		_, err := tr.Open(name)
		require.ErrorIs(t, err, errSpecial, name)
		_, err = tr.ReadAll(name, 100)
		require.ErrorIs(t, err, errSpecial, name)
		_, err = tr.ReadDir(name)
		require.ErrorIs(t, err, errSpecial, name)
	}
	_, err := tr.ReadAll("/folder", 100)
	require.ErrorIs(t, err, unix.EISDIR)
	_, err = tr.ReadDir("/folder/file")
	require.ErrorIs(t, err, unix.ENOTDIR)
}

func TestTreeIsBounded(t *testing.T) {
	dir := planted(t, map[string]string{"d/c": "123", "d/a": "1", "d/b": "12"})
	tr := opened(t, dir)
	data, err := tr.ReadAll("/d/c", 3)
	require.NoError(t, err)
	require.Equal(t, "123", string(data))
	_, err = tr.ReadAll("/d/c", 2)
	require.ErrorIs(t, err, limit.ErrTooLarge)

	entries, err := tr.ReadDir("d")
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	require.Equal(t, []string{"a", "b", "c"}, names)

	f, err := os.Open(filepath.Join(dir, "d"))
	require.NoError(t, err)
	defer f.Close()
	_, err = readDir(f, 2)
	require.ErrorIs(t, err, errManyEntries)
}

// Readers of programs, archives and databases read at any offset.
func TestTreeOpensForRandomAccess(t *testing.T) {
	tr := opened(t, planted(t, map[string]string{"f": "0123456789"}))
	f, err := tr.Open("f")
	require.NoError(t, err)
	defer f.Close()
	at, ok := f.(interface {
		ReadAt(p []byte, off int64) (int, error)
	})
	require.True(t, ok)
	buffer := make([]byte, 3)
	_, err = at.ReadAt(buffer, 5)
	require.NoError(t, err)
	require.Equal(t, "567", string(buffer))
	var _ fs.StatFS = tr
}

func TestSystem(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
		there bool
	}{
		"none":      {nil, "", false},
		"etc":       {map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian \\\"12\\\"\"\n", "usr/lib/os-release": "ID=no"}, `debian 12 Debian "12"`, true},
		"usr":       {map[string]string{"usr/lib/os-release": "ID='alpine'\nVERSION_ID=3.20\n"}, "alpine 3.20 ", true},
		"link":      {map[string]string{"etc/os-release": "-> ../usr/lib/os-release", "usr/lib/os-release": "ID=a"}, "a  ", true},
		"link out":  {map[string]string{"etc/os-release": "-> /proc/version"}, "", false},
		"pipe":      {map[string]string{"etc/os-release": "fifo"}, "", false},
		"no quotes": {map[string]string{"etc/os-release": "ID=\"\nVERSION_ID\n=x\nPRETTY_NAME=\x00\xff\n"}, "\"  \uFFFD", true},
		"too large": {map[string]string{"etc/os-release": strings.Repeat("#", maxOSRelease+1)}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			tr := opened(t, planted(t, test.files))
			require.Equal(t, test.there, tr.hasSystem())
			s := tr.System()
			if test.there {
				require.Equal(t, test.want, s.ID+" "+s.VersionID+" "+s.PrettyName)
			}
		})
	}
}

// Behind a link there is nothing, in whatever order one asks.
func TestPlain(t *testing.T) {
	dir := planted(t, map[string]string{"a/b/c": "1", "a/b-d": "1", "a/e/f": "1", "link": "-> a", "a/up": "-> ..", "g": "1"})
	l := newPlain(opened(t, dir), 3)
	for _, test := range []struct {
		path  string
		there bool
	}{
		{"/", true}, {"/a", true}, {"/a/b", true}, {"/a/b/c", true}, {"/a/b/c/d", false}, {"/a/b-d", true}, {"/a/e/f", true},
		{"/a/up", true}, {"/a/up/g", false}, {"/g", true}, {"/g/h", false}, {"/link", true}, {"/link/b", false},
		{"/a/b/c", true}, {"/z/y/x", false}, {"/a/../g", true}, {"/../g", true},
	} {
		_, err := l.lstat(test.path)
		require.Equal(t, test.there, err == nil, test.path)
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "1/2/3/4"), 0o755))
	_, err := l.lstat("/1/2/3/4")
	require.NoError(t, err)
	_, err = l.lstat("/1/2/3/4/5")
	require.ErrorContains(t, err, "more than 3 folders deep")
	l.close()
	require.Len(t, l.open, 1)
	_, err = l.lstat("/a/b/c")
	require.NoError(t, err)
}

func FuzzOSRelease(f *testing.F) {
	f.Add("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='a b'\n")
	f.Add("ID=\"\nID\n=\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		s := parseOSRelease([]byte(text))
		for _, field := range []string{s.ID, s.VersionID, s.Codename, s.PrettyName} {
			require.Equal(t, text1(field, 256), field)
		}
	})
}

// sbom.Merge and documents rely on it: every text is one line of UTF-8.
func FuzzText(f *testing.F) {
	f.Add(" a\nb\xff\x00", 3)
	f.Add("é\u0085x", 1)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit &= 0xff
		got := text1(text, limit)
		require.LessOrEqual(t, len(got), limit)
		require.True(t, utf8.ValidString(got))
		require.False(t, strings.ContainsFunc(got, unicode.IsControl))
		require.Equal(t, got, text1(got, limit))
	})
}

func TestTreeResolvesLinks(t *testing.T) {
	tr := opened(t, planted(t, map[string]string{
		"usr/share/java/a-1.jar": "a", "usr/share/java/a.jar": "-> a-1.jar", "java": "-> /usr/share/java",
		"deep/er/a.jar": "-> ../../../../java/a.jar", "nowhere": "-> gone", "loop": "-> loop",
	}))
	for path, want := range map[string]string{
		"/usr/share/java/a-1.jar": "/usr/share/java/a-1.jar", "/deep/er/a.jar": "/usr/share/java/a-1.jar",
		"java/a.jar": "/usr/share/java/a-1.jar", "/": "/", "/../usr/": "/usr",
	} {
		got, err := tr.Resolve(path)
		require.NoError(t, err, path)
		require.Equal(t, want, got, path)
	}
	for _, path := range []string{"/nowhere", "/loop", "/not/there", "/usr/share/java/a-1.jar/x", "a\x00b"} {
		_, err := tr.Resolve(path)
		require.Error(t, err, path)
	}
}

// What readers find out about the tree is found out once, whoever asks first.
func TestTreeRemembersByKey(t *testing.T) {
	tr := opened(t, t.TempDir())
	var calls atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			one := tr.Once("a", func() any { calls.Add(1); return 1 })
			two := tr.Once("b", func() any { calls.Add(1); return 2 })
			if one != 1 || two != 2 {
				t.Errorf("%v and %v", one, two)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 2, calls.Load())
}
