// SPDX-License-Identifier: Apache-2.0

// Package dpkg reads the database of Debian's package manager.
package dpkg

import (
	"context"
	"io/fs"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/provenance/sbom"
)

// Readers are the rows of the catalogue's table.
func Readers() []ecosystem.Reader {
	return []ecosystem.Reader{{
		Name:   "dpkg",
		Wants:  func(p string, _ fs.FileInfo) bool { return p == "/var/lib/dpkg/status" },
		Max:    64 << 20,
		Places: []string{"/var/lib/dpkg/status"},
		Read: func(context.Context, ecosystem.Tree, string, fs.FileInfo) ([]sbom.Package, error) {
			return nil, nil
		},
	}}
}

// Ownings are the rows of the catalogue's table of owners.
func Ownings() []ecosystem.Owning { return nil }
