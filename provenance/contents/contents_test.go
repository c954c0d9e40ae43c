// SPDX-License-Identifier: Apache-2.0

package contents_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/contents"
)

// vector is one of the test vectors in testdata/vectors.json, which other
// implementations may use as well.
type vector struct {
	Name    string
	Entries []struct {
		Path, Kind, Mode, Target, Content string
	}
	Summary contents.Summary
}

var kinds = map[string]fs.FileMode{"f": 0, "d": fs.ModeDir, "l": fs.ModeSymlink, "p": fs.ModeNamedPipe}

func (v vector) entries(t *testing.T) []contents.Entry {
	var out []contents.Entry
	for _, e := range v.Entries {
		var mode uint32
		_, err := fmt.Sscanf(e.Mode, "%o", &mode)
		require.NoError(t, err)
		m := fs.FileMode(mode&0o777) | kinds[e.Kind]
		for unix, bit := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
			if mode&unix != 0 {
				m |= bit
			}
		}
		out = append(out, contents.Entry{Path: e.Path, Mode: m, Target: e.Target, Size: int64(len(e.Content)), SHA256: sha256.Sum256([]byte(e.Content))})
	}
	return out
}

func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var vectors []vector
	require.NoError(t, json.Unmarshal(data, &vectors))
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			entries := v.entries(t)
			got, err := contents.Sum(entries)
			require.NoError(t, err)
			require.Equal(t, v.Summary, *got)
			slices.Reverse(entries)
			again, err := contents.Sum(entries)
			require.NoError(t, err)
			require.Equal(t, got, again, "the order does not count")
		})
	}
}

// The format in the words of docs/build-type.md, written out by hand.
func TestSumIsTheDigestOfTheRecords(t *testing.T) {
	inner := sha256.Sum256([]byte("hello\n"))
	want := sha256.Sum256(fmt.Appendf(nil, "plomb-contents/v1\nd 0755 - a\x00\x00f 4755 %x a/b\x00\x00l 0777 - c\x00a/b\x00", inner))
	got, err := contents.Sum([]contents.Entry{
		{Path: "c", Mode: fs.ModeSymlink | 0o700, Target: "a/b"},
		{Path: "a/b", Mode: 0o755 | fs.ModeSetuid, Size: 6, SHA256: inner},
		{Path: "a", Mode: fs.ModeDir | 0o755},
	})
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%x", want), got.Digest)
	require.Equal(t, 3, got.Entries)
	require.EqualValues(t, 6, got.Bytes)
	require.Len(t, got.Marks, 12)
}

func TestSumRefuses(t *testing.T) {
	for name, entries := range map[string][]contents.Entry{
		"nothing":         {{Path: ""}},
		"the folder":      {{Path: "."}},
		"the way out":     {{Path: "../a"}},
		"an absolute one": {{Path: "/a"}},
		"a NUL":           {{Path: "a\x00b"}},
		"a NUL in a link": {{Path: "a", Mode: fs.ModeSymlink, Target: "\x00"}},
		"twice":           {{Path: "a"}, {Path: "b"}, {Path: "a"}},
		"a socket":        {{Path: "a", Mode: fs.ModeSocket}},
	} {
		_, err := contents.Sum(entries)
		require.ErrorIs(t, err, contents.ErrEntry, name)
	}
}

func write(t *testing.T, dir, name, text string) {
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func of(t *testing.T, dir string) ([]contents.Entry, *contents.Summary) {
	entries, err := contents.Of(t.Context(), contents.Dir(dir))
	require.NoError(t, err)
	sum, err := contents.Sum(entries)
	require.NoError(t, err)
	return entries, sum
}

func TestFolders(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		write(t, dir, "src/main.go", "package main\n")
		write(t, dir, "odd \xff\nname", "x")
		require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	}
	require.NoError(t, os.Chtimes(filepath.Join(b, "src/main.go"), time.Unix(1, 0), time.Unix(1, 0)))
	_, first := of(t, a)
	_, second := of(t, b)
	require.Equal(t, first, second, "times do not count")
	require.Equal(t, 4, first.Entries)

	for name, change := range map[string]func(){
		"content": func() { write(t, b, "src/main.go", "package mian\n") },
		"mode":    func() { require.NoError(t, os.Chmod(filepath.Join(b, "src/main.go"), 0o755)) },
		"link": func() {
			require.NoError(t, os.Remove(filepath.Join(b, "link")))
			require.NoError(t, os.Symlink("/etc/shadow", filepath.Join(b, "link")))
		},
		"empty folder": func() { require.NoError(t, os.Mkdir(filepath.Join(b, "new"), 0o755)) },
	} {
		change()
		_, now := of(t, b)
		require.NotEqual(t, second.Digest, now.Digest, name)
		second = now
	}
}

func TestUnlike(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		write(t, dir, fmt.Sprint("f", i), fmt.Sprint(i))
	}
	_, recorded := of(t, dir)
	write(t, dir, "f3", "changed")
	write(t, dir, "new", "added")
	require.NoError(t, os.Remove(filepath.Join(dir, "f7")))
	entries, _ := of(t, dir)
	paths, missing := contents.Unlike(entries, *recorded, 10)
	require.Equal(t, []string{"f3", "new"}, paths)
	require.Equal(t, 2, missing, "f3 as it was, and f7")
	paths, _ = contents.Unlike(entries, *recorded, 1)
	require.Len(t, paths, 1)
	paths, missing = contents.Unlike(entries, contents.Summary{}, 1)
	require.Empty(t, paths)
	require.Zero(t, missing)
}

func TestManyEntriesHaveNoMarks(t *testing.T) {
	entries := make([]contents.Entry, contents.MaxMarks+1)
	for i := range entries {
		entries[i].Path = fmt.Sprint(i)
	}
	got, err := contents.Sum(entries)
	require.NoError(t, err)
	require.Empty(t, got.Marks)
}
