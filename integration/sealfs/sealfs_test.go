// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package sealfs_test seals directories that only root can make: other owners,
// devices, capabilities, and files and folders that their owner may not read
// or write. The seal runs as root in its build container.
package sealfs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/frontend/seal"
)

var (
	early = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	clamp = time.Date(2021, 6, 7, 8, 9, 10, 0, time.UTC)
)

// capability is CAP_NET_BIND_SERVICE, permitted and effective (linux/capability.h,
// struct vfs_cap_data, revision 2).
func capability() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	b = binary.LittleEndian.AppendUint32(b, 1<<10)
	return append(b, make([]byte, 12)...)
}

// layer seals what change does to a copy of base, and returns the layer's
// entries by name and the directory that holds them.
func layer(t *testing.T, base, change func(dir string)) (map[string]*tar.Header, string) {
	t.Helper()
	require.Zero(t, os.Getuid(), "run as root")
	dirs := map[string]string{}
	for _, name := range []string{"lower", "upper", "parent", "out"} {
		dirs[name] = t.TempDir()
		if base != nil {
			base(dirs[name])
		}
	}
	change(dirs["upper"])
	report, err := seal.Layer(context.Background(),
		seal.Dirs{Lower: dirs["lower"], Upper: dirs["upper"], Out: dirs["out"]}, seal.Rules{Time: clamp, Scrub: true}, nil)
	require.NoError(t, err)

	var b bytes.Buffer
	require.NoError(t, archive.WriteDiff(context.Background(), &b, dirs["parent"], dirs["out"]))
	require.Equal(t, digest.FromBytes(b.Bytes()), report.DiffID)

	entries := map[string]*tar.Header{}
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err == io.EOF {
			return entries, dirs["out"]
		}
		require.NoError(t, err)
		entries[h.Name] = h
	}
}

func write(t *testing.T, dir, name string, uid int, mode uint32) string {
	p := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
	require.NoError(t, os.WriteFile(p, []byte(name), 0o600))
	require.NoError(t, os.Lchown(p, uid, uid+1))
	require.NoError(t, unix.Chmod(p, mode))
	return p
}

func TestOwnersAndModes(t *testing.T) {
	entries, _ := layer(t, nil, func(dir string) {
		write(t, dir, "su", 1000, 0o6755)
		write(t, dir, "unreadable", 1000, 0o000)
		write(t, dir, "closed/inside", 1000, 0o400)
		require.NoError(t, os.Symlink("su", filepath.Join(dir, "link")))
		require.NoError(t, os.Lchown(filepath.Join(dir, "link"), 7, 8))
		require.NoError(t, os.Chown(filepath.Join(dir, "closed"), 1000, 0))
		require.NoError(t, os.Chmod(filepath.Join(dir, "closed"), 0o555))
	})
	require.EqualValues(t, 0o6755, entries["su"].Mode, "chown clears setuid, so it must come after")
	require.Equal(t, []int{1000, 1001}, []int{entries["su"].Uid, entries["su"].Gid})
	require.EqualValues(t, 0, entries["unreadable"].Mode)
	require.EqualValues(t, 0o555, entries["closed/"].Mode)
	require.Equal(t, 1000, entries["closed/"].Uid)
	require.EqualValues(t, 0o400, entries["closed/inside"].Mode)
	require.Equal(t, []int{7, 8}, []int{entries["link"].Uid, entries["link"].Gid})
	for name, h := range entries {
		require.True(t, h.ModTime.Equal(clamp), name)
	}
}

func TestOnlyTheOwnerChanges(t *testing.T) {
	base := func(dir string) {
		p := write(t, dir, "file", 1, 0o4755)
		require.NoError(t, os.Chtimes(p, early, early))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	}
	entries, _ := layer(t, base, func(dir string) {
		require.NoError(t, os.Lchown(filepath.Join(dir, "file"), 2, 2))
		require.NoError(t, unix.Chmod(filepath.Join(dir, "file"), 0o4755))
		require.NoError(t, os.Lchown(filepath.Join(dir, "dir"), 3, 3))
	})
	require.Equal(t, 2, entries["file"].Uid)
	require.EqualValues(t, 0o4755, entries["file"].Mode)
	require.Equal(t, 3, entries["dir/"].Uid)
	require.Len(t, entries, 2)
}

