// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrSocket reports a place where an agent cannot listen.
var ErrSocket = errors.New("the agent's socket")

// ErrInUse reports a socket that another process answers at.
var ErrInUse = fmt.Errorf("%w: another agent is running", ErrSocket)

// Listen makes a Unix socket of mode 0600 at path. The folder is made, or must
// be one that nobody but this user and root can change. A socket that nobody
// answers at, as a crash leaves it, is removed; nothing else is. The socket is
// removed when the listener is closed.
func Listen(path string) (net.Listener, error) {
	if err := prepareFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSocket, err)
	}
	// In between, only who can enter the folder could have connected, and
	// Serve asks everybody who they are.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("%w: %w", ErrSocket, err)
	}
	return l, nil
}

func prepareFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrSocket, err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSocket, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%w: folder %s is another user's: chown it to root", ErrSocket, dir)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%w: folder %s can be written by others (mode %#o): chmod 755 it", ErrSocket, dir, info.Mode().Perm())
	}
	return nil
}

// removeStale removes a socket that nobody answers at.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSocket, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%w: %s is there and is no socket: remove it, or set PLOMB_SOCKET", ErrSocket, path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%w at %s", ErrInUse, path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // a full queue, for one, is no proof of death
		return fmt.Errorf("%w: %s: %w", ErrInUse, path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("%w: %w", ErrSocket, err)
	}
	return nil
}
