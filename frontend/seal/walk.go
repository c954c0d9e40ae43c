// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A visitor takes one change: p is absolute in the image; info is upper's, nil
// for something deleted. A deleted or replaced directory is one change, and
// what was in it is implied.
type visitor func(deleted bool, p string, info os.FileInfo) error

// A walker finds what differs between two trees.
type walker struct {
	lower, upper string
	visit        visitor
	began        unix.StatxTimestamp // see untouched
}

// walk visits what differs between lower and upper, in the order of the path
// names, as continuity's fs.Changes does. It is not that function because
// where the snapshotter is overlayfs, what a build step did not touch is the
// same inode in both trees, and directories can be passed over without a look
// at what is in them. continuity reads both trees, and the files as well.
func walk(ctx context.Context, lower, upper string, visit visitor) error {
	w := walker{lower: lower, upper: upper, visit: visit}
	if isOverlay(upper) {
		w.began = birth(upper)
	}
	return w.compare(ctx, "/")
}

// isOverlay reports whether p is a view of layers by overlayfs. Snapshotters on
// btrfs, ZFS or block devices keep inodes and their change times as well, but
// there a directory above a change stays as it is.
func isOverlay(p string) bool {
	var st unix.Statfs_t
	return unix.Statfs(p, &st) == nil && st.Type == unix.OVERLAYFS_SUPER_MAGIC
}

func (w walker) compare(ctx context.Context, p string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	was, err := os.ReadDir(w.lower + p)
	if err != nil {
		return err
	}
	is, err := os.ReadDir(w.upper + p)
	if err != nil {
		return err
	}
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].Name() < is[0].Name():
			if err := w.visit(true, join(p, was[0].Name()), nil); err != nil {
				return err
			}
			was = was[1:]
		case len(was) == 0 || is[0].Name() < was[0].Name():
			if err := w.added(ctx, join(p, is[0].Name())); err != nil {
				return err
			}
			is = is[1:]
		default:
			if err := w.both(ctx, join(p, is[0].Name())); err != nil {
				return err
			}
			was, is = was[1:], is[1:]
		}
	}
	return nil
}

// added visits p and everything below it.
func (w walker) added(ctx context.Context, p string) error {
	info, err := os.Lstat(w.upper + p)
	if err != nil {
		return err
	}
	if err := w.visit(false, p, info); err != nil || !info.IsDir() {
		return err
	}
	return w.addedBelow(ctx, p)
}

func (w walker) addedBelow(ctx context.Context, p string) error {
	below, err := os.ReadDir(w.upper + p)
	if err != nil {
		return err
	}
	for _, e := range below {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.added(ctx, join(p, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// both visits p, which is in both trees, if it is not the same, and goes on
// below it.
func (w walker) both(ctx context.Context, p string) error {
	was, err := os.Lstat(w.lower + p)
	if err != nil {
		return err
	}
	is, err := os.Lstat(w.upper + p)
	if err != nil {
		return err
	}
	if is.IsDir() && w.untouched(stat(was), stat(is)) {
		return nil
	}
	same, err := sameEntry(w.lower+p, was, w.upper+p, is)
	if err != nil {
		return err
	}
	if !same {
		if err := w.visit(false, p, is); err != nil {
			return err
		}
	}
	switch {
	case !is.IsDir():
		return nil
	case was.IsDir():
		return w.compare(ctx, p)
	}
	return w.addedBelow(ctx, p)
}

// untouched reports whether nothing in a directory changed, at any depth.
//
// Before overlayfs changes anything in a directory of a layer below, it makes
// the directory and those above it anew in the top layer, and from then on
// shows the new one's change time. So a directory that is one inode with one
// change time in both trees is not in the layers by which the trees differ.
// Change times move in ticks of some milliseconds: they tell a directory that
// was made anew apart only if it was quiet before the top layer, whose root
// then was born, came to be. It holds for overlayfs alone: see isOverlay.
func (w walker) untouched(was, is *syscall.Stat_t) bool {
	return was.Ino == is.Ino && was.Ctim == is.Ctim && was.Mode == is.Mode &&
		(is.Ctim.Sec < w.began.Sec || is.Ctim.Sec == w.began.Sec && is.Ctim.Nsec < int64(w.began.Nsec))
}

// birth returns when a file was made, or 0 where the filesystem cannot tell.
func birth(p string) unix.StatxTimestamp {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, p, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &st); err != nil || st.Mask&unix.STATX_BTIME == 0 {
		return unix.StatxTimestamp{}
	}
	return st.Btime
}

func stat(info os.FileInfo) *syscall.Stat_t { return info.Sys().(*syscall.Stat_t) }

// sameEntry reports whether a build step left p alone. Times of directories do
// not count: a layer lists a directory for what it is, not for what came and
// went in it.
func sameEntry(a string, was os.FileInfo, b string, is os.FileInfo) (bool, error) {
	sa, sb := stat(was), stat(is)
	if sa.Mode != sb.Mode || sa.Uid != sb.Uid || sa.Gid != sb.Gid || sa.Rdev != sb.Rdev {
		return false, nil
	}
	if is.IsDir() {
		return sameCapability(a, b)
	}
	if sa.Size != sb.Size || sa.Mtim != sb.Mtim {
		return false, nil
	}
	// The kernel moves the change time on with every change of content,
	// metadata or attributes, and no build step can set it.
	if sa.Ino == sb.Ino && sa.Ctim == sb.Ctim {
		return true, nil
	}
	if same, err := sameCapability(a, b); err != nil || !same {
		return false, err
	}
	switch is.Mode().Type() {
	case os.ModeSymlink:
		return sameTarget(a, b)
	case 0:
		return sameFiles(a, b)
	}
	return true, nil
}

// sameFiles compares the content of two regular files.
func sameFiles(a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	return sameBytes(fa, fb)
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}
