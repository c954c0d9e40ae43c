// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Merge puts the reports of an image together: the base image first, then each
// layer as it lies on the ones before. What a layer deleted or replaced is
// gone; a package that was there before keeps its origin, and what was known
// of it.
//
// The order of the lists in a report does not matter.
func Merge(layers []Layer) *Inventory {
	m := merger{at: map[string]place{}, unread: map[string]Unread{}}
	inv := &Inventory{}
	for i, layer := range layers {
		m.apply(i, layer.Report)
		inv.Files += layer.Report.Files
		if layer.Report.System != nil {
			inv.System = layer.Report.System
		}
	}
	found := m.items(layers)
	inv.Items = found.items
	inv.resolveNeeds(found)
	inv.resolveContains(found)
	inv.Tidy()
	inv.Unread = slices.SortedFunc(maps.Values(m.unread), compareUnread)
	return inv
}

// A merger is the state of an image between two layers.
type merger struct {
	at     map[string]place
	unread map[string]Unread
}

// A place is a file, and the packages that it tells of by identity within it.
type place map[string]instance

// An instance is one package as one file tells of it.
type instance struct {
	pkg   Package
	owner string
	layer int // the first one that had it
}

// within identifies a package in one file. A changed version is another
// package; a changed description is not.
func within(p Package) string { return p.Key() + "\x00" + p.Version }

// apply lays a layer on top.
func (m *merger) apply(layer int, r Report) {
	m.remove(r.Gone)
	before := m.replace(r)
	for _, f := range canonical(r.Findings) {
		now := m.at[f.Path]
		if now == nil {
			now = place{}
		}
		for _, p := range f.Packages {
			id := within(p)
			next := instance{pkg: p, owner: f.Owner, layer: layer}
			if old, there := before[f.Path][id]; there {
				next = old.renewed(next)
			}
			if twice, there := now[id]; there {
				next = twice.filled(next)
			}
			now[id] = next
		}
		m.at[f.Path] = now
	}
	for _, u := range slices.SortedFunc(slices.Values(r.Unread), compareUnread) {
		m.unread[u.Path] = u
	}
}

// remove forgets paths and everything below them.
func (m *merger) remove(gone []string) {
	if len(gone) == 0 {
		return
	}
	set := pathSet(gone)
	under := func(path string) bool { return set.covers(path) }
	maps.DeleteFunc(m.at, func(path string, _ place) bool { return under(path) })
	maps.DeleteFunc(m.unread, func(path string, _ Unread) bool { return under(path) })
}

// replace makes room for the findings of a report and returns what they
// replace. A file has nothing below it, and what is above it is a folder.
func (m *merger) replace(r Report) map[string]place {
	files, folders := paths{}, paths{}
	for _, f := range r.Findings {
		files[f.Path] = true
		for up := range above(f.Path) {
			folders[up] = true
		}
	}
	unread := paths{}
	for _, u := range r.Unread {
		unread[u.Path] = true
	}
	before := map[string]place{}
	maps.DeleteFunc(m.at, func(path string, was place) bool {
		if files[path] {
			before[path] = was
		}
		return files.covers(path) || folders[path] || unread[path]
	})
	maps.DeleteFunc(m.unread, func(path string, _ Unread) bool { return files.covers(path) })
	return before
}

// renewed is what a later layer says of a package that was there: its own
// words, and what was known where it has none.
func (i instance) renewed(next instance) instance {
	next.pkg = fill(next.pkg, i.pkg)
	next.owner = cmp.Or(next.owner, i.owner)
	next.layer = i.layer
	return next
}

// filled is i with what another mention of the same package adds.
func (i instance) filled(more instance) instance {
	i.pkg = fill(i.pkg, more.pkg)
	i.pkg.Top = i.pkg.Top || more.pkg.Top
	i.owner = cmp.Or(i.owner, more.owner)
	i.layer = min(i.layer, more.layer)
	return i
}

// fill returns p with the fields of old where it has none. A licence and the
// texts that it refers to belong together.
func fill(p, old Package) Package {
	p.PURL = cmp.Or(p.PURL, old.PURL)
	p.Supplier = cmp.Or(p.Supplier, old.Supplier)
	p.Originator = cmp.Or(p.Originator, old.Originator)
	if p.License == "" {
		p.License, p.Licenses = old.License, old.Licenses
	}
	p.Homepage = cmp.Or(p.Homepage, old.Homepage)
	p.Summary = cmp.Or(p.Summary, old.Summary)
	p.Source = cmp.Or(p.Source, old.Source)
	if len(p.Checksums) == 0 {
		p.Checksums = old.Checksums
	}
	if len(p.Provides) == 0 {
		p.Provides = old.Provides
	}
	if len(p.Requires) == 0 {
		p.Requires = old.Requires
	}
	return p
}

// canonical sorts findings so that their order says nothing, whatever it was.
func canonical(findings []Finding) []Finding {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Packages = slices.SortedFunc(slices.Values(out[i].Packages), comparePackages)
	}
	slices.SortFunc(out, func(a, b Finding) int {
		if c := cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Owner, b.Owner)); c != 0 {
			return c
		}
		return slices.CompareFunc(a.Packages, b.Packages, comparePackages)
	})
	return out
}

func comparePackages(a, b Package) int {
	if c := cmp.Or(
		strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name),
		strings.Compare(a.Version, b.Version), strings.Compare(a.Arch, b.Arch),
		strings.Compare(a.PURL, b.PURL),
	); c != 0 {
		return c
	}
	// Rare: one package twice in one file.
	left, _ := json.Marshal(a)
	right, _ := json.Marshal(b)
	return strings.Compare(string(left), string(right))
}

func compareUnread(a, b Unread) int {
	return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Reason, b.Reason))
}
