// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/sbom"
)

// A scan is one look at a tree. One goroutine decides what is read, in the
// order of the paths, so that the bounds fall on the same files every time;
// others read.
type scan struct {
	settings
	ctx   context.Context
	tree  *tree
	level Level
	layer bool // it is about a layer, not about all that there is

	work    chan func()
	workers sync.WaitGroup

	entryCount int
	bytes      int64    // of the files given to readers
	sources    []string // files that tell of ownership
	gone       lowest[string]
	findings   lowest[found]
	unreadable lowest[sbom.Unread]
	hashes     hashes
}

// found is a finding, still with the path in the bytes of the filesystem.
type found struct {
	path     string
	packages []sbom.Package
	weight   int  // see maxContent
	place    bool // a database of the operating system, which nobody owns
}

func newScan(ctx context.Context, t *tree, level Level, with settings) *scan {
	s := &scan{settings: with, ctx: ctx, tree: t, level: level, work: make(chan func())}
	s.findings = lowest[found]{
		max:     with.content,
		compare: func(a, b found) int { return strings.Compare(a.path, b.path) },
		weigh:   func(f found) int { return f.weight },
	}
	s.gone = lowest[string]{max: maxGone, compare: strings.Compare, weigh: func(p string) int { return len(p) + 3 }}
	s.unreadable = lowest[sbom.Unread]{
		max: with.unread,
		compare: func(a, b sbom.Unread) int {
			return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Reason, b.Reason))
		},
		weigh: func(sbom.Unread) int { return 1 },
	}
	for range runtime.GOMAXPROCS(0) {
		s.workers.Go(func() {
			for do := range s.work {
				if ctx.Err() == nil {
					do()
				}
			}
		})
	}
	return s
}

// regular looks at one regular file. anew is true for a file in whose place the
// tree below had one that a reader wanted: then it is told of even if it has no
// packages. It returns whether a reader wants the file.
func (s *scan) regular(p string, info fs.FileInfo, anew bool) bool {
	if s.level == Files {
		s.hash(p, info)
	}
	wanted := s.wanted(p, info)
	for _, o := range s.owning {
		if o.Wants(p) {
			s.source(p, info, wanted)
		}
	}
	if len(wanted) > 0 {
		s.read(p, p, info, wanted, anew)
	}
	return len(wanted) > 0
}

// source notes a file that tells of ownership. If it is a database that readers
// want too, it is they who count its size, and tell if it is too large.
func (s *scan) source(p string, info fs.FileInfo, wanted []reader) {
	switch {
	case len(wanted) > 0 && info.Size() > largest(wanted):
		return
	case len(wanted) == 0 && s.bytes+info.Size() > s.total:
		s.unread(p, s.tooMuch())
		return
	case len(wanted) == 0:
		s.bytes += info.Size()
	}
	s.sources = append(s.sources, p)
}

func (s *scan) tooMuch() error {
	return fmt.Errorf("%w: the files before it, by path, are %d bytes together", limit.ErrTooLarge, s.bytes)
}

func (s *scan) wanted(p string, info fs.FileInfo) []reader {
	var out []reader
	for _, r := range s.readers {
		if s.wants(r, p, info) {
			out = append(out, r)
		}
	}
	return out
}

// wants asks one reader, as ask does.
func (s *scan) wants(r reader, p string, info fs.FileInfo) (yes bool) {
	defer func() {
		if v := recover(); v != nil {
			yes = false
			s.unread(p, fmt.Errorf("%s: the reader gave up: %v", r.Name, v))
		}
	}()
	return r.Wants(p, info)
}

// read has the readers look at the file; in the report it is p.
func (s *scan) read(p, at string, info fs.FileInfo, readers []reader, anew bool) {
	if s.bytes+info.Size() > s.total && info.Size() <= largest(readers) {
		s.unread(p, s.tooMuch())
		readers = nil
	} else if info.Size() <= largest(readers) {
		s.bytes += info.Size()
	}
	s.work <- func() {
		f := found{path: p}
		for _, r := range readers {
			f.place = f.place || r.Places != nil
			packages, err := s.ask(r, at, info)
			if err != nil {
				s.unread(p, fmt.Errorf("%s: %w", r.Name, err))
			}
			f.packages = append(f.packages, packages...)
		}
		var err error
		if f.packages, err = clean(f.packages, s.perFile); err != nil {
			s.unread(p, err)
		}
		f.weight = weigh(f.packages)
		if len(f.packages) > 0 || anew {
			s.findings.add(f)
		}
	}
}

func largest(readers []reader) int64 {
	var size int64
	for _, r := range readers {
		size = max(size, r.Max)
	}
	return size
}

// ask has one reader read. Readers are full of other people's parsers, and the
// files are hostile: one that panics has not read its file, and that is all.
func (s *scan) ask(r reader, p string, info fs.FileInfo) (packages []sbom.Package, err error) {
	defer func() {
		if v := recover(); v != nil {
			packages, err = nil, fmt.Errorf("the reader gave up: %v", v)
		}
	}()
	if info.Size() > r.Max {
		return nil, fmt.Errorf("%w: %d bytes, of which %d would be read", limit.ErrTooLarge, info.Size(), r.Max)
	}
	return r.Read(s.ctx, s.tree, p, info)
}

// unread notes that p could not be read. Of an error about a file only what
// happened goes into the report: the paths in it are not the image's.
func (s *scan) unread(p string, err error) {
	if len(p) > s.path {
		p = path.Dir(p[:s.path])
	}
	s.unreadable.add(sbom.Unread{Path: sbom.Path(p), Reason: reason(err)})
}

// isUnread is for when the readers are done.
func (s *scan) isUnread(p string) bool {
	list, _ := s.unreadable.sorted()
	return slices.ContainsFunc(list, func(u sbom.Unread) bool { return u.Path == sbom.Path(p) })
}

func reason(err error) string {
	var pathErr *fs.PathError
	text := err.Error()
	if errors.As(err, &pathErr) {
		text = strings.Replace(text, pathErr.Error(), pathErr.Err.Error(), 1)
	}
	return text1(text, maxReason)
}
