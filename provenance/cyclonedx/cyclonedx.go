// SPDX-License-Identifier: Apache-2.0

// Package cyclonedx writes CycloneDX 1.6 documents in JSON
// (https://cyclonedx.org/docs/1.6/json/) from the model in provenance/sbom, and
// reads those of versions 1.4 to 1.6 into it. docs/sbom.md says what is where
// in them.
//
// Equal inventories give equal bytes: the time is the image's, the serial number
// is derived from the content, and everything is sorted.
//
// It does not look for packages, and leaves out what an inventory does not know.
package cyclonedx

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/plombproject/plomb/provenance/sbom"
)

// Limit is the largest document in bytes that Write makes and Read takes: what
// BuildKit lets an attestation have.
const Limit = 80 << 20

// ErrTooLarge reports a document beyond Limit.
var ErrTooLarge = errors.New("SBOM too large")

const schema = "http://cyclonedx.org/schema/bom-1.6.schema.json"

// References of components that every document may have.
const (
	imageRef = "image"
	baseRef  = "base-image"
)

// Names of our properties; docs/sbom.md defines them.
const (
	propBase        = "plomb:origin:base"
	propLayer       = "plomb:origin:layer"
	propInstruction = "plomb:origin:instruction"
	propLine        = "plomb:origin:line"
	propType        = "plomb:type"
	propArch        = "plomb:arch"
	propTop         = "plomb:top"
	propContains    = "plomb:contains"
	propUnknown     = "plomb:unknown"
	propLicence     = "plomb:licenseText:" // and the LicenseRef-
	propSourceName  = "plomb:source:name"
	propSource      = "plomb:source:version"
	propPlatform    = "plomb:platform"
	propFiles       = "plomb:files"
	propLevel       = "plomb:level"
	propUnread      = "plomb:unread"
	propMore        = "plomb:unreadMore"
	propCodename    = "plomb:codename"
	propUse         = "plomb:use"
	propURI         = "plomb:uri"
)

// Write makes the document of an image.
func Write(inv *sbom.Inventory, img sbom.Image) ([]byte, error) {
	refs := sbom.Identifiers{imageRef: 0, baseRef: 0}
	bom := cdx.BOM{
		JSONSchema: schema, BOMFormat: cdx.BOMFormat, SpecVersion: cdx.SpecVersion1_6, Version: 1,
		Metadata: metadata(inv, img),
	}
	var components []cdx.Component
	roots := []string{}
	if inv.System != nil {
		system := systemComponent(inv.System, refs.Take("OperatingSystem-"+inv.System.ID, "", ""))
		components, roots = append(components, system), append(roots, system.BOMRef)
	}
	bom.Formulation = formulation(img.Inputs, refs)
	ids := refs.Items(inv.Items)
	single := singlePaths(inv.Items)
	for i, item := range inv.Items {
		components = append(components, itemComponent(item, ids, i, single))
	}
	bom.Components = list(components)
	bom.Dependencies = dependencies(inv.Items, ids, roots)
	bom.Compositions = compositions(inv)
	return encode(&bom)
}

// encode writes the document with the serial number that its content gives it.
func encode(bom *cdx.BOM) ([]byte, error) {
	data, err := json.Marshal(bom)
	if err != nil {
		return nil, err
	}
	bom.SerialNumber = serial(data)
	if data, err = json.Marshal(bom); err != nil {
		return nil, err
	}
	if len(data) > Limit {
		return nil, fmt.Errorf("%w: %d bytes, and the limit is %d", ErrTooLarge, len(data), Limit)
	}
	return data, nil
}

// serial is a UUID of version 8 (RFC 9562, 5.8: what is in it is up to the
// application): the start of the SHA-256 of the document without it.
func serial(data []byte) string {
	sum := sha256.Sum256(data)
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// compositions says whether the components are all there are. CycloneDX's
// "complete" is that no others are known to exist; "unknown", that this is
// inconclusive.
func compositions(inv *sbom.Inventory) *[]cdx.Composition {
	aggregate := cdx.CompositionAggregateComplete
	switch {
	case inv.Level == sbom.LevelImage:
		aggregate = cdx.CompositionAggregateIncomplete
	case len(inv.Unread) > 0:
		aggregate = cdx.CompositionAggregateUnknown
	}
	return &[]cdx.Composition{{Aggregate: aggregate, Assemblies: &[]cdx.BOMReference{imageRef}}}
}

// dependencies is the graph. The image depends on what nothing else needs, and
// on one of each circle that would otherwise hang in the air.
func dependencies(items []sbom.Item, ids, roots []string) *[]cdx.Dependency {
	brought := make([]bool, len(items))
	for _, item := range items {
		for _, need := range item.Needs {
			brought[need] = true
		}
	}
	reached := make([]bool, len(items))
	for pass := range 2 {
		for i := range items {
			if (pass == 0 && !brought[i]) || (pass == 1 && !reached[i]) {
				roots = append(roots, ids[i])
				reach(items, reached, i)
			}
		}
	}
	graph := []cdx.Dependency{{Ref: imageRef, Dependencies: list(roots)}}
	for i, item := range items {
		needs := []string{}
		for _, need := range item.Needs {
			needs = append(needs, ids[need])
		}
		graph = append(graph, cdx.Dependency{Ref: ids[i], Dependencies: list(needs)})
	}
	return &graph
}

// reach marks what can be reached from an item.
func reach(items []sbom.Item, reached []bool, from int) {
	todo := []int{from}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !reached[i] {
			reached[i] = true
			todo = append(todo, items[i].Needs...)
		}
	}
}

// list is nil for an empty list, so that nothing is written.
func list[T any](items []T) *[]T {
	if len(items) == 0 {
		return nil
	}
	return &items
}

// all is what a list holds.
func all[T any](items *[]T) []T {
	if items == nil {
		return nil
	}
	return *items
}

// timestamp is RFC 3339, in UTC.
func timestamp(created int64) string {
	if created == sbom.Undated {
		return ""
	}
	return time.Unix(created, 0).UTC().Format(time.RFC3339)
}

// a collection of properties that are known.
type properties []cdx.Property

func (p *properties) add(name, value string) {
	if value != "" {
		*p = append(*p, cdx.Property{Name: name, Value: value})
	}
}

func yes(b bool) string {
	return strings.TrimPrefix(fmt.Sprint(b), "false")
}
