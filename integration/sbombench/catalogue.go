// SPDX-License-Identifier: Apache-2.0

package sbombench

import (
	"context"
	"os"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

// Catalogue writes the package-level document of a root filesystem: what the
// frontend does for an image whose base is all of it, without the containers.
func Catalogue(ctx context.Context, root, file string) error {
	found, err := catalog.Root(ctx, root, catalog.Packages)
	if err != nil {
		return err
	}
	inventory := sbom.Merge([]sbom.Layer{{Report: found.Report, Base: true}})
	document, err := spdx.Packages(inventory, sbom.Image{Platform: "linux/amd64", Tool: "plomb"}, nil)
	if err != nil {
		return err
	}
	return os.WriteFile(file, document, 0o644)
}
