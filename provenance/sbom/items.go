// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// An identity is what makes two mentions of a package, in different files, one
// item of the inventory.
type identity struct{ kind, name, version, arch, purl string }

func identityOf(p Package) identity {
	return identity{p.Type, p.Name, p.Version, p.Arch, p.PURL}
}

// A mention is one item in one file.
type mention struct {
	item  int // index in the inventory
	path  string
	owner string
	pkg   Package // as this file has it: what it requires is seen from here
}

// An assembly is the items of an inventory and where each of them was found.
type assembly struct {
	items []Item
	// mentions are sorted by item, then by path.
	mentions []mention
}

// items makes one item of all mentions of the same package.
func (m *merger) items(layers []Layer) assembly {
	groups := map[identity][]mention{}
	first := map[identity]int{}
	for _, path := range slices.Sorted(maps.Keys(m.at)) {
		for _, id := range slices.Sorted(maps.Keys(m.at[path])) {
			found := m.at[path][id]
			key := identityOf(found.pkg)
			if layer, there := first[key]; !there || found.layer < layer {
				first[key] = found.layer
			}
			groups[key] = append(groups[key], mention{path: path, owner: found.owner, pkg: found.pkg})
		}
	}
	var out assembly
	for _, key := range slices.SortedFunc(maps.Keys(groups), compareIdentities) {
		item := Item{Origin: originOf(layers[first[key]])}
		for n, found := range groups[key] {
			if n == 0 {
				item.Package = found.pkg
			}
			top := item.Top || found.pkg.Top
			item.Package = fill(item.Package, found.pkg)
			item.Top = top
			item.Paths = append(item.Paths, found.path)
			found.item = len(out.items)
			out.mentions = append(out.mentions, found)
		}
		item.Paths = slices.Compact(item.Paths)
		out.items = append(out.items, item)
	}
	return out
}

func compareIdentities(a, b identity) int {
	return cmp.Or(
		strings.Compare(a.kind, b.kind), strings.Compare(a.name, b.name),
		strings.Compare(a.version, b.version), strings.Compare(a.arch, b.arch),
		strings.Compare(a.purl, b.purl),
	)
}

func originOf(l Layer) Origin {
	return Origin{Base: l.Base, DiffID: l.DiffID, Instruction: l.Instruction, Line: l.Line}
}

// resolveContains links each package of the operating system with the packages
// that came among its files.
func (inv *Inventory) resolveContains(found assembly) {
	byKey := map[string]int{}
	for i, item := range inv.Items {
		if _, there := byKey[item.Key()]; !there {
			byKey[item.Key()] = i
		}
	}
	for _, m := range found.mentions {
		owner, there := byKey[m.owner]
		if !there || m.owner == "" {
			continue
		}
		inv.Contain(owner, m.item)
	}
}

// Order sorts items as an Inventory has them, and returns where each went.
func Order(items []Item) (sorted []Item, at []int) {
	from := make([]int, len(items))
	for i := range from {
		from[i] = i
	}
	slices.SortStableFunc(from, func(a, b int) int { return compareItems(items[a], items[b]) })
	at = make([]int, len(items))
	for to, i := range from {
		sorted = append(sorted, items[i])
		at[i] = to
	}
	return sorted, at
}

func compareItems(a, b Item) int {
	return cmp.Or(
		strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version),
		strings.Compare(a.Arch, b.Arch), slices.Compare(a.Paths, b.Paths), strings.Compare(a.PURL, b.PURL),
	)
}

// Need notes that one item needs another, and Contain that one contains
// another. Of what is no item, -1, or of itself, there is nothing to note.
func (inv *Inventory) Need(from, to int) {
	if from >= 0 && to >= 0 && from != to {
		inv.Items[from].Needs = append(inv.Items[from].Needs, to)
	}
}

// Contain is Need for what came as files of another.
func (inv *Inventory) Contain(whole, part int) {
	if whole >= 0 && part >= 0 && whole != part {
		inv.Items[whole].Contains = append(inv.Items[whole].Contains, part)
	}
}

// Tidy sorts what Need and Contain noted.
func (inv *Inventory) Tidy() {
	for i := range inv.Items {
		inv.Items[i].Needs = ascending(inv.Items[i].Needs)
		inv.Items[i].Contains = ascending(inv.Items[i].Contains)
	}
}

// ascending sorts and removes what is there twice.
func ascending(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}
