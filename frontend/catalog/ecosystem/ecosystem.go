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
	// Places are the paths where a database must be, if there is one. In such a
	// place a link, at any part of the path, is followed within the tree, and
	// what is no readable file is told. Nil for what may be anywhere.
	Places []string
	// Beside are files without which those in Places cannot be understood,
	// such as a journal: a change to one is a change to the other. By path, the
	// place.
	Beside map[string]string
}

// Tree is the image's root filesystem. Paths are absolute or, as fs.FS has it,
// relative to the root; links are followed within the tree, as a process in
// the container would follow them. Only regular files and folders are opened.
type Tree interface {
	fs.StatFS
	// ReadAll reads a file of at most limit bytes.
	ReadAll(path string, limit int64) ([]byte, error)
	// ReadDir lists a folder, sorted by name.
	ReadDir(path string) ([]fs.DirEntry, error)
	// Resolve returns the absolute path of what is at path, without links.
	Resolve(path string) (string, error)
	// Once returns what make returned when it was first called for the key, which
	// begins with the reader's package. It is for what is found out about the
	// tree, not about one file of it. Whoever calls meanwhile waits.
	Once(key string, make func() any) any
	// System is what os-release says; never nil.
	System() *sbom.System
}

// An Owning is one kind of database that tells which package a file belongs to.
type Owning struct {
	// Name is for messages.
	Name string
	// Wants decides by the absolute path whether the file lists files of
	// packages.
	Wants func(path string) bool
	// Read calls own for each file of a package, with the path as the database
	// has it and the package's sbom.Package.Key. The paths given are those of
	// files that Wants was true for, sorted.
	Read func(ctx context.Context, t Tree, paths []string, own func(path, key string)) error
}
