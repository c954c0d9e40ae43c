// SPDX-License-Identifier: Apache-2.0

// Package java finds what is in Java archives: jars, the archives of
// applications that have jars in them, and libraries that were shaded into one
// jar. It goes by what Debian's Maven repository says, else by Maven's files in
// the archive (META-INF/maven), else by the manifest, else by the archive's
// name. It does not look at class files.
package java

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/archive"
	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/provenance/sbom"
)

// What one file of the image may cost, beside the bounds of package archive.
const (
	maxSize = 4 << 30
	// maxDepth is how deep archives may be in archives: a library in a module
	// in an application needs three.
	maxDepth = 5
	// maxNested is the largest compressed archive in an archive in bytes, and
	// maxHeld how many bytes of such are in memory at once.
	maxNested = 256 << 20
	maxHeld   = 512 << 20
	// maxManifest and maxPOM are the largest manifest and file of Maven's in
	// bytes. Manifests have a digest for each file of a signed jar.
	maxManifest = 16 << 20
	maxPOM      = 4 << 20
	// maxErrors is how many errors of one file are told.
	maxErrors = 5
)

// extensions of archives with Java's layout: libraries, web and enterprise
// applications, and plugins.
var extensions = map[string]bool{
	".jar": true, ".war": true, ".ear": true, ".par": true, ".sar": true, ".jpi": true, ".hpi": true, ".lpkg": true, ".nar": true, ".kar": true,
}

func isArchive(name string) bool { return extensions[strings.ToLower(path.Ext(name))] }

// Readers returns the row for Java archives.
func Readers() []ecosystem.Reader {
	return []ecosystem.Reader{{
		Name: "Java archive", Wants: func(p string, _ fs.FileInfo) bool { return isArchive(p) }, Max: maxSize, Read: read,
	}}
}

func read(ctx context.Context, t ecosystem.Tree, p string, info fs.FileInfo) ([]sbom.Package, error) {
	if info.Size() == 0 {
		return nil, nil // a placeholder
	}
	f, err := t.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, fmt.Errorf("%T cannot be read at an offset", f)
	}
	return packages(ctx, path.Base(p), r, info.Size(), recorded(t, p))
}

// Archive returns the packages in an archive of size bytes, with what was
// found before an error.
func Archive(ctx context.Context, name string, r io.ReaderAt, size int64) ([]sbom.Package, error) {
	return packages(ctx, name, r, size, nil)
}

// packages is Archive for one that may be one of the projects that are recorded
// elsewhere.
func packages(ctx context.Context, name string, r io.ReaderAt, size int64, recorded []*pom) ([]sbom.Package, error) {
	s := &search{ctx: ctx, budget: archive.NewBudget()}
	if _, err := s.archive(name, r, size, 1, recorded); err != nil {
		s.failed(err)
	}
	return s.packages, errors.Join(s.errs...)
}

// A search is one look into one file of the image.
type search struct {
	ctx      context.Context
	budget   *archive.Budget
	held     int64
	packages []sbom.Package
	errs     []error
}

func (s *search) failed(err error) {
	if len(s.errs) < maxErrors {
		s.errs = append(s.errs, err)
	}
}

// archive looks into one archive and returns the name of the package that it
// is itself. Everything in it is needed by that.
func (s *search) archive(name string, r io.ReaderAt, size int64, depth int, recorded []*pom) (string, error) {
	if depth > maxDepth {
		return "", fmt.Errorf("%w: archives more than %d deep", archive.ErrBound, maxDepth)
	}
	z, err := s.budget.Open(r, size)
	if err != nil {
		return "", err
	}
	c, nested := s.contents(z)
	main, others := c.packages(name, recorded)
	if main.Checksums, err = s.checksums(io.NewSectionReader(r, 0, size)); err != nil {
		return "", err
	}
	for _, other := range others {
		main.Requires = append(main.Requires, []string{other.Name})
	}
	// The main package keeps its place, but is complete only at the end.
	place := len(s.packages)
	s.packages = append(append(s.packages, main), others...)
	main.Top = depth == 1 && len(nested) > 0
	for _, f := range nested {
		inner, err := s.nested(r, f, depth)
		if err != nil {
			s.failed(fmt.Errorf("%s: %w", path.Base(f.Name), err))
		}
		if inner != "" && inner != main.Name {
			main.Requires = append(main.Requires, []string{inner})
		}
		if errors.Is(err, archive.ErrBound) && len(s.errs) == maxErrors {
			break // the rest would fail as well
		}
	}
	s.packages[place] = main
	return main.Name, s.ctx.Err()
}

// checksums reads an archive from beginning to end.
func (s *search) checksums(r io.Reader) (map[string]string, error) {
	one, two := sha1.New(), sha256.New()
	if _, err := io.Copy(io.MultiWriter(one, two), &cancellable{s.ctx, r}); err != nil {
		return nil, err
	}
	return map[string]string{"SHA1": hex.EncodeToString(one.Sum(nil)), "SHA256": hex.EncodeToString(two.Sum(nil))}, nil
}

// cancellable stops a long read.
type cancellable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// nested looks into an archive in an archive. Spring Boot stores them as they
// are, so that they need no memory.
func (s *search) nested(outer io.ReaderAt, f *entry, depth int) (string, error) {
	if err := s.ctx.Err(); err != nil {
		return "", err
	}
	if f.UncompressedSize64 == 0 {
		return "", nil
	}
	name := path.Base(strings.ReplaceAll(f.Name, `\`, "/"))
	stored, err := s.budget.Stored(outer, f)
	if err != nil {
		return "", err
	}
	if stored != nil {
		return s.archive(name, stored, stored.Size(), depth+1, nil)
	}
	if s.held+int64(min(f.UncompressedSize64, maxHeld)) > maxHeld {
		return "", fmt.Errorf("%w: more than %d bytes of compressed archives in archives", archive.ErrBound, maxHeld)
	}
	data, err := s.budget.ReadAll(f, maxNested)
	if err != nil {
		return "", err
	}
	s.held += int64(len(data))
	defer func() { s.held -= int64(len(data)) }()
	return s.archive(name, bytes.NewReader(data), int64(len(data)), depth+1, nil)
}
