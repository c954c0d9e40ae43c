// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance/sbom"
)

// inventory makes items of the packages that are left, in the model's order,
// and links them.
func (r *reading) inventory() (*sbom.Inventory, error) {
	if r.ours && r.top >= 0 && len(r.doc.Packages[r.top].Annotations) > 0 {
		if err := strictjson.UnmarshalOpen([]byte(r.doc.Packages[r.top].Annotations[0].Comment), &r.note); err != nil {
			return nil, fmt.Errorf("%w: annotation of the image: %w", ErrInvalid, err)
		}
	}
	inv := &sbom.Inventory{System: r.system(), Unread: r.note.Unread, Files: r.note.Files, Level: r.note.Level}
	order, err := r.items(inv)
	if err != nil {
		return nil, err
	}
	r.link(inv, order)
	return inv, nil
}

// items fills the inventory and returns the index in it of each package of the
// document, -1 for what is no item.
func (r *reading) items(inv *sbom.Inventory) ([]int, error) {
	texts := map[string]string{}
	for _, l := range r.doc.Licences {
		texts[l.ID] = l.Text
	}
	var list []sbom.Item
	var from []int // index in the document, of each of list
	evidence := r.evidence()
	inv.Gaps = map[string]int{}
	for i, p := range r.doc.Packages {
		if r.role[i] != asItem {
			continue
		}
		item, said, err := r.item(p, texts)
		if err != nil {
			return nil, err
		}
		item.Paths = append(item.Paths, evidence[p.ID]...)
		item.Unrelated = true
		inv.Count(item, said)
		list, from = append(list, item), append(from, i)
	}
	sorted, at := sbom.Order(list)
	inv.Items = sorted
	order := slices.Repeat([]int{-1}, len(r.doc.Packages))
	for n, i := range from {
		order[i] = at[n]
	}
	return order, nil
}

// item is a package, and the elements of which the document says that it does
// not know them.
func (r *reading) item(p wirePackage, texts map[string]string) (item sbom.Item, said []string, err error) {
	purl := p.purl()
	told := sbom.FromPURL(purl)
	item = sbom.Item{Package: sbom.Package{
		Type: cmp.Or(told.Type, "generic"), Name: p.Name, Version: p.Version, Arch: told.Arch, PURL: purl,
		Supplier: known(p.Supplier), Originator: known(p.Originator),
		License:  cmp.Or(known(p.Declared), known(p.Concluded)),
		Homepage: known(p.Homepage), Summary: p.Summary,
		Source: source(p.SourceInfo), Checksums: sums(p.Checksums),
	}}
	for _, ref := range licenceRef.FindAllString(item.License, -1) {
		if found := texts[ref]; found != "" && (found != unknownText || !r.ours) {
			if item.Licenses == nil {
				item.Licenses = map[string]string{}
			}
			item.Licenses[ref] = found
		}
	}
	if p.Supplier == noAssertion {
		said = append(said, sbom.ElementSupplier)
	}
	if p.Declared == noAssertion || p.Concluded == noAssertion {
		said = append(said, sbom.ElementLicence)
	}
	if !r.ours {
		item.Name = sbom.WholeName(purl, p.Name)
		return item, said, nil
	}
	if item.Name == noAssertion {
		item.Name = ""
	}
	unknown, err := r.noteOn(&item, p)
	return item, append(said, unknown...), err
}

// noteOn adds what the annotation of a package of ours says, and returns what it
// says is not known.
func (r *reading) noteOn(item *sbom.Item, p wirePackage) (unknown []string, err error) {
	if len(p.Annotations) == 0 {
		return nil, nil
	}
	var note packageNote
	if err := strictjson.UnmarshalOpen([]byte(p.Annotations[0].Comment), &note); err != nil {
		return nil, fmt.Errorf("%w: annotation of %s: %w", ErrInvalid, p.ID, err)
	}
	if note.Full > 0 && note.Full <= len(r.note.Origins) {
		note.Origin = r.note.Origins[note.Full-1]
	}
	item.Origin, item.Paths, item.Top = note.Origin, note.Paths, note.Top
	item.Type, item.Arch = cmp.Or(note.Type, item.Type), cmp.Or(note.Arch, item.Arch)
	if note.Source != nil {
		item.Source = note.Source
	}
	return note.Unknown, nil
}