func TestDevices(t *testing.T) {
	base := func(dir string) {
		require.NoError(t, unix.Mknod(filepath.Join(dir, "kept"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
		require.NoError(t, unix.Mknod(filepath.Join(dir, "renumbered"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))))
		for _, p := range []string{"kept", "renumbered"} {
			require.NoError(t, os.Chtimes(filepath.Join(dir, p), early, early))
		}
	}
	entries, _ := layer(t, base, func(dir string) {
		require.NoError(t, unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
		require.NoError(t, unix.Mknod(filepath.Join(dir, "disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
		require.NoError(t, unix.Chmod(filepath.Join(dir, "null"), 0o666))
		p := filepath.Join(dir, "renumbered")
		require.NoError(t, os.Remove(p))
		require.NoError(t, unix.Mknod(p, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))))
		require.NoError(t, os.Chtimes(p, early, early))
	})
	require.Len(t, entries, 3)
	require.EqualValues(t, tar.TypeChar, entries["null"].Typeflag)
	require.Equal(t, []int64{1, 3, 0o666}, []int64{entries["null"].Devmajor, entries["null"].Devminor, entries["null"].Mode})
	require.EqualValues(t, tar.TypeBlock, entries["disk"].Typeflag)
	require.Equal(t, []int64{259, 70000}, []int64{entries["disk"].Devmajor, entries["disk"].Devminor})
	require.Equal(t, int64(5), entries["renumbered"].Devminor)
}

func TestCapabilities(t *testing.T) {
	const record = "SCHILY.xattr.security.capability"
	set := func(p string) { require.NoError(t, unix.Setxattr(p, "security.capability", capability(), 0)) }
	base := func(dir string) {
		for _, name := range []string{"kept", "lost", "gained"} {
			p := write(t, dir, name, 0, 0o755)
			if name != "gained" {
				set(p)
			}
			require.NoError(t, os.Chtimes(p, early, early))
		}
	}
	entries, out := layer(t, base, func(dir string) {
		set(write(t, dir, "new", 5, 0o755))
		require.NoError(t, unix.Setxattr(filepath.Join(dir, "new"), "user.note", []byte("x"), 0))
		require.NoError(t, unix.Setxattr(filepath.Join(dir, "new"), "trusted.overlay.opaque", []byte("y"), 0))
		require.NoError(t, unix.Removexattr(filepath.Join(dir, "lost"), "security.capability"))
		set(filepath.Join(dir, "gained"))
	})
	require.Len(t, entries, 3)
	require.Equal(t, string(capability()), entries["new"].PAXRecords[record], "chown clears capabilities, so they must come after")
	require.Equal(t, string(capability()), entries["gained"].PAXRecords[record])
	require.NotContains(t, entries["lost"].PAXRecords, record)

	buf := make([]byte, 10)
	n, err := unix.Getxattr(filepath.Join(out, "new"), "user.note", buf)
	require.NoError(t, err)
	require.Equal(t, "x", string(buf[:n]))
	_, err = unix.Getxattr(filepath.Join(out, "new"), "trusted.overlay.opaque", buf)
	require.ErrorIs(t, err, unix.ENODATA, "the books of the snapshotter stay behind")
}

// Whoever may do everything could write everywhere: not through links.
func TestRootDoesNotFollowLinksOut(t *testing.T) {
	victim := t.TempDir()
	target := write(t, victim, "file", 1, 0o600)
	require.NoError(t, os.Chtimes(target, early, early))

	lower, upper, out := t.TempDir(), t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(lower, "dir"), 0o755))
	write(t, upper, "dir/file", 42, 0o4777)
	require.NoError(t, unix.Mknod(filepath.Join(upper, "dir/dev"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	require.NoError(t, os.Symlink(victim, filepath.Join(out, "dir")))
	_, err := seal.Layer(context.Background(), seal.Dirs{Lower: lower, Upper: upper, Out: out}, seal.Rules{Time: clamp}, nil)
	require.Error(t, err)

	var st unix.Stat_t
	require.NoError(t, unix.Lstat(target, &st))
	require.Equal(t, []uint32{1, 2, unix.S_IFREG | 0o600}, []uint32{st.Uid, st.Gid, st.Mode})
	require.Equal(t, early.Unix(), st.Mtim.Sec)
	list, err := os.ReadDir(victim)
	require.NoError(t, err)
	require.Len(t, list, 1)
}
