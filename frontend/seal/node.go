// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/continuity/sysx"
	"golang.org/x/sys/unix"
)

// A node is one directory entry to be written: name in the open directory dir,
// with the metadata of info, and mtime in place of info's time.
type node struct {
	dir   *os.File
	name  string
	info  os.FileInfo
	mtime time.Time
}

// A source is where a node's content comes from.
type source struct {
	path    string      // in upper
	clamp   time.Time   // T, for rewrite
	rewrite rewriteFunc // the whole content, or nil
	patch   patchFunc   // the first pycHeader bytes, or nil
}

type (
	rewriteFunc func(content []byte, clamp time.Time) []byte
	patchFunc   func(head []byte)
)

// maxRewrite bounds, in bytes, a file that is rewritten as a whole.
const maxRewrite = 16 << 20

func (n node) stat() *syscall.Stat_t { return n.info.Sys().(*syscall.Stat_t) }

func (n node) fd() int { return int(n.dir.Fd()) }

// setDirMetadata sets all but the times of the directory that is there.
func (n node) setDirMetadata(from string) error {
	fd, err := unix.Openat(n.fd(), n.name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	f := os.NewFile(uintptr(fd), n.name)
	defer f.Close()
	return n.setMetadata(f, from)
}

// create writes a new entry of any kind but a directory.
func (n node) create(src source) error {
	st := n.stat()
	switch n.info.Mode().Type() {
	case 0:
		return n.createRegular(src)
	case os.ModeSymlink:
		target, err := os.Readlink(src.path)
		if err != nil {
			return err
		}
		if err := unix.Symlinkat(target, n.fd(), n.name); err != nil {
			return fmt.Errorf("make symbolic link: %w", err)
		}
	case os.ModeNamedPipe, os.ModeDevice, os.ModeDevice | os.ModeCharDevice:
		if err := unix.Mknodat(n.fd(), n.name, st.Mode, int(st.Rdev)); err != nil {
			return fmt.Errorf("make %s: %w", n.info.Mode().Type(), err)
		}
	default:
		return fmt.Errorf("unknown kind of file: %s", n.info.Mode())
	}
	if err := unix.Fchownat(n.fd(), n.name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set owner: %w", err)
	}
	if n.info.Mode()&os.ModeSymlink == 0 {
		if err := unix.Fchmodat(n.fd(), n.name, st.Mode&0o7777, 0); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
	}
	return n.setTimes()
}

func (n node) createRegular(src source) error {
	fd, err := unix.Openat(n.fd(), n.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("make file: %w", err)
	}
	f := os.NewFile(uintptr(fd), n.name)
	defer f.Close()
	if err := n.copyContent(f, src); err != nil {
		return fmt.Errorf("copy content: %w", err)
	}
	if err := n.setMetadata(f, src.path); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return n.setTimes()
}

func (n node) copyContent(dst *os.File, src source) error {
	in, err := os.Open(src.path)
	if err != nil {
		return err
	}
	defer in.Close()
	if src.rewrite == nil && src.patch == nil {
		return copyData(dst, in, n.stat())
	}
	content, err := src.open(in)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, content)
	return err
}

// open returns the content as it will be in the layer.
func (s source) open(in *os.File) (io.Reader, error) {
	switch {
	case s.rewrite != nil:
		content, err := io.ReadAll(io.LimitReader(in, maxRewrite+1))
		if err != nil {
			return nil, err
		}
		if len(content) > maxRewrite {
			return nil, fmt.Errorf("larger than the %d bytes that a scrub rule rewrites", maxRewrite)
		}
		return bytes.NewReader(s.rewrite(content, s.clamp)), nil
	case s.patch != nil:
		head := make([]byte, pycHeader)
		if _, err := io.ReadFull(in, head); err != nil {
			return nil, err
		}
		s.patch(head)
		return io.MultiReader(bytes.NewReader(head), in), nil
	}
	return in, nil
}

// setMetadata sets owner, extended attributes and mode, in this order: a
// change of owner clears capabilities and the setuid bit.
func (n node) setMetadata(f *os.File, from string) error {
	st := n.stat()
	if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return fmt.Errorf("set owner: %w", err)
	}
	if err := copyXattrs(f, from); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), st.Mode&0o7777); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return nil
}

func (n node) setTimes() error {
	ts := unix.NsecToTimespec(n.mtime.UnixNano())
	if err := unix.UtimesNanoAt(n.fd(), n.name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set times: %w", err)
	}
	return nil
}

const xattrCapability = "security.capability"

// copyXattrs carries over capabilities and user attributes. The others belong
// to the machine: overlayfs keeps its books in trusted.*, SELinux labels by
// where a file is.
func copyXattrs(f *os.File, from string) error {
	names, err := sysx.LListxattr(from)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list extended attributes: %w", err)
	}
	for _, name := range names {
		if name != xattrCapability && !strings.HasPrefix(name, "user.") {
			continue
		}
		value, err := sysx.LGetxattr(from, name)
		if err != nil {
			return fmt.Errorf("read extended attribute %s: %w", name, err)
		}
		if err := unix.Fsetxattr(int(f.Fd()), name, value, 0); err != nil {
			return fmt.Errorf("set extended attribute %s: %w", name, err)
		}
	}
	return nil
}
