// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"os"
	"syscall"
)

// A visitor takes one change: p is absolute in the image; info is upper's, nil
// for something deleted. A deleted or replaced directory is one change, and
// what was in it is implied.
type visitor func(deleted bool, p string, info os.FileInfo) error

// walk visits what differs between lower and upper, in the order of the path
// names, as continuity's fs.Changes does. It is not that function because a
// file that a build step did not touch is the same inode in both trees where
// the snapshotter is overlayfs; that takes two stats to see, and continuity
// reads both files.
func walk(ctx context.Context, lower, upper, p string, visit visitor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	was, err := os.ReadDir(lower + p)
	if err != nil {
		return err
	}
	is, err := os.ReadDir(upper + p)
	if err != nil {
		return err
	}
	for len(was) > 0 || len(is) > 0 {
		switch {
		case len(is) == 0 || len(was) > 0 && was[0].Name() < is[0].Name():
			if err := visit(true, join(p, was[0].Name()), nil); err != nil {
				return err
			}
			was = was[1:]
		case len(was) == 0 || is[0].Name() < was[0].Name():
			if err := added(ctx, upper, join(p, is[0].Name()), visit); err != nil {
				return err
			}
			is = is[1:]
		default:
			if err := both(ctx, lower, upper, join(p, is[0].Name()), visit); err != nil {
				return err
			}
			was, is = was[1:], is[1:]
		}
	}
	return nil
}

// added visits p and everything below it.
func added(ctx context.Context, upper, p string, visit visitor) error {
	info, err := os.Lstat(upper + p)
	if err != nil {
		return err
	}
	if err := visit(false, p, info); err != nil || !info.IsDir() {
		return err
	}
	return addedBelow(ctx, upper, p, visit)
}

func addedBelow(ctx context.Context, upper, p string, visit visitor) error {
	below, err := os.ReadDir(upper + p)
	if err != nil {
		return err
	}
	for _, e := range below {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := added(ctx, upper, join(p, e.Name()), visit); err != nil {
			return err
		}
	}
	return nil
}

// both visits p, which is in both trees, if it is not the same, and goes on
// below it.
func both(ctx context.Context, lower, upper, p string, visit visitor) error {
	was, err := os.Lstat(lower + p)
	if err != nil {
		return err
	}
	is, err := os.Lstat(upper + p)
	if err != nil {
		return err
	}
	same, err := sameEntry(lower+p, was, upper+p, is)
	if err != nil {
		return err
	}
	if !same {
		if err := visit(false, p, is); err != nil {
			return err
		}
	}
	switch {
	case !is.IsDir():
		return nil
	case was.IsDir():
		return walk(ctx, lower, upper, p, visit)
	}
	return addedBelow(ctx, upper, p, visit)
}

// sameEntry reports whether a build step left p alone. Times of directories do
// not count: a layer lists a directory for what it is, not for what came and
// went in it.
func sameEntry(a string, was os.FileInfo, b string, is os.FileInfo) (bool, error) {
	sa, sb := was.Sys().(*syscall.Stat_t), is.Sys().(*syscall.Stat_t)
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
