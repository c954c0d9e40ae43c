// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance/sbom"
)

// MaxRead is the largest document in bytes that Read takes: what BuildKit lets
// an attestation have.
const MaxRead = 80 << 20

// How much of everything Read takes.
const (
	maxPackages      = 100_000
	maxRelationships = 4_000_000
)

// ErrInvalid reports what is no SPDX document, or one that says two things.
var ErrInvalid = errors.New("invalid SPDX document")

// Read takes an SPDX document in JSON apart, version 2.2 or 2.3, whoever wrote
// it. Of our own documents it returns all that Packages was given, but for the
// requirements that Merge resolved. Of a file-level document it returns the
// packages.
//
// It refuses JSON that can be read in two ways, elements of the same
// identifier, and documents beyond MaxRead. What it does not know it leaves
// out.
func Read(data []byte) (*sbom.Inventory, *sbom.Image, error) {
	if len(data) > MaxRead {
		return nil, nil, fmt.Errorf("%w: %d bytes, and the limit is %d", ErrTooLarge, len(data), MaxRead)
	}
	var doc wireDocument
	if err := strictjson.UnmarshalOpen(data, &doc); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if doc.SPDXVersion != "SPDX-2.2" && doc.SPDXVersion != "SPDX-2.3" {
		return nil, nil, fmt.Errorf("%w: spdxVersion %q; SPDX-2.2 and SPDX-2.3 in JSON can be read", ErrInvalid, sbom.Cut(doc.SPDXVersion, 40))
	}
	if len(doc.Packages) > maxPackages || len(doc.Relationships) > maxRelationships {
		return nil, nil, fmt.Errorf("%w: %d packages and %d relationships, and the limits are %d and %d",
			ErrTooLarge, len(doc.Packages), len(doc.Relationships), maxPackages, maxRelationships)
	}
	r := reading{doc: &doc, ours: strings.HasPrefix(doc.Namespace, Namespace)}
	if err := r.index(); err != nil {
		return nil, nil, err
	}
	r.assignRoles()
	inv, err := r.inventory()
	if err != nil {
		return nil, nil, err
	}
	return inv, r.image(), nil
}

// A role is what a package is to the image.
type role int

const (
	asItem role = iota
	asImage
	asBase
	asInput
	asSystem
	asGroup // stands for a folder or a lock file, with the packages below it
)

// A reading is a document on its way to the model.
type reading struct {
	doc  *wireDocument
	ours bool // written by this package, so that annotations are notes
	at   map[string]int
	role []role
	use  map[int]string // of inputs
	note imageNote
	top  int // the image's package, -1 if there is none
}

// index finds packages by identifier, which must be unique.
func (r *reading) index() error {
	r.at = make(map[string]int, len(r.doc.Packages))
	for i, p := range r.doc.Packages {
		if _, there := r.at[p.ID]; there || p.ID == "" {
			return fmt.Errorf("%w: SPDXID %q is not that of one package", ErrInvalid, sbom.Cut(p.ID, 80))
		}
		r.at[p.ID] = i
	}
	r.role, r.use, r.top = make([]role, len(r.doc.Packages)), map[int]string{}, -1
	return nil
}

// assignRoles tells the image, its base and its tools from its packages.
func (r *reading) assignRoles() {
	for i, p := range r.doc.Packages {
		if p.Purpose == purposeSystem || p.Purpose == "OPERATING-SYSTEM" {
			r.role[i] = asSystem
		}
	}
	described := r.described()
	if len(described) == 1 {
		r.top = described[0]
	}
	for _, i := range described {
		if r.doc.Packages[i].Purpose == purposeContainer {
			r.top = i
		}
	}
	if r.top >= 0 {
		r.role[r.top] = asImage
	}
	for _, rel := range r.doc.Relationships {
		r.assignRole(rel)
	}
}

func (r *reading) assignRole(rel wireRelationship) {
	from, isPackage := r.at[rel.From]
	to, toPackage := r.at[rel.To]
	if !isPackage {
		return
	}
	switch rel.Type {
	case "DESCENDANT_OF":
		if from == r.top && toPackage && to != from {
			r.role[to] = asBase
		}
	case "BUILD_TOOL_OF", "BUILD_DEPENDENCY_OF":
		if toPackage && to == r.top && to != from {
			r.role[from] = asInput
			r.use[from] = map[string]string{"BUILD_TOOL_OF": sbom.UseTool, "BUILD_DEPENDENCY_OF": sbom.UseDependency}[rel.Type]
		}
	case "CONTAINS":
		p := r.doc.Packages[from]
		if p.Purpose == "APPLICATION" && p.purl() == "" && r.role[from] == asItem {
			r.role[from] = asGroup
		}
	}
}

// described lists the packages that the document says it is about.
func (r *reading) described() []int {
	ids := slices.Clone(r.doc.Describes)
	for _, rel := range r.doc.Relationships {
		switch {
		case rel.Type == "DESCRIBES" && rel.From == r.doc.SPDXID:
			ids = append(ids, rel.To)
		case rel.Type == "DESCRIBED_BY" && rel.To == r.doc.SPDXID:
			ids = append(ids, rel.From)
		}
	}
	var out []int
	for _, id := range ids {
		if i, there := r.at[id]; there {
			out = append(out, i)
		}
	}
	return ascending(out)
}

// image is what the document says beside packages.
func (r *reading) image() *sbom.Image {
	img := &sbom.Image{Created: sbom.Undated, Platform: r.note.Platform}
	if created, err := time.Parse(time.RFC3339, r.doc.CreationInfo.Created); err == nil {
		img.Created = created.Unix()
	}
	for context, comment := range contexts {
		if r.doc.CreationInfo.Comment == comment {
			img.Generation = context
		}
	}
	for _, creator := range r.doc.CreationInfo.Creators {
		tool, isTool := strings.CutPrefix(creator, "Tool: ")
		switch {
		case isTool && img.Tool == "":
			img.Tool = strings.TrimSpace(tool)
		case !isTool && img.Author == "" && known(creator) != "":
			img.Author = creator
		}
	}
	for i, p := range r.doc.Packages {
		switch r.role[i] {
		case asImage:
			img.Name, img.ID, img.Supplier = p.Name, p.Version, known(p.Supplier)
			if r.ours && img.Name == imageID {
				img.Name = ""
			}
		case asBase:
			img.Base = &sbom.BaseImage{Reference: p.Name, Digest: p.Version, PURL: p.purl(), SBOM: r.reference("DocumentRef-" + baseRef)}
			if r.ours && p.Name == noAssertion {
				img.Base.Reference = ""
			}
		case asInput:
			img.Inputs = append(img.Inputs, r.input(i))
		}
	}
	return img
}

func (r *reading) input(i int) sbom.Input {
	p := r.doc.Packages[i]
	in := sbom.Input{Name: p.Name, PURL: p.purl(), URI: known(p.Download), Checksums: sums(p.Checksums), Use: r.use[i]}
	var note inputNote
	if r.ours && len(p.Annotations) > 0 && strictjson.UnmarshalOpen([]byte(p.Annotations[0].Comment), &note) == nil {
		if note.URI != "" {
			in.URI = note.URI
		}
		if note.Use != "" {
			in.Use = note.Use
		}
	}
	return in
}

// reference returns the document by a name, nil if the document has none.
func (r *reading) reference(id string) *sbom.Document {
	for _, ref := range r.doc.ExternalDocumentRefs {
		if ref.ID == id && r.ours {
			return &sbom.Document{Namespace: ref.URI, SHA1: ref.Checksum.Value}
		}
	}
	return nil
}
