// SPDX-License-Identifier: Apache-2.0

// Package catalog finds the packages in an image's files: which there are,
// which file says so, and, on request, the digest of every file. It reads what
// package managers and linkers left behind; it runs nothing and asks no
// network, and it does not judge what it found.
//
// Root looks at a whole tree, as for a base image. Layer looks at what one
// build step changed, so that the parts of an image that did not change are not
// read again. provenance/sbom puts the reports of an image together.
//
// Everything in the tree is hostile: no link leads out of it, nothing but
// regular files is opened, every size and number has a bound (bounds.go), and
// what could not be read is in the report as such and never loses the rest.
// Equal trees give equal reports, to the byte.
package catalog

import (
	"context"
	"fmt"

	"github.com/plombproject/plomb/provenance/sbom"
)

// A Level is how much is listed.
type Level string

// The levels.
const (
	Packages Level = "packages"
	Files    Level = "files" // packages, and every regular file with its digests
)

// A Change is a path that a layer wrote or deleted.
type Change struct {
	// Path is absolute in the image, in the bytes of the filesystem.
	Path string
	// Deleted is true if the path is in the tree below and not in this one. What
	// was below a deleted folder need not be listed.
	Deleted bool
}

// A Result is what Root and Layer found.
type Result struct {
	Report sbom.Report
	// Files is nil unless the level is Files, and sorted by path.
	Files []sbom.File
}

// Root looks at everything below dir.
func Root(ctx context.Context, dir string, level Level) (*Result, error) {
	return root(ctx, dir, level, defaults())
}

func root(ctx context.Context, dir string, level Level, with settings) (*Result, error) {
	t, err := openTree(dir)
	if err != nil {
		return nil, fmt.Errorf("open the root filesystem: %w", err)
	}
	defer t.close()
	s := newScan(ctx, t, level, with)
	s.walk()
	s.linkedPlaces(nil)
	result, err := s.finish()
	if err != nil {
		return nil, err
	}
	if t.hasSystem() {
		result.Report.System = t.System()
	}
	return result, nil
}

// Layer looks at what changes name. The tree with the changes is at dir, the
// one without them at lower.
//
// The report tells of the layer alone: a file belongs to the package that was
// written with it, and a package of which only the licence text, the
// distribution's name or the entry in Debian's Maven repository changed keeps
// what an earlier report said of it.
func Layer(ctx context.Context, lower, dir string, changes []Change, level Level) (*Result, error) {
	return layer(ctx, lower, dir, changes, level, defaults())
}

func layer(ctx context.Context, lower, dir string, changes []Change, level Level, with settings) (*Result, error) {
	below, err := openTree(lower)
	if err != nil {
		return nil, fmt.Errorf("open the root filesystem below the layer: %w", err)
	}
	defer below.close()
	t, err := openTree(dir)
	if err != nil {
		return nil, fmt.Errorf("open the root filesystem with the layer: %w", err)
	}
	defer t.close()
	s := newScan(ctx, t, level, with)
	s.layer = true
	s.changes(below, changes)
	s.linkedPlaces(below)
	result, err := s.finish()
	if err != nil {
		return nil, err
	}
	if touchesSystem(changes) {
		result.Report.System = t.System()
	}
	return result, nil
}
