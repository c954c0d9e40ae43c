// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/containerd/continuity/sysx"
	"golang.org/x/sys/unix"
)

// unchanged reports whether the sealed layer below already has, to the second,
// what n would write. Such a file must not be written again: whether a layer
// lists a file that was only touched is up to the differ, and overlayfs's and
// the walking one disagree where a time has a fraction.
func (a *applier) unchanged(p string, have os.FileInfo, n node, src source) (bool, error) {
	was, want := have.Sys().(*syscall.Stat_t), n.stat()
	if was.Mode != want.Mode || was.Uid != want.Uid || was.Gid != want.Gid || was.Rdev != want.Rdev ||
		have.ModTime().Unix() != n.mtime.Unix() {
		return false, nil
	}
	old := a.dirs.Out + p
	switch n.info.Mode().Type() {
	case os.ModeSymlink:
		return sameTarget(old, src.path)
	case 0:
		if src.rewrite == nil && have.Size() != n.info.Size() {
			return false, nil
		}
		if same, err := sameCapability(old, src.path); err != nil || !same {
			return false, err
		}
		return sameContent(a.out, p, src)
	}
	return true, nil
}

func sameTarget(a, b string) (bool, error) {
	ta, err := os.Readlink(a)
	if err != nil {
		return false, err
	}
	tb, err := os.Readlink(b)
	return ta == tb, err
}

func sameCapability(a, b string) (bool, error) {
	ca, err := capability(a)
	if err != nil {
		return false, err
	}
	cb, err := capability(b)
	return bytes.Equal(ca, cb), err
}

func capability(p string) ([]byte, error) {
	c, err := sysx.LGetxattr(p, xattrCapability)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	return c, err
}

func sameContent(out *os.Root, p string, src source) (bool, error) {
	old, err := out.OpenFile(rel(p), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer old.Close()
	in, err := os.Open(src.path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	want, err := src.open(in)
	if err != nil {
		return false, err
	}
	return sameBytes(old, want)
}

func sameBytes(a, b io.Reader) (bool, error) {
	ra, rb := bufio.NewReaderSize(a, 64<<10), bufio.NewReaderSize(b, 64<<10)
	for {
		_, errA := ra.Peek(1)
		_, errB := rb.Peek(1)
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF {
				return false, err
			}
		}
		if errA != nil || errB != nil {
			return errA == errB, nil
		}
		n := min(ra.Buffered(), rb.Buffered())
		ca, _ := ra.Peek(n)
		cb, _ := rb.Peek(n)
		if !bytes.Equal(ca, cb) {
			return false, nil
		}
		_, _ = ra.Discard(n)
		_, _ = rb.Discard(n)
	}
}
