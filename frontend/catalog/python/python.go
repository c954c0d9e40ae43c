// SPDX-License-Identifier: Apache-2.0

// Package python finds installed Python distributions by their core metadata
// (https://packaging.python.org/en/latest/specifications/core-metadata/): in
// dist-info and egg-info folders, in egg-info files, and inside eggs and wheels.
//
// It does not read requirements and lock files, which tell what somebody meant
// to install.
package python

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/archive"
	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/frontend/catalog/license"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	// maxMetadata is the largest metadata file in bytes. It holds the package's
	// description, which may be a manual.
	maxMetadata = 8 << 20
	// maxLicenseFile is the largest licence file in bytes that is compared with
	// the common licences.
	maxLicenseFile = 64 << 10
	// maxArchive is the largest egg or wheel in bytes: some have a machine
	// learning framework in them.
	maxArchive = 4 << 30
	// maxDistributions is how many one egg or wheel may hold.
	maxDistributions = 1000
)

// Readers returns the rows for metadata files, and for eggs and wheels.
func Readers() []ecosystem.Reader {
	return []ecosystem.Reader{
		{Name: "Python distribution", Wants: func(p string, _ fs.FileInfo) bool { return isMetadata(p) }, Max: maxMetadata, Read: read},
		{Name: "Python archive", Wants: func(p string, _ fs.FileInfo) bool { return isArchive(p) }, Max: maxArchive, Read: readArchive},
	}
}

// isMetadata tells the files of core metadata by where they are.
func isMetadata(p string) bool {
	dir, name := path.Split(p)
	dir = path.Base(dir)
	switch name {
	case "METADATA":
		return strings.HasSuffix(dir, ".dist-info")
	case "PKG-INFO":
		return strings.HasSuffix(dir, ".egg-info") || dir == "EGG-INFO"
	}
	return strings.HasSuffix(name, ".egg-info")
}

func isArchive(p string) bool { return strings.HasSuffix(p, ".egg") || strings.HasSuffix(p, ".whl") }

func read(_ context.Context, t ecosystem.Tree, p string, _ fs.FileInfo) ([]sbom.Package, error) {
	text, err := t.ReadAll(p, maxMetadata)
	if err != nil {
		return nil, err
	}
	distribution, err := Metadata(text)
	if err != nil {
		return nil, err
	}
	if distribution.License == "" {
		distribution.License = licenseFile(t, path.Dir(p), headers(text)["license-file"])
	}
	// "The REQUESTED file is created when a distribution is installed by direct
	// user request" (recording installed projects, PyPA).
	if path.Base(p) == "METADATA" {
		if _, err := t.Stat(path.Join(path.Dir(p), "REQUESTED")); err == nil {
			distribution.Top = true
		}
	}
	return []sbom.Package{distribution}, nil
}

// licenseFile is the licence of a distribution that says nothing but which file
// has its licence, "" if there are several or the text is no common one. Files
// are in the metadata folder, since metadata 2.4 in its folder licenses.
func licenseFile(t ecosystem.Tree, dir string, names []string) string {
	if len(names) != 1 {
		return ""
	}
	for _, folder := range []string{dir, path.Join(dir, "licenses")} {
		if text, err := t.ReadAll(path.Join(folder, path.Clean("/"+names[0])), maxLicenseFile); err == nil {
			return license.FromText(string(text))
		}
	}
	return ""
}

// readArchive reads the metadata files in an egg or a wheel.
func readArchive(ctx context.Context, t ecosystem.Tree, p string, info fs.FileInfo) ([]sbom.Package, error) {
	f, err := t.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, fmt.Errorf("%T cannot be read at an offset", f)
	}
	return Archive(ctx, r, info.Size())
}

// Archive returns the distributions in an egg or a wheel of size bytes.
func Archive(ctx context.Context, r io.ReaderAt, size int64) ([]sbom.Package, error) {
	budget := archive.NewBudget()
	z, err := budget.Open(r, size)
	if err != nil {
		return nil, err
	}
	var found []sbom.Package
	for _, f := range z.File {
		// Metadata at the top is the archive's own; deeper down it is that of
		// distributions that were bundled, and in the archive all the same.
		if !isMetadata("/" + f.Name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return found, err
		}
		if len(found) == maxDistributions {
			return found, fmt.Errorf("%w: more than %d distributions", archive.ErrBound, maxDistributions)
		}
		text, err := budget.ReadAll(f, maxMetadata)
		if err != nil {
			return found, err
		}
		distribution, err := Metadata(text)
		if err != nil {
			return found, err
		}
		found = append(found, distribution)
	}
	return found, nil
}

var errNameless = errors.New("the metadata has no name")
