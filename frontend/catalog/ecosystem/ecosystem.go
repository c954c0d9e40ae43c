// SPDX-License-Identifier: Apache-2.0

// Package ecosystem is what the readers of package databases and package files
// have in common: one row per kind of file, and a view of the image's files
// that no link leads out of and no size goes beyond.
//
// The rows themselves are in the packages beside it, one per ecosystem; the
// catalogue asks each of them about each file.
package ecosystem

import (
	"context"
	"io/fs"

	"github.com/plombproject/plomb/provenance/sbom"
)

// A Reader is one kind of file that tells of packages.
type Reader struct {
	// Name is for messages: dpkg, jar.
	Name string
	// Wants decides by path and file information alone whether the file might
	// tell of packages. It is asked about every regular file, so it is quick.
	// Paths are absolute.
	Wants func(path string, info fs.FileInfo) bool
	// Max is the largest size in bytes that is read. What is larger is unread.
	Max int64
	// Read returns the packages that the file tells of, in any order. An error
	// makes the file unread; packages beside an error count.
	Read func(ctx context.Context, t Tree, path string, info fs.FileInfo) ([]sbom.Package, error)
}

// Tree is the image's root filesystem. Paths are absolute; links are followed
// within the tree, as a process in the container would follow them.
type Tree interface {
	fs.StatFS // names as in fs.FS, relative and without a leading slash
	// ReadAll reads a file of at most limit bytes.
	ReadAll(path string, limit int64) ([]byte, error)
	// ReadDir lists a folder, sorted by name.
	ReadDir(path string) ([]fs.DirEntry, error)
	// System is what os-release says; never nil.
	System() *sbom.System
}
