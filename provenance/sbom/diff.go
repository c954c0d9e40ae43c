// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// DiffSchema names the JSON form of Difference; docs/sbom.md defines it.
const DiffSchema = "https://plombproject.github.io/sbom-diff/v1"

// A Difference is what changed from one inventory to another. Lists are sorted
// by type, name, architecture and version.
type Difference struct {
	Schema string `json:"schema"`
	// System is set if the distribution or its version changed.
	System  *SystemChange `json:"system,omitempty"`
	Added   []Entry       `json:"added"`
	Removed []Entry       `json:"removed"`
	// Versions are packages that are there in another version.
	Versions []Change `json:"versions"`
	// Licences are packages that have another licence in the same version.
	Licences []Change `json:"licences"`
}

// SystemChange is a change of distribution; nil stands for none.
type SystemChange struct {
	From *System `json:"from"`
	To   *System `json:"to"`
}

// An Entry is one package of one side.
type Entry struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Arch    string `json:"arch,omitempty"`
	Version string `json:"version,omitempty"`
	License string `json:"license,omitempty"`
	PURL    string `json:"purl,omitempty"`
	// Origin is the layer and instruction that brought it, where known.
	Origin Origin `json:"origin"`
}

// A Change is one package on both sides.
type Change struct {
	From Entry `json:"from"`
	To   Entry `json:"to"`
}

// Empty reports whether nothing changed.
func (d *Difference) Empty() bool {
	return d.System == nil && len(d.Added)+len(d.Removed)+len(d.Versions)+len(d.Licences) == 0
}

// Diff compares two inventories. A package that is in one of them only, while
// the other has another version of it, changed its version; of several, the
// lowest ones belong together. Where files lie makes no difference.
func Diff(a, b *Inventory) *Difference {
	d := &Difference{Schema: DiffSchema, Added: []Entry{}, Removed: []Entry{}, Versions: []Change{}, Licences: []Change{}}
	if !sameSystem(a.System, b.System) {
		d.System = &SystemChange{From: a.System, To: b.System}
	}
	before, after := byKey(a), byKey(b)
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	for _, key := range slices.SortedFunc(maps.Keys(keys), compareKeys) {
		d.compare(before[key], after[key])
	}
	return d
}

func sameSystem(a, b *System) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ID == b.ID && a.VersionID == b.VersionID
}

// A diffKey is what a package keeps through its versions.
type diffKey struct{ kind, name, arch string }

func compareKeys(a, b diffKey) int {
	return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.name, b.name), strings.Compare(a.arch, b.arch))
}

// byKey has the versions of each package.
func byKey(inv *Inventory) map[diffKey]map[string]Entry {
	out := map[diffKey]map[string]Entry{}
	for _, item := range inv.Items {
		key := diffKey{item.Type, item.Name, item.Arch}
		if out[key] == nil {
			out[key] = map[string]Entry{}
		}
		if _, there := out[key][item.Version]; !there {
			out[key][item.Version] = entryOf(item)
		}
	}
	return out
}

func entryOf(item Item) Entry {
	return Entry{
		Type: item.Type, Name: item.Name, Arch: item.Arch, Version: item.Version,
		License: item.License, PURL: item.PURL, Origin: item.Origin,
	}
}

// compare enters what changed of one package.
func (d *Difference) compare(before, after map[string]Entry) {
	var gone, come []Entry
	for _, version := range slices.SortedFunc(maps.Keys(before), compareVersions) {
		now, there := after[version]
		switch {
		case !there:
			gone = append(gone, before[version])
		case now.License != before[version].License:
			d.Licences = append(d.Licences, Change{before[version], now})
		}
	}
	for _, version := range slices.SortedFunc(maps.Keys(after), compareVersions) {
		if _, there := before[version]; !there {
			come = append(come, after[version])
		}
	}
	pairs := min(len(gone), len(come))
	for i := range pairs {
		d.Versions = append(d.Versions, Change{gone[i], come[i]})
	}
	d.Removed = append(d.Removed, gone[pairs:]...)
	d.Added = append(d.Added, come[pairs:]...)
}

// compareVersions compares numbers as numbers and everything else as text. No
// ecosystem orders its versions exactly so; it is for pairing and for people.
func compareVersions(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		p, q := run(x), run(y)
		x, y = x[len(p):], y[len(q):]
		if c := compareRuns(p, q); c != 0 {
			return c
		}
	}
	return cmp.Or(len(x)-len(y), strings.Compare(a, b))
}

// run is the digits that s starts with, or what is before the next digit.
func run(s string) string {
	digits := isDigit(s[0])
	for i := 1; i < len(s); i++ {
		if isDigit(s[i]) != digits {
			return s[:i]
		}
	}
	return s
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func compareRuns(p, q string) int {
	if isDigit(p[0]) && isDigit(q[0]) {
		p, q = strings.TrimLeft(p, "0"), strings.TrimLeft(q, "0")
		if len(p) != len(q) {
			return len(p) - len(q)
		}
	}
	return strings.Compare(p, q)
}