// A direction is which end of a relationship needs or contains the other.
type direction struct{ contains, backwards bool }

var relations = map[string]direction{
	"DEPENDS_ON":             {},
	"HAS_PREREQUISITE":       {},
	"DEPENDENCY_OF":          {backwards: true},
	"RUNTIME_DEPENDENCY_OF":  {backwards: true},
	"PROVIDED_DEPENDENCY_OF": {backwards: true},
	"OPTIONAL_DEPENDENCY_OF": {backwards: true},
	"PREREQUISITE_FOR":       {backwards: true},
	"CONTAINS":               {contains: true},
	"CONTAINED_BY":           {contains: true, backwards: true},
	"PACKAGE_OF":             {contains: true, backwards: true},
}

// link resolves the relationships among items, and notes where the document
// says itself that it may lack something.
func (r *reading) link(inv *sbom.Inventory, order []int) {
	for _, rel := range r.doc.Relationships {
		if rel.Type == "CONTAINS" && rel.To == noAssertion && !r.ours {
			inv.Unread = append(inv.Unread, sbom.Unread{Path: "/", Reason: cmp.Or(sbom.Text(rel.Comment, sbom.MaxText), "the document says that it may be incomplete")})
		}
		way, known := relations[rel.Type]
		from, to := r.itemAt(order, rel.From), r.itemAt(order, rel.To)
		if _, part := r.at[rel.To]; known && part {
			r.relate(inv, from)
		}
		if _, whole := r.at[rel.From]; known && whole {
			r.relate(inv, to)
		}
		if way.backwards {
			from, to = to, from
		}
		switch {
		case known && way.contains:
			inv.Contain(from, to)
		case known:
			inv.Need(from, to)
		}
	}
	inv.Tidy()
}

// relate notes that a relationship with another package tells of an item.
func (r *reading) relate(inv *sbom.Inventory, item int) {
	if item >= 0 {
		inv.Items[item].Unrelated = false
	}
}

func (r *reading) itemAt(order []int, id string) int {
	if i, there := r.at[id]; there {
		return order[i]
	}
	return -1
}

// evidence is the files that show a package, as syft has it: relationships of
// type OTHER with a comment.
func (r *reading) evidence() map[string][]string {
	files := make(map[string]string, len(r.doc.Files))
	for _, f := range r.doc.Files {
		files[f.ID] = "/" + strings.TrimPrefix(strings.TrimPrefix(f.Name, "."), "/")
	}
	out := map[string][]string{}
	for _, rel := range r.doc.Relationships {
		if path := files[rel.To]; path != "" && rel.Type == "OTHER" && strings.HasPrefix(rel.Comment, "evident-by") {
			out[rel.From] = append(out[rel.From], path)
		}
	}
	for id := range out {
		slices.Sort(out[id])
		out[id] = slices.Compact(out[id])
	}
	return out
}

func (r *reading) system() *sbom.System {
	if r.note.System != nil {
		return r.note.System
	}
	for i, p := range r.doc.Packages {
		if r.role[i] == asSystem {
			return &sbom.System{ID: known(p.Name), VersionID: p.Version, PrettyName: p.Summary}
		}
	}
	return nil
}

// purl is the first valid package URL of a package.
func (p wirePackage) purl() string {
	for _, ref := range p.ExternalRefs {
		if ref.Type == "purl" && sbom.ValidPURL(ref.Locator) != "" {
			return ref.Locator
		}
	}
	return ""
}

func source(info string) *sbom.Source {
	found, isSource := strings.CutPrefix(info, builtFrom)
	if !isSource || found == "" {
		return nil
	}
	name, version, _ := strings.Cut(found, " ")
	return &sbom.Source{Name: name, Version: version}
}

// sums are the checksums that are well-formed.
func sums(list []wireChecksum) map[string]string {
	all := map[string]string{}
	for _, c := range list {
		all[c.Algorithm] = c.Value
	}
	return sbom.Checksums(all)
}
