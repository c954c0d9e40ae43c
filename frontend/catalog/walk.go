// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// walk looks at everything in the tree, sorted by path within each folder.
func (s *scan) walk() {
	info, err := s.tree.root.Lstat(".")
	if err != nil {
		s.unread("/", err)
		return
	}
	s.entryCount++
	s.folder(s.tree.root, "", device(info), 0)
}

// folder looks at what is in one folder, whose path is "" for the root. It
// opens folders by name from the one above, not by path from the root: that is
// a sixth of the system calls on a usual tree.
func (s *scan) folder(dir *os.Root, p string, dev uint64, depth int) {
	entries, err := s.list(dir)
	if err != nil {
		s.unread(p+"/", err)
		return
	}
	s.entryCount += len(entries)
	for _, e := range entries {
		if s.ctx.Err() != nil {
			return
		}
		name := p + "/" + e.Name()
		info, err := e.Info()
		switch {
		case err != nil:
			s.unread(name, err)
		case len(name) > s.path:
			s.unread(name, fmt.Errorf("the path is longer than %d bytes", s.path))
		case info.Mode().IsRegular():
			s.regular(name, info, false)
		case info.IsDir() && device(info) != dev:
			// Mounted into the tree: no part of the image.
		case info.IsDir():
			s.below(dir, e.Name(), name, dev, depth+1)
		}
	}
}

func (s *scan) below(dir *os.Root, base, p string, dev uint64, depth int) {
	if depth > s.depth {
		s.unread(p, fmt.Errorf("more than %d folders deep", s.depth))
		return
	}
	sub, err := dir.OpenRoot(base)
	if err != nil {
		s.unread(p, err)
		return
	}
	defer sub.Close()
	s.folder(sub, p, dev, depth)
}

// list returns the entries of a folder, or none of them if there are too many:
// which of them would be in half a folder is up to the filesystem.
func (s *scan) list(dir *os.Root) ([]fs.DirEntry, error) {
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	room := min(s.folderEntries, s.entries-s.entryCount)
	entries, err := readDir(f, room)
	if err != nil {
		return nil, fmt.Errorf("%w: %d in one folder, %d in all", err, s.folderEntries, s.entries)
	}
	return entries, nil
}

func device(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Dev
	}
	return 0
}
