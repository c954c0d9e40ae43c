// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"
)

const (
	lockName       = "lock"
	checkpointName = "checkpoints.jsonl"
	tornPrefix     = "torn-"
)

var (
	fileShape = regexp.MustCompile(`^receipts-([0-9]{6})\.jsonl$`)
	tornShape = regexp.MustCompile(`^torn-[0-9]{6}-[0-9]+(\.[0-9]+)?$`)
)

// fileName is that of the n-th file, counted from 1; names sort as numbers do.
func fileName(n int) string { return fmt.Sprintf("receipts-%06d.jsonl", n) }

// numberOf is the inverse of fileName, 0 for the name of something else.
func numberOf(name string) int {
	m := fileShape.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}

// numbers lists the files of the log in dir, in their order.
func numbers(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []int
	for _, e := range entries {
		if n := numberOf(e.Name()); n > 0 {
			list = append(list, n)
		}
	}
	slices.Sort(list)
	return list, nil
}

// ensureFolder makes the folder, or demands that it is one that nobody else
// can write to: who can, could put a link in the place of a file.
func ensureFolder(dir string) error {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := syncFolder(filepath.Dir(dir)); err != nil {
			return err
		}
		info, err = os.Lstat(dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder but %s: remove it", dir, kind(info))
	}
	if err := ours(info); err != nil {
		return fmt.Errorf("%s %w", dir, err)
	}
	if info.Mode().Perm() != 0o700 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// ours demands that the user who writes owns what is written to.
func ours(info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("belongs to another user: chown it to %d", os.Geteuid())
	}
	return nil
}

func kind(info fs.FileInfo) string {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "a symbolic link"
	case info.IsDir():
		return "a folder"
	case info.Mode().IsRegular():
		return "a file"
	}
	return "a device or pipe"
}

// openOwn opens a file of the log. A link is not followed, and a pipe does not
// make it wait.
func openOwn(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: remove it", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = fmt.Errorf("%s is no file but %s: remove it", path, kind(info))
	default:
		if err = ours(info); err != nil {
			err = fmt.Errorf("%s %w", path, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openAny opens a file to read it, whoever owns it: an auditor has a copy.
func openAny(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

// syncFolder makes new names in a folder last.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// A lock is held by one writer of all processes.
type lock struct{ file *os.File }

// acquire takes the lock of dir, or gives up when ctx ends: who holds it may be
// stopped. how is syscall.LOCK_EX or LOCK_SH.
func (l *lock) acquire(ctx context.Context, dir string, how int) error {
	path := filepath.Join(dir, lockName)
	wait := 200 * time.Microsecond
	for {
		if l.file == nil {
			f, err := openOwn(path, os.O_RDWR|os.O_CREATE)
			if err != nil {
				return err
			}
			l.file = f
		}
		err := syscall.Flock(int(l.file.Fd()), how|syscall.LOCK_NB)
		switch {
		case err == nil && l.current(path):
			return nil
		case err == nil:
			// Somebody removed the file: others lock another one.
			l.close()
			continue
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is held by another process: %w", path, ctx.Err())
		case <-time.After(wait):
		}
		wait = min(2*wait, 5*time.Millisecond)
	}
}

// current tells whether the file that is locked is the one at path.
func (l *lock) current(path string) bool {
	at, err := os.Lstat(path)
	if err != nil {
		return false
	}
	locked, err := l.file.Stat()
	return err == nil && os.SameFile(at, locked)
}

func (l *lock) release() {
	if l.file != nil {
		_ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	}
}

func (l *lock) close() {
	if l.file != nil {
		_ = l.file.Close() // which releases it
		l.file = nil
	}
}
