// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"path"
	"regexp"
	"strings"
)

// A resolution is how packages of one type find what they require.
type resolution struct {
	// name makes names equal that mean the same package; nil: as they are.
	name func(string) string
	// folder is what packages have in common that see each other first, by the
	// path of the file that tells of one; nil: nothing.
	folder func(string) string
	// beyond lets a package find what is outside its own file and folder.
	beyond bool
	// walk looks for the name upward from the requiring file, and where Debian's
	// packages are, as Node does, instead of all of the above (node.go).
	walk bool
}

// resolutions is the table; a type that is not in it finds names within its
// own file.
var resolutions = map[string]resolution{
	"deb":   {folder: path.Dir, beyond: true},
	"apk":   {folder: path.Dir, beyond: true},
	"rpm":   {folder: path.Dir, beyond: true},
	"pypi":  {name: normalPyPI, folder: sitePackages, beyond: true},
	"maven": {folder: path.Dir, beyond: true},
	"npm":   {walk: true},
}

var pypiSeparators = regexp.MustCompile(`[-_.]+`)

// normalPyPI is the normalised name of a Python package.
//
// PEP 503: "the name should be lowercased with all runs of the characters ., -,
// or _ replaced with a single - character".
func normalPyPI(name string) string {
	return strings.ToLower(pypiSeparators.ReplaceAllString(name, "-"))
}

// sitePackages is the folder of a NAME.dist-info/METADATA.
func sitePackages(file string) string { return path.Dir(path.Dir(file)) }

func (r resolution) normal(name string) string {
	if r.name == nil {
		return name
	}
	return r.name(name)
}

// A scope is where a name is looked up: in one file, in one folder, or, with
// neither, anywhere; for one architecture or for any.
type scope struct{ kind, name, file, folder, arch string }

// scopes lists where a name is looked up, the nearest first: in the file, in
// the folder, anywhere, and in each of them for the architecture first.
func (r resolution) scopes(m mention, name string) [][]scope {
	kind, arch := m.pkg.Type, m.pkg.Arch
	list := [][]scope{{
		{kind: kind, name: name, file: m.path, arch: arch},
		{kind: kind, name: name, file: m.path},
	}}
	if r.folder != nil {
		list = append(list, []scope{{kind: kind, name: name, folder: r.folder(m.path)}})
	}
	if r.beyond {
		list = append(list, []scope{{kind: kind, name: name, arch: arch}, {kind: kind, name: name}})
	}
	return list
}

// A directory finds items by name. What has the name comes before what only
// provides it.
type directory struct {
	named, provided map[scope]int
}

func newDirectory(mentions []mention) directory {
	d := directory{named: map[scope]int{}, provided: map[scope]int{}}
	for _, m := range mentions {
		r := resolutions[m.pkg.Type]
		d.enter(d.named, r, m, m.pkg.Name)
		if r.walk {
			d.enterNode(m)
		}
		for _, name := range m.pkg.Provides {
			d.enter(d.provided, r, m, name)
		}
	}
	return d
}

// enter notes the first item of a name in each scope that it can be seen from.
func (d directory) enter(into map[scope]int, r resolution, m mention, name string) {
	for _, near := range r.scopes(m, r.normal(name)) {
		for _, s := range near {
			if _, there := into[s]; !there {
				into[s] = m.item
			}
		}
	}
}

// find returns the item that m means by name.
func (d directory) find(m mention, name string) (int, bool) {
	r := resolutions[m.pkg.Type]
	if r.walk {
		if item, there := d.walk(m, name); there {
			return item, true
		}
	}
	for _, near := range r.scopes(m, r.normal(name)) {
		for _, by := range []map[scope]int{d.named, d.provided} {
			for _, s := range near {
				if item, there := by[s]; there {
					return item, true
				}
			}
		}
	}
	return 0, false
}

// resolveNeeds finds for each requirement the first alternative that is
// installed. One that is not there is no need: it may be optional, or the
// image is broken, which is not for an inventory to say.
func (inv *Inventory) resolveNeeds(found assembly) {
	d := newDirectory(found.mentions)
	for _, m := range found.mentions {
		for _, alternatives := range m.pkg.Requires {
			for _, name := range alternatives {
				item, there := d.find(m, name)
				if !there {
					continue
				}
				inv.Need(m.item, item)
				break
			}
		}
	}
}
