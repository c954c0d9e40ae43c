// SPDX-License-Identifier: Apache-2.0

package imageservice_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/imageservice"
)

// kubelet gives every pull secret to whoever listens at the socket. In a folder
// that others can write to, that is whoever was there first.
func TestSocketInAFolderOfOthers(t *testing.T) {
	for _, mode := range []os.FileMode{0o777, 0o770, 0o777 | os.ModeSticky} {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, mode))
		_, err := imageservice.Listen(filepath.Join(dir, "s"))
		require.ErrorIs(t, err, imageservice.ErrProxy)
		require.ErrorContains(t, err, dir)
		require.NoError(t, os.Chmod(dir, 0o700))
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
}

// A socket that is only too busy to answer is not taken from its owner.
func TestBusySocketIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	require.NoError(t, os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), path))
	_, err := imageservice.Listen(path)
	require.ErrorIs(t, err, imageservice.ErrProxy)

	require.NoError(t, os.Remove(path))
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, os.Chmod(path, 0))
	_, err = imageservice.Listen(path)
	require.ErrorIs(t, err, imageservice.ErrProxy)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSocket)
}
