// SPDX-License-Identifier: Apache-2.0

// Package dpkg reads the database of Debian's package manager: the status file
// (dpkg(1), deb822(5)), its form of one file per package that distroless images
// have, the licences in usr/share/doc, what apt notes of packages that nobody
// asked for, and which files belong to which package.
//
// A stanza that breaks the format is left out and told of; the others count.
// Messages never quote the file: what is read may not be the database at all.
package dpkg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	statusFile = "/var/lib/dpkg/status"
	statusDir  = "/var/lib/dpkg/status.d/"
	listDir    = "/var/lib/dpkg/info/"

	// maxStatus is the largest status file in bytes. With all 60,000 packages
	// of Debian installed it would have about 70 MB.
	maxStatus = 128 << 20
	// maxPackages is how many are read. Debian has 60,000, many of which exclude
	// each other.
	maxPackages = 50_000
	// maxControl is the largest file of one package in bytes.
	maxControl = 1 << 20
)

// Readers are the rows of the catalogue's table.
func Readers() []ecosystem.Reader {
	return []ecosystem.Reader{
		{
			Name:   "dpkg",
			Wants:  func(p string, _ fs.FileInfo) bool { return p == statusFile },
			Max:    maxStatus,
			Places: []string{statusFile},
			Read:   readStatus,
		},
		{
			Name: "dpkg of one package",
			Wants: func(p string, _ fs.FileInfo) bool {
				name, in := strings.CutPrefix(p, statusDir)
				return in && !strings.Contains(name, "/") && !strings.HasSuffix(name, ".md5sums")
			},
			Max:    maxControl,
			Places: []string{}, // a database, but with no fixed name
			Read:   readControl,
		},
	}
}

func readStatus(ctx context.Context, t ecosystem.Tree, p string, _ fs.FileInfo) ([]sbom.Package, error) {
	data, err := t.ReadAll(p, maxStatus)
	if err != nil {
		return nil, err
	}
	return packages(ctx, t, data, true)
}

func readControl(ctx context.Context, t ecosystem.Tree, p string, _ fs.FileInfo) ([]sbom.Package, error) {
	data, err := t.ReadAll(p, maxControl)
	if err != nil {
		return nil, err
	}
	return packages(ctx, t, data, false)
}

var errMany = fmt.Errorf("no more than %d packages are read", maxPackages)

// errBroken is wrapped by what is wrong with a stanza.
var errBroken = errors.New("broken")

// packages returns those that are installed. In status files every stanza has
// to say whether it is; a file of one package is there only if it is.
func packages(ctx context.Context, t ecosystem.Tree, data []byte, status bool) ([]sbom.Package, error) {
	d := describer{system: t.System(), licenses: newLicenses(t), auto: readAuto(t)}
	seen := map[string]bool{}
	var out []sbom.Package
	var broken faults
	for n, s := range stanzas(data) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(out) == maxPackages {
			broken.add(n, errMany)
			break
		}
		p, err := d.describe(s, status)
		if err == nil && p != nil && seen[p.Key()] {
			err = fmt.Errorf("%w: the package was there before", errBroken)
		}
		if err != nil {
			broken.add(n, err)
		}
		if p != nil {
			seen[p.Key()] = true
			out = append(out, *p)
		}
	}
	if err := broken.err(); err != nil || d.licenses.left >= 0 {
		return out, err
	}
	return out, fmt.Errorf("licences: %w: copyright files of more than %d bytes together", limit.ErrTooLarge, maxCopyrights)
}

// faults counts broken stanzas and remembers the first.
type faults struct {
	count, first int
	reason       error
}

func (f *faults) add(n int, err error) {
	if f.count == 0 {
		f.first, f.reason = n, err
	}
	f.count++
}

func (f *faults) err() error {
	if f.count == 0 {
		return nil
	}
	return fmt.Errorf("stanza %d, and %d others: %w", f.first, f.count-1, f.reason)
}

// docCopyright is where a package's licences are (Debian Policy 12.5).
func docCopyright(name string) string { return path.Join("/usr/share/doc", name, "copyright") }
