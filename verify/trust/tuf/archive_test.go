// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/trust/tuf"
	"github.com/plombproject/plomb/verify/trust/tuf/tuftest"
)

func TestFromRepository(t *testing.T) {
	root := trustedRoot(t)
	for _, prefix := range []string{"", "./", "repository/", "./repository/", "/repository/"} {
		r := tuftest.New(t)
		r.Publish(root)
		got, err := tuf.FromRepository(r.Root(1), r.Archive(prefix), "", "")
		require.NoError(t, err, prefix)
		require.Equal(t, digest.FromBytes(root), got.Digest())
	}
	r := tuftest.New(t)
	r.Plain = true
	r.Rotate("root")
	r.Publish(root)
	got, err := tuf.FromRepository(r.Root(1), r.Archive("repository/"), "targets", tuftest.Target)
	require.NoError(t, err)
	require.Equal(t, digest.FromBytes(root), got.Digest())
}

// The archive is nobody's word: only what the root's keys signed counts.
func TestFromRepositoryRefuses(t *testing.T) {
	r, mallory, root := tuftest.New(t), tuftest.New(t), trustedRoot(t)
	r.Publish(root)
	mallory.Publish(trustedRoot(t))
	for name, c := range map[string]struct {
		root, archive   []byte
		targets, target string
		want            error
	}{
		"other root":     {root: mallory.Root(1), archive: r.Archive(""), want: tuf.ErrUnsigned},
		"no root":        {archive: r.Archive(""), want: tuf.ErrRepository},
		"other target":   {root: r.Root(1), archive: r.Archive(""), target: "absent.json", want: tuf.ErrRepository},
		"other folder":   {root: r.Root(1), archive: r.Archive(""), targets: "elsewhere", want: tuf.ErrMirror},
		"other prefix":   {root: r.Root(1), archive: r.Archive("a/b/"), want: tuf.ErrMirror},
		"nothing":        {root: r.Root(1), want: tuf.ErrArchive},
		"no gzip":        {root: r.Root(1), archive: []byte("no archive"), want: tuf.ErrArchive},
		"cut":            {root: r.Root(1), archive: r.Archive("")[:500], want: tuf.ErrArchive},
		"wrong checksum": {root: r.Root(1), archive: spoilt(r.Archive("")), want: tuf.ErrArchive},
	} {
		_, err := tuf.FromRepository(c.root, c.archive, c.targets, c.target)
		require.ErrorIs(t, err, c.want, name)
		require.ErrorIs(t, err, trust.ErrRoot, name)
	}
	r.Set(targetPath(root), append(root[:len(root)-1:len(root)-1], ' '))
	_, err := tuf.FromRepository(r.Root(1), r.Archive(""), "", "")
	require.ErrorIs(t, err, tuf.ErrRepository)
	r.Set("timestamp.json", mallory.Get("timestamp.json"))
	_, err = tuf.FromRepository(r.Root(1), r.Archive(""), "", "")
	require.ErrorIs(t, err, tuf.ErrUnsigned)
}

// spoilt has another checksum than its content.
func spoilt(zip []byte) []byte {
	zip[len(zip)-8] ^= 1
	return zip
}

// An archive is good for as long as its metadata, and not a second longer.
func TestArchiveExpires(t *testing.T) {
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		r := tuftest.New(t)
		r.Expires[role] = time.Now().Add(time.Minute)
		r.Rotate("root")
		r.Publish(trustedRoot(t))
		archive := r.Archive("")
		_, err := tuf.FromRepositoryAt(r.Root(1), archive, "", "", time.Now())
		require.NoError(t, err)
		_, err = tuf.FromRepositoryAt(r.Root(1), archive, "", "", time.Now().Add(2*time.Minute))
		require.ErrorIs(t, err, trust.ErrStale, role)
		require.ErrorIs(t, err, trust.ErrRoot, role)
		require.ErrorIs(t, err, tuf.ErrExpired, role)
	}
}

// Metadata in the working directory has no say.
func TestArchiveReadsNoFiles(t *testing.T) {
	r := tuftest.New(t)
	r.Publish(trustedRoot(t))
	old := r.Archive("")
	r.Publish(trustedRoot(t))
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"root.json", "timestamp.json", "snapshot.json", "targets.json"} {
		data := r.Get(name)
		if data == nil {
			data = []byte("broken")
		}
		require.NoError(t, os.WriteFile(name, data, 0o600))
	}
	_, err := tuf.FromRepository(r.Root(1), old, "", "")
	require.NoError(t, err)
}

