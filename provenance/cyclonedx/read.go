// SPDX-License-Identifier: Apache-2.0

package cyclonedx

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance/sbom"
)

// maxComponents is how many components Read takes.
const maxComponents = 100_000

// ErrInvalid reports what is no CycloneDX document, or one that says two
// things.
var ErrInvalid = errors.New("invalid CycloneDX document")

// Read takes a CycloneDX document in JSON apart, version 1.4 to 1.6, whoever
// wrote it. Of our own documents it returns all that Write was given, but for
// the requirements that Merge resolved.
//
// It refuses JSON that can be read in two ways, components of the same
// reference, and documents beyond Limit. What it does not know it leaves out.
func Read(data []byte) (*sbom.Inventory, *sbom.Image, error) {
	if len(data) > Limit {
		return nil, nil, fmt.Errorf("%w: %d bytes, and the limit is %d", ErrTooLarge, len(data), Limit)
	}
	var bom cdx.BOM
	if err := strictjson.UnmarshalOpen(data, &bom); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if bom.BOMFormat != cdx.BOMFormat || bom.SpecVersion < cdx.SpecVersion1_4 || bom.SpecVersion > cdx.SpecVersion1_6 {
		return nil, nil, fmt.Errorf("%w: bomFormat %q, specVersion %s; CycloneDX 1.4 to 1.6 in JSON can be read",
			ErrInvalid, sbom.Cut(bom.BOMFormat, 40), bom.SpecVersion)
	}
	r := reading{bom: &bom, at: map[string]int{}}
	if err := r.walk(all(bom.Components), -1); err != nil {
		return nil, nil, err
	}
	img := r.image()
	return r.inventory(), img, nil
}

// A found component is a package, or stands for nothing of its own.
type found struct {
	*cdx.Component
	parent int // index of the one that it is part of, -1 if of none
	item   bool
}

// A reading is a document on its way to the model.
type reading struct {
	bom    *cdx.BOM
	found  []found
	at     map[string]int // reference → index in found
	system *sbom.System
}

// walk lists components, and those in them.
func (r *reading) walk(components []cdx.Component, parent int) error {
	for i := range components {
		c := &components[i]
		if len(r.found) >= maxComponents {
			return fmt.Errorf("%w: more than %d components", ErrTooLarge, maxComponents)
		}
		if c.Type == cdx.ComponentTypeOS && r.system == nil {
			p := propertiesOf(c.Properties)
			r.system = &sbom.System{ID: c.Name, VersionID: c.Version, PrettyName: c.Description, Codename: p.first(propCodename)}
		}
		at := len(r.found)
		r.found = append(r.found, found{c, parent, isPackage(c)})
		if c.BOMRef != "" {
			if _, twice := r.at[c.BOMRef]; twice {
				return fmt.Errorf("%w: bom-ref %q is not that of one component", ErrInvalid, sbom.Cut(c.BOMRef, 80))
			}
			r.at[c.BOMRef] = at
		}
		if err := r.walk(all(c.Components), at); err != nil {
			return err
		}
	}
	return nil
}

// isPackage tells packages from files, systems, and what stands for a lock
// file.
func isPackage(c *cdx.Component) bool {
	switch c.Type {
	case cdx.ComponentTypeOS, cdx.ComponentTypeFile, cdx.ComponentTypeCryptographicAsset:
		return false
	case cdx.ComponentTypeApplication:
		return c.PackageURL != "" || c.Version != ""
	}
	return true
}

// image is what the document says beside packages.
func (r *reading) image() *sbom.Image {
	img := &sbom.Image{Created: sbom.Undated, Inputs: r.inputs()}
	m := r.bom.Metadata
	if m == nil {
		return img
	}
	if created, err := time.Parse(time.RFC3339, m.Timestamp); err == nil {
		img.Created = created.Unix()
	}
	for _, l := range all(m.Lifecycles) {
		if l.Phase == cdx.LifecyclePhaseBuild {
			img.Generation = sbom.GenerationBuild
		}
	}
	img.Author = makerOf(m.Authors, m.Manufacturer)
	img.Tool = toolOf(m.Tools)
	img.Platform = propertiesOf(m.Properties).first(propPlatform)
	if m.Component == nil {
		return img
	}
	img.ID, img.Supplier = m.Component.Version, agentOf(m.Component.Supplier)
	if m.Component.Name != imageRef {
		img.Name = m.Component.Name
	}
	img.Base = baseOf(m.Component.Pedigree)
	return img
}

