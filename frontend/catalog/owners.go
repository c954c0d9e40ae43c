// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance/sbom"
)

// owners finds out to which packages of the operating system the files belong,
// by path. Nothing is read unless somebody wants to know.
func (s *scan) owners(findings []found, files []sbom.File) map[string]string {
	if len(s.sources) == 0 {
		return nil
	}
	owners := map[string]string{}
	for _, f := range findings {
		if !f.place {
			owners[f.path] = ""
		}
	}
	for _, f := range files {
		owners[f.Path] = ""
	}
	if len(owners) == 0 {
		return nil
	}
	moved := s.merged()
	own := func(p, key string) {
		if top, rest, deep := strings.Cut(strings.TrimPrefix(p, "/"), "/"); deep && moved[top] != "" {
			p = moved[top] + "/" + rest
		}
		if owner, asked := owners[p]; asked && owner == "" {
			owners[p] = key
		}
	}
	for _, o := range s.owning {
		s.askOwning(o, own)
	}
	return owners
}

func (s *scan) askOwning(o owning, own func(p, key string)) {
	var sources []string
	for _, p := range s.sources {
		if o.Wants(p) {
			sources = append(sources, p)
		}
	}
	if len(sources) == 0 {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.unread(sources[0], fmt.Errorf("%s: the reader gave up: %v", o.Name, v))
		}
	}()
	if err := o.Read(s.ctx, s.tree, sources, own); err != nil {
		// A database that its reader could not read is told of already.
		if p := culprit(err, sources); !s.isUnread(p) {
			s.unread(p, fmt.Errorf("%s: %w", o.Name, err))
		}
	}
}

// culprit returns which of the files the error is about, if it says so.
func culprit(err error, files []string) string {
	var about *fs.PathError
	if errors.As(err, &about) {
		if p := "/" + strings.TrimPrefix(about.Path, "/"); slices.Contains(files, p) {
			return p
		}
	}
	return files[0]
}

// merged maps folders at the top that are links to where they lead. Package
// managers know files by the path in the package, which may be /bin/sh on a
// system whose /bin is usr/bin.
func (s *scan) merged() map[string]string {
	moved := map[string]string{}
	entries, err := s.tree.ReadDir("/")
	if err != nil {
		return moved
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if at, _, err := s.tree.linked("/" + e.Name()); err == nil && at != "/." {
			moved[e.Name()] = at
		}
	}
	return moved
}
