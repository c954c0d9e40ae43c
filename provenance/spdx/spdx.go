// SPDX-License-Identifier: Apache-2.0

// Package spdx writes and reads SPDX 2.3 documents in JSON
// (https://spdx.github.io/spdx-spec/v2.3/) from and to the model in
// provenance/sbom. docs/sbom.md says what is where in them.
//
// Equal inventories give equal bytes: the time is the image's, the namespace is
// derived from the content, and everything is sorted. The bytes are as
// encoding/json writes them, so that an exporter that encodes a document again
// as part of a statement keeps them.
//
// It does not look for packages, and does not judge licences: what an inventory
// does not know is NOASSERTION.
package spdx

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/plombproject/plomb/provenance/sbom"
)

// PredicateType is what attestations of these documents say they are.
const PredicateType = "https://spdx.dev/Document"

// Namespace is what the namespaces of our documents start with. The SHA-256 of
// the document, with an empty namespace, follows.
const Namespace = "https://plombproject.github.io/sbom/sha256-"

// Limit is the largest document in bytes. BuildKit before 0.33 refuses
// attestations beyond 40 MiB, later ones beyond 80 MiB; the statement around
// the document needs room as well.
const Limit = 32 << 20

// ErrTooLarge reports a document beyond Limit.
var ErrTooLarge = errors.New("SBOM too large")

// Identifiers of elements that every document of ours may have.
const (
	documentID = "DOCUMENT"
	imageID    = "image"
	baseID     = "base-image"
	baseRef    = "base"  // the base image's own document
	filesRef   = "files" // the file-level document of the same image
)

const (
	none        = "NONE"
	noAssertion = "NOASSERTION"
)

// Packages writes the package-level document of an image. Files is the
// file-level document of the same image, nil if there is none.
func Packages(inv *sbom.Inventory, img sbom.Image, files *sbom.Document) ([]byte, error) {
	d := newDocument(img)
	licences := collectLicences(inv.Items)
	ids := identify(inv, img)

	d.add(imagePackage(inv, img, d.stamp))
	d.relate(documentID, common.TypeRelationshipDescribe, imageID)
	if img.Base != nil {
		d.addBase(img.Base)
	}
	d.addFileLevel(files)
	d.addInputs(img.Inputs, ids.inputs)
	if inv.System != nil {
		d.add(systemPackage(inv.System, ids.system))
		d.relate(imageID, common.TypeRelationshipContains, ids.system)
	}
	origins := origins(inv.Items)
	for i, item := range inv.Items {
		d.add(itemPackage(item, ids.items[i], licences, origins, d.stamp))
	}
	d.relateItems(inv.Items, ids.items)
	d.relateUnknown(inv)
	d.OtherLicenses = licences.declared()
	return d.bytes()
}

// A document is what is written so far.
type document struct {
	v2_3.Document
	stamp stamp
}

func newDocument(img sbom.Image) *document {
	s := newStamp(img)
	return &document{stamp: s, Document: v2_3.Document{
		SPDXVersion:    v2_3.Version,
		DataLicense:    v2_3.DataLicense,
		SPDXIdentifier: documentID,
		DocumentName:   sbom.Text(documentName(img), sbom.MaxName),
		CreationInfo:   s.creationInfo(),
	}}
}

func documentName(img sbom.Image) string {
	switch {
	case img.Name != "":
		return img.Name
	case img.ID != "":
		return img.ID
	}
	return imageID
}

func (d *document) add(p *v2_3.Package) { d.Document.Packages = append(d.Document.Packages, p) }

func (d *document) relate(from common.ElementID, relation string, to common.ElementID) {
	d.Relationships = append(d.Relationships, &v2_3.Relationship{
		RefA:         common.DocElementID{ElementRefID: from},
		RefB:         common.DocElementID{ElementRefID: to},
		Relationship: relation,
	})
}

// refer names another document, and says which element it is about. Not with
// DESCRIBED_BY, which would be SPDX's word for it: syft looks at its last part
// only, and takes the element for what this document is about.
func (d *document) refer(ref common.DocumentID, other sbom.Document, about common.ElementID) {
	d.ExternalDocumentReferences = append(d.ExternalDocumentReferences, v2_3.ExternalDocumentRef{
		DocumentRefID: ref, URI: other.Namespace,
		Checksum: common.Checksum{Algorithm: common.SHA1, Value: other.SHA1},
	})
	d.Relationships = append(d.Relationships, &v2_3.Relationship{
		RefA:         common.DocElementID{DocumentRefID: ref, ElementRefID: documentID},
		RefB:         common.DocElementID{ElementRefID: about},
		Relationship: common.TypeRelationshipMetafileOf,
	})
}

// bytes encodes the document, with the namespace that its content gives it.
func (d *document) bytes() ([]byte, error) {
	d.DocumentNamespace = ""
	data, err := encode(&d.Document)
	if err != nil {
		return nil, err
	}
	// Inside a string the quotes would be escaped: it is there once.
	member := []byte(`"documentNamespace":"`)
	data = bytes.Replace(data, member, append(member, namespace(data)...), 1)
	if len(data) > Limit {
		return nil, fmt.Errorf("%w: %d packages make %d bytes, and the limit is %d; build with PLOMB_SBOM=off to go without",
			ErrTooLarge, len(d.Document.Packages), len(data), Limit)
	}
	return data, nil
}