func toolOf(tools *cdx.ToolsChoice) string {
	if tools == nil {
		return ""
	}
	type named struct{ name, version string }
	var list []named
	for _, c := range all(tools.Components) {
		list = append(list, named{c.Name, c.Version})
	}
	for _, t := range all(tools.Tools) { // as documents before 1.5 have it
		list = append(list, named{t.Name, t.Version})
	}
	if len(list) == 0 {
		return ""
	}
	return strings.TrimSuffix(list[0].name+"-"+list[0].version, "-")
}

func baseOf(pedigree *cdx.Pedigree) *sbom.BaseImage {
	if pedigree == nil || len(all(pedigree.Ancestors)) == 0 {
		return nil
	}
	c := (*pedigree.Ancestors)[0]
	base := &sbom.BaseImage{Reference: c.Name, Digest: c.Version, PURL: sbom.ValidPURL(c.PackageURL)}
	if base.Reference == baseRef {
		base.Reference = ""
	}
	for _, ref := range all(c.ExternalReferences) {
		if sha1 := sums(ref.Hashes)["SHA1"]; ref.Type == cdx.ERTypeBOM && sha1 != "" {
			base.SBOM = &sbom.Document{Namespace: ref.URL, SHA1: sha1}
		}
	}
	return base
}

func (r *reading) inputs() []sbom.Input {
	var out []sbom.Input
	for _, formula := range all(r.bom.Formulation) {
		for _, c := range all(formula.Components) {
			p := propertiesOf(c.Properties)
			in := sbom.Input{
				Name: c.Name, PURL: sbom.ValidPURL(c.PackageURL), Checksums: sums(c.Hashes),
				Use: p.first(propUse), URI: p.first(propURI),
			}
			for _, ref := range all(c.ExternalReferences) {
				if ref.Type == cdx.ERTypeDistribution {
					in.URI = ref.URL
				}
			}
			out = append(out, in)
		}
	}
	return out
}

// unread is what the document says that it may lack.
func (r *reading) unread(p values) []sbom.Unread {
	var out []sbom.Unread
	for _, value := range p[propUnread] {
		var u sbom.Unread
		if json.Unmarshal([]byte(value), &u) == nil {
			out = append(out, u)
		}
	}
	if len(out) > 0 || p.first(propLevel) != "" {
		return out
	}
	for _, c := range all(r.bom.Compositions) {
		incomplete := c.Aggregate == cdx.CompositionAggregateUnknown || strings.HasPrefix(string(c.Aggregate), "incomplete")
		if incomplete && r.aboutImage(all(c.Assemblies)) {
			return []sbom.Unread{{Path: "/", Reason: "the document says that its completeness is " + string(c.Aggregate)}}
		}
	}
	return nil
}

// aboutImage reports whether a composition is about the whole.
func (r *reading) aboutImage(assemblies []cdx.BOMReference) bool {
	m := r.bom.Metadata
	if len(assemblies) == 0 {
		return true
	}
	for _, ref := range assemblies {
		if m != nil && m.Component != nil && string(ref) == m.Component.BOMRef {
			return true
		}
	}
	return false
}

// values are properties by name.
type values map[string][]string

func propertiesOf(list *[]cdx.Property) values {
	out := values{}
	for _, p := range all(list) {
		out[p.Name] = append(out[p.Name], p.Value)
	}
	return out
}

func (v values) first(names ...string) string {
	for _, name := range names {
		if len(v[name]) > 0 {
			return v[name][0]
		}
	}
	return ""
}

func (v values) number(name string) int {
	n, err := strconv.Atoi(v.first(name))
	if err != nil || n < 0 {
		return 0
	}
	return n
}
