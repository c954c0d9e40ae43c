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
		if !there || m.owner == "" || owner == m.item {
			continue
		}
		inv.Items[owner].Contains = append(inv.Items[owner].Contains, m.item)
	}
	for i := range inv.Items {
		inv.Items[i].Contains = ascending(inv.Items[i].Contains)
	}
}

// ascending sorts and removes what is there twice.
func ascending(list []int) []int {
	slices.Sort(list)
	return slices.Compact(list)
}
