// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An applier writes the changes of one step into the sealed layer. All writes
// go through descriptors of directories that were opened below out without
// following links that lead out of it (os.Root), because the tree it writes
// into is the work of an untrusted build.
type applier struct {
	dirs   Dirs
	rules  Rules
	out    *os.Root
	report Report

	// links maps an inode of upper to the first path that this layer has for
	// it. Members of a set of hard links that the step did not change are left
	// alone: overlayfs breaks such a set when it copies one member up, and a
	// walking differ does not, so tying new names to old files would make the
	// layer depend on the snapshotter.
	links map[uint64]string

	written []Change

	// touched has every directory below which something was written.
	touched map[string]bool

	parentPath string // of the directory that parentDir is open on
	parentDir  *os.File
}

func newApplier(d Dirs, rules Rules) (*applier, error) {
	out, err := os.OpenRoot(d.Out)
	if err != nil {
		return nil, fmt.Errorf("open the new layer: %w", err)
	}
	return &applier{dirs: d, rules: rules, out: out,
		links: map[uint64]string{}, touched: map[string]bool{}}, nil
}

func (a *applier) close() {
	if a.parentDir != nil {
		a.parentDir.Close()
	}
	a.out.Close()
}

// change is a visitor: it carries one change of the build step over.
func (a *applier) change(deleted bool, p string, info os.FileInfo) error {
	a.report.Changes++
	if deleted || info.Mode()&os.ModeSocket != 0 {
		// A layer cannot hold a socket; what it replaced is gone all the same.
		return a.remove(p)
	}
	var rewrite rewriteFunc
	if rule := a.rule(p, info); rule != nil {
		a.report.Scrubbed = append(a.report.Scrubbed, Scrubbed{Path: p, Rule: rule.ID})
		if rule.rewrite == nil {
			return nil
		}
		rewrite = rule.rewrite
	}
	if err := a.place(p, info, rewrite); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	return nil
}

func (a *applier) rule(p string, info os.FileInfo) *ScrubRule {
	if !a.rules.Scrub || !info.Mode().IsRegular() {
		return nil
	}
	return scrubRule(p)
}

func (a *applier) remove(p string) error {
	name := rel(p)
	if _, err := a.out.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil // scrubbed from a layer below
	} else if err != nil {
		return err
	}
	a.wrote(p, true)
	return a.out.RemoveAll(name)
}

// wrote puts p on record, and its directories on the list of those whose times
// are to be settled.
func (a *applier) wrote(p string, deleted bool) {
	a.written = append(a.written, Change{Path: p, Deleted: deleted})
	a.touch(path.Dir(p))
}

// place makes out have at p what upper has there.
func (a *applier) place(p string, info os.FileInfo, rewrite rewriteFunc) error {
	have, err := a.out.Lstat(rel(p))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := a.parent(path.Dir(p))
	if err != nil {
		return err
	}
	n := node{dir: dir, name: path.Base(p), info: info, mtime: a.clamp(info.ModTime())}
	if info.IsDir() {
		return a.placeDir(n, p, have)
	}
	if a.linked(p, info) {
		return a.link(n, p, have)
	}
	source := source{path: a.dirs.Upper + p, clamp: a.rules.Time, rewrite: rewrite, patch: a.pycPatch(p, info)}
	if have != nil {
		same, err := a.unchanged(p, have, n, source)
		if err != nil {
			return err
		}
		if same {
			// Nor may a later name be tied to a file of a layer below.
			delete(a.links, n.stat().Ino)
			return nil
		}
		if err := a.out.RemoveAll(rel(p)); err != nil {
			return err
		}
	}
	a.wrote(p, false)
	return n.create(source)
}

// placeDir makes the directory, or brings the metadata of the one that is
// there up to date. Its times are set when everything below it is written.
func (a *applier) placeDir(n node, p string, have os.FileInfo) error {
	a.touch(p)
	if have != nil && have.IsDir() {
		same, err := sameEntry(a.dirs.Out+p, have, a.dirs.Upper+p, n.info)
		if err != nil || same {
			return err
		}
	} else {
		if have != nil {
			if err := a.out.RemoveAll(rel(p)); err != nil {
				return err
			}
		}
		if err := unix.Mkdirat(n.fd(), n.name, 0o700); err != nil {
			return fmt.Errorf("make directory: %w", err)
		}
	}
	a.wrote(p, false)
	return n.setDirMetadata(a.dirs.Upper + p)
}

// linked reports whether an earlier change of this layer is the same file. If
// not, p is remembered as the first of its set.
func (a *applier) linked(p string, info os.FileInfo) bool {
	st := info.Sys().(*syscall.Stat_t)
	if st.Nlink < 2 {
		return false
	}
	if _, ok := a.links[st.Ino]; ok {
		return true
	}
	a.links[st.Ino] = p
	return false
}

func (a *applier) link(n node, p string, have os.FileInfo) error {
	first := a.links[n.info.Sys().(*syscall.Stat_t).Ino]
	if have != nil {
		if err := a.out.RemoveAll(rel(p)); err != nil {
			return err
		}
	}
	a.wrote(p, false)
	return a.out.Link(rel(first), rel(p))
}

// parent returns a descriptor of the directory p in out.
func (a *applier) parent(p string) (*os.File, error) {
	if a.parentDir != nil && a.parentPath == p {
		return a.parentDir, nil
	}
	if a.parentDir != nil {
		a.parentDir.Close()
		a.parentDir = nil
	}
	dir, err := a.out.OpenFile(rel(p), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open directory %s of the new layer: %w", p, err)
	}
	a.parentPath, a.parentDir = p, dir
	return dir, nil
}

// touch marks p and its ancestors: the layer's tar repeats the ancestors of
// every change, so their times must be normal as well.
func (a *applier) touch(p string) {
	for ; p != "/" && !a.touched[p]; p = path.Dir(p) {
		a.touched[p] = true
	}
}

// settleDirs gives all touched directories the time T, deepest first, because
// writing below a directory changes its time. Their own times are unknown: a
// snapshotter that copies, as the native one does, gives every directory the
// time of the copy.
func (a *applier) settleDirs() error {
	dirs := make([]string, 0, len(a.touched))
	for p := range a.touched {
		dirs = append(dirs, p)
	}
	sort.Slice(dirs, func(i, j int) bool {
		di, dj := strings.Count(dirs[i], "/"), strings.Count(dirs[j], "/")
		return di > dj || di == dj && dirs[i] < dirs[j]
	})
	for _, p := range dirs {
		if err := a.out.Chtimes(rel(p), a.rules.Time, a.rules.Time); err != nil {
			return err
		}
	}
	return nil
}

// rel makes an absolute path of the image one that os.Root takes.
func rel(p string) string {
	if p == "/" {
		return "."
	}
	return p[1:]
}
