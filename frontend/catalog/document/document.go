// SPDX-License-Identifier: Apache-2.0

// Package document puts what the looks at an image found into documents. It
// runs in two places: in the frontend, where the list of packages is small
// enough to travel, and as a helper in a build container (step.go), where there
// is a list of all files as well.
package document

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

// A Spec is what the documents say and no look can know. Layers describes the
// reports, in their order.
type Spec struct {
	Image  sbom.Image `json:"image"`
	Layers []Layer    `json:"layers"`
	Files  bool       `json:"files,omitempty"` // a document of all files is wanted as well
}

// A Layer is where a report came from.
type Layer struct {
	Base        bool   `json:"base,omitempty"` // the report of a whole base image
	DiffID      string `json:"diffID,omitempty"`
	Instruction string `json:"instruction,omitempty"`
	Line        int    `json:"line,omitempty"` // of the Dockerfile, from 1; 0: not known
}

// Packages writes the document that lists packages. files is the one that
// lists files, nil if there is none.
func Packages(spec Spec, reports []*sbom.Report, files *sbom.Document) ([]byte, error) {
	inventory, err := merge(spec, reports)
	if err != nil {
		return nil, err
	}
	return spdx.Packages(inventory, spec.Image, files)
}

func merge(spec Spec, reports []*sbom.Report) (*sbom.Inventory, error) {
	if len(reports) != len(spec.Layers) {
		return nil, fmt.Errorf("there are %d reports of %d layers", len(reports), len(spec.Layers))
	}
	layers := make([]sbom.Layer, len(reports))
	for i, r := range reports {
		l := spec.Layers[i]
		layers[i] = sbom.Layer{Report: *r, Base: l.Base, DiffID: l.DiffID, Instruction: l.Instruction, Line: l.Line}
	}
	inventory := sbom.Merge(layers)
	doubt(inventory)
	return inventory, nil
}

// ofSystem are the types of packages that a distribution is made of.
var ofSystem = map[string]bool{"deb": true, "apk": true, "rpm": true}

// doubt notes that an image which says that it is of a distribution, and has
// none of its packages, has more in it than is listed: its package manager is
// not known, or somebody deleted the database and not the packages.
func doubt(inventory *sbom.Inventory) {
	if inventory.System == nil || inventory.System.ID == "" ||
		slices.ContainsFunc(inventory.Items, func(i sbom.Item) bool { return ofSystem[i.Type] }) {
		return
	}
	more := sbom.Unread{Path: "/etc/os-release", Reason: "it names a distribution, of whose packages there is no database that plomb knows"}
	at, _ := slices.BinarySearchFunc(inventory.Unread, more, func(a, b sbom.Unread) int { return strings.Compare(a.Path, b.Path) })
	inventory.Unread = slices.Insert(inventory.Unread, at, more)
}