func TestArchiveAttacks(t *testing.T) {
	r := tuftest.New(t)
	r.Publish(trustedRoot(t))
	file := func(name string, data []byte) tuftest.Entry {
		return tuftest.Entry{Header: tar.Header{Name: name, Mode: 0o600}, Data: data}
	}
	link := func(kind byte, name, to string) tuftest.Entry {
		return tuftest.Entry{Header: tar.Header{Name: name, Linkname: to, Typeflag: kind}}
	}
	many := make([]tuftest.Entry, 2001)
	for i := range many {
		many[i] = file(fmt.Sprint(i), nil)
	}
	for name, c := range map[string]struct {
		archive []byte
		says    string
	}{
		"bomb":            {bomb(t, 64<<20), "too large"},
		"large file":      {tuftest.Tar(t, file("timestamp.json", make([]byte, 9<<20))), "too large"},
		"large archive":   {make([]byte, 17<<20), "more than"},
		"many entries":    {tuftest.Tar(t, many...), "more than 2000 entries"},
		"many folders":    {folders(t, 2001), "more than 2000 entries"},
		"path":            {tuftest.Tar(t, file("../../etc/passwd", nil)), "leads elsewhere"},
		"path inside":     {tuftest.Tar(t, file("targets/../timestamp.json", nil)), "leads elsewhere"},
		"path in Windows": {tuftest.Tar(t, file(`targets\..\timestamp.json`, nil)), "leads elsewhere"},
		"twice":           {tuftest.Tar(t, file("timestamp.json", nil), file("timestamp.json", nil)), "is there twice"},
		"twice by prefix": {tuftest.Tar(t, file("timestamp.json", nil), file("repository/timestamp.json", nil)), "is there twice"},
		"twice by dots":   {tuftest.Tar(t, file("timestamp.json", nil), file(".//timestamp.json", nil)), "is there twice"},
		"symbolic link":   {tuftest.Tar(t, link(tar.TypeSymlink, "timestamp.json", "/etc/passwd")), "neither a file nor a folder"},
		"hard link":       {tuftest.Tar(t, link(tar.TypeLink, "timestamp.json", "root.json")), "neither a file nor a folder"},
		"device":          {tuftest.Tar(t, link(tar.TypeChar, "timestamp.json", "")), "neither a file nor a folder"},
		"pipe":            {tuftest.Tar(t, link(tar.TypeFifo, "timestamp.json", "")), "neither a file nor a folder"},
	} {
		_, err := tuf.FromRepository(r.Root(1), c.archive, "", "")
		require.ErrorIs(t, err, tuf.ErrArchive, name)
		require.ErrorIs(t, err, trust.ErrRoot, name)
		require.ErrorContains(t, err, c.says, name)
	}
	_, err := tuf.FromRepository(r.Root(1), bomb(t, 64<<20), "", "")
	require.ErrorIs(t, err, limit.ErrTooLarge)
}

// bomb unpacks to so many zeros.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, err := zip.Write(make([]byte, size))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	return out.Bytes()
}

func folders(t *testing.T, n int) []byte {
	t.Helper()
	entries := make([]tuftest.Entry, n)
	for i := range entries {
		entries[i] = tuftest.Entry{Header: tar.Header{Name: fmt.Sprint(i) + "/", Typeflag: tar.TypeDir}}
	}
	return tuftest.Tar(t, entries...)
}

// FuzzFromRepository: only the one trusted root that was signed comes out.
func FuzzFromRepository(f *testing.F) {
	// The fuzzer's processes must agree: the keys are made from a seed, and the
	// trusted root is one that trustedRoot once made.
	root, err := os.ReadFile("testdata/trusted_root.json")
	require.NoError(f, err)
	r, now := tuftest.NewSeeded(f, "fuzz"), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		r.Expires[role] = now.Add(time.Hour)
	}
	r.Rotate("root") // with an expiry that does not change
	r.Publish(root)
	add := func(zip []byte) {
		z, err := gzip.NewReader(bytes.NewReader(zip))
		require.NoError(f, err)
		data, err := limit.ReadAll(z, 1<<20)
		require.NoError(f, err)
		f.Add(data)
	}
	add(r.Archive("repository/"))
	add(r.Archive(""))
	add(tuftest.Tar(f, tuftest.Entry{Header: tar.Header{Name: "../x", Mode: 0o600}}))
	add(tuftest.Tar(f))
	f.Add([]byte("no archive"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var zip bytes.Buffer // the fuzzer would not get past a checksum
		w := gzip.NewWriter(&zip)
		_, err := w.Write(data)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		for _, archive := range [][]byte{zip.Bytes(), data} {
			got, err := tuf.FromRepositoryAt(r.Root(2), archive, "", "", now)
			if err != nil {
				require.ErrorIs(t, err, trust.ErrRoot)
				continue
			}
			require.Equal(t, digest.FromBytes(root), got.Digest())
		}
	})
}
