// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

var (
	errNoFile   = errors.New("it is no file, though package managers keep their database here")
	errDangling = errors.New("the link leads nowhere in the image, though package managers keep their database here")
)

// linkedPlaces looks where databases have to be. A walk does not follow links,
// because what they lead to is somewhere in the tree and is found there. But a
// database is known by where it is: behind a link it would be found nowhere.
//
// With a tree below it is about a layer. What is behind a link is then read
// whether it changed or not: it is too rare to find out.
func (s *scan) linkedPlaces(below *tree) {
	dangling := map[string]bool{}
	for _, r := range s.readers {
		for _, place := range r.Places {
			was := below != nil && s.behindLink(below, r, place) != nil
			is := s.behindLink(s.tree, r, place)
			if is != nil {
				s.read(place, place, is, []reader{r}, was)
			}
			s.goneIf(was && is == nil, place)
			if link := s.broken(place); link != "" && !dangling[link] {
				dangling[link] = true
				s.unread(link, errDangling)
			}
		}
	}
}

// behindLink returns the file that a link in the place's path leads to, or nil
// if there is none or if it is found without the link.
func (s *scan) behindLink(t *tree, r reader, place string) fs.FileInfo {
	at, through, err := t.linked(place)
	if err != nil || !through {
		if info, err := t.Stat(place); err == nil && !info.Mode().IsRegular() && t == s.tree {
			s.unread(place, errNoFile)
		}
		return nil
	}
	info, err := t.Stat(place)
	switch {
	case err != nil:
		return nil
	case !info.Mode().IsRegular():
		if t == s.tree {
			s.unread(place, errNoFile)
		}
		return nil
	case r.Wants(at, info):
		return nil
	}
	return info
}

// broken returns the first link in the place's path if it leads nowhere.
func (s *scan) broken(place string) string {
	p := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(place, "/"), "/") {
		p = path.Join(p, part)
		info, err := s.tree.root.Lstat(p)
		if err != nil {
			return ""
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if _, err := s.tree.Stat(p); err != nil {
				return "/" + p
			}
			return ""
		}
	}
	return ""
}
