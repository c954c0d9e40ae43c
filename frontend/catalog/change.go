// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// changes looks at what a layer wrote, and notes what it took away. The report
// says of a path that it is gone only if an earlier report may have told of it:
// then it was a folder, a file that a reader wants, or, at the level of files,
// any file.
func (s *scan) changes(below *tree, changes []Change) {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	changes = slices.CompactFunc(changes, func(a, b Change) bool { return a.Path == b.Path })
	was, is := newPlain(below, s.depth), newPlain(s.tree, s.depth)
	defer was.close()
	defer is.close()
	journals := map[string]bool{}
	for i, c := range changes {
		if s.ctx.Err() != nil {
			return
		}
		if i == s.entries {
			s.unread("/", fmt.Errorf("%w: the layer changes more than %d", errManyEntries, s.entries))
			return
		}
		s.entryCount++
		if len(c.Path) > s.path {
			s.unread(c.Path, fmt.Errorf("the path is longer than %d bytes", s.path))
			continue
		}
		s.change(was, is, c)
		for _, r := range s.readers {
			if place := r.Beside[c.Path]; place != "" {
				journals[place] = true
			}
		}
	}
	s.again(is, journals, changes)
}

func (s *scan) change(was, is *plain, c Change) {
	before := s.told(was, c.Path)
	var info fs.FileInfo
	if !c.Deleted {
		var err error
		info, err = is.lstat(c.Path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.unread(c.Path, err)
		}
	}
	switch {
	case info == nil:
		s.goneIf(before != nil, c.Path)
	case info.IsDir():
		// What is in it has changes of its own.
		s.goneIf(before != nil && !before.IsDir(), c.Path)
	case info.Mode().IsRegular():
		anew := before != nil && !before.IsDir()
		wanted := s.regular(c.Path, info, anew)
		s.goneIf(before != nil && (before.IsDir() || !wanted && len(s.wanted(c.Path, before)) > 0), c.Path)
	default:
		s.goneIf(before != nil, c.Path)
	}
}

// told returns what was at p if a report of the tree below may tell of it.
func (s *scan) told(was *plain, p string) fs.FileInfo {
	info, err := was.lstat(p)
	switch {
	case err != nil:
		return nil
	case info.IsDir():
		return info
	case info.Mode().IsRegular() && (s.level == Files || len(s.wanted(p, info)) > 0):
		return info
	}
	return nil
}

func (s *scan) goneIf(gone bool, p string) {
	if gone {
		s.gone.add(p)
	}
}

// again reads the databases of which only the journal changed.
func (s *scan) again(is *plain, places map[string]bool, changes []Change) {
	for _, c := range changes {
		delete(places, c.Path)
	}
	for _, place := range slices.Sorted(maps.Keys(places)) {
		info, err := is.lstat(place)
		if err == nil && info.Mode().IsRegular() {
			s.read(place, place, info, s.wanted(place, info), true)
		}
	}
}
