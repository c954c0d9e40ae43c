// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sealfs_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/frontend/seal"
)

// Snapshots of btrfs and ZFS show a directory with the same inode and the same
// change time before and after something changed below it. Bind mounts do, too.
func TestChangeBelowTheSameDirectory(t *testing.T) {
	shared, below := t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(shared, "deep"), 0o755))
	write(t, below, "changed", 0, 0o644)
	time.Sleep(50 * time.Millisecond) // the directory is older than the snapshots
	lower, upper, out := t.TempDir(), t.TempDir(), t.TempDir()
	for _, root := range []string{lower, upper, out} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, "dir"), 0o755))
	}
	require.NoError(t, os.Mkdir(filepath.Join(out, "dir", "deep"), 0o755))
	bind(t, shared, filepath.Join(lower, "dir"))
	bind(t, shared, filepath.Join(upper, "dir"))
	bind(t, below, filepath.Join(upper, "dir", "deep"))
	require.NoFileExists(t, filepath.Join(lower, "dir", "deep", "changed"))

	report, err := seal.Layer(context.Background(), seal.Dirs{Lower: lower, Upper: upper, Out: out}, seal.Rules{Time: clamp}, nil)
	require.NoError(t, err)
	require.NotZero(t, report.Changes)
	require.FileExists(t, filepath.Join(out, "dir", "deep", "changed"))
}

func bind(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(to, unix.MNT_DETACH)) })
}
