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

// A placed is what is to be told of a place where a database has to be.
type placed struct {
	at   string      // the path in the report, "" if there is nothing to tell
	info fs.FileInfo // of the file behind a link, nil if there is none
	err  error       // why there is none
}

// linkedPlaces looks where databases have to be. A walk does not follow links,
// because what they lead to is somewhere in the tree and is found there. But a
// database is known by where it is: behind a link it would be found nowhere.
//
// With a tree below it is about a layer. What is behind a link is then read
// whether it changed or not: it is too rare to find out.
func (s *scan) linkedPlaces(below *tree) {
	told := map[string]bool{}
	for _, r := range s.readers {
		for _, place := range r.Places {
			var was placed
			if below != nil {
				was = look(below, r, place)
			}
			is := look(s.tree, r, place)
			s.goneIf(was.at != "" && was.at != is.at, was.at)
			switch {
			case is.info != nil:
				s.read(place, place, is.info, []reader{r}, was.at != "")
			case is.err != nil && !told[is.at]:
				told[is.at] = true
				s.unread(is.at, is.err)
			}
		}
	}
}

// look finds out about one place in a tree.
func look(t *tree, r reader, place string) placed {
	if link := brokenLink(t, place); link != "" {
		return placed{at: link, err: errDangling}
	}
	info, err := t.Stat(place)
	if err != nil {
		return placed{}
	}
	at, through, err := t.linked(place)
	switch {
	case err != nil:
		return placed{at: place, err: err}
	case !info.Mode().IsRegular():
		return placed{at: place, err: errNoFile}
	case !through || r.Wants(at, info):
		return placed{} // found without following the link
	}
	return placed{at: place, info: info}
}

// brokenLink returns the first link in the path if it leads nowhere.
func brokenLink(t *tree, place string) string {
	p := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(place, "/"), "/") {
		p = path.Join(p, part)
		info, err := t.root.Lstat(p)
		if err != nil {
			return ""
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if _, err := t.Stat(p); err != nil {
				return "/" + p
			}
			return ""
		}
	}
	return ""
}
