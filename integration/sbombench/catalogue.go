// SPDX-License-Identifier: Apache-2.0

package sbombench

import (
	"bufio"
	"context"
	"os"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

// Catalogue writes the document of a root filesystem: what the frontend does
// for an image whose base is all of it, without the containers. At the level of
// files it is the second document, which lists every file.
func Catalogue(ctx context.Context, level catalog.Level, root, file string) error {
	found, err := catalog.Root(ctx, root, level)
	if err != nil {
		return err
	}
	image := sbom.Image{Platform: "linux/amd64", Tool: "plomb"}
	inventory := sbom.Merge([]sbom.Layer{{Report: found.Report, Base: true}})
	if level == catalog.Files {
		return writeFiles(inventory, image, found.Files, file)
	}
	document, err := spdx.Packages(inventory, image, nil)
	if err != nil {
		return err
	}
	return os.WriteFile(file, document, 0o644)
}

func writeFiles(inventory *sbom.Inventory, image sbom.Image, files []sbom.File, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	each := func(yield func(sbom.File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
	buffered := bufio.NewWriter(out)
	if _, err := spdx.Files(image, inventory, each, buffered); err != nil {
		return err
	}
	return buffered.Flush()
}
