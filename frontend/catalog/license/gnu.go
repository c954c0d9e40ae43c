// SPDX-License-Identifier: Apache-2.0

package license

import "strings"

// A gnuFamily is a licence of the Free Software Foundation, whose ids say
// whether later versions may be chosen: -only and -or-later.
type gnuFamily struct {
	id       string
	names    []string // squeezed
	versions []string
	// any is what the bare name means: "If the Program does not specify a
	// version number of the GNU General Public License, you may choose any
	// version ever published" (GPL-3.0, clause 14; the others alike).
	any string
}

var gnuFamilies = []gnuFamily{
	{"GPL", []string{"gpl", "gnu gpl", "gnu general public", "general public", "gnu public"}, []string{"1.0", "2.0", "3.0"}, "GPL-1.0-or-later"},
	{"LGPL", []string{"lgpl", "gnu lgpl", "gnu lesser general public", "gnu library general public",
		"lesser general public", "library general public", "gnu library or lesser general public", "gnu lesser public"},
		[]string{"2.0", "2.1", "3.0"}, "LGPL-2.0-or-later"},
	{"AGPL", []string{"agpl", "gnu agpl", "gnu affero general public", "affero general public", "gnu affero gpl", "gnu affero"},
		[]string{"1.0", "3.0"}, ""},
	{"GFDL", []string{"gfdl", "gnu fdl", "fdl", "gnu free documentation", "free documentation"}, []string{"1.1", "1.2", "1.3"}, "GFDL-1.1-or-later"},
}

// spellings are the squeezed names of the family's licences: "gpl 2+",
// "gnu general public 2 only", and both beside each other, as in the Python
// classifier "GNU General Public License v2 or later (GPLv2+)".
func (f gnuFamily) spellings() map[string]string {
	all := map[string]string{}
	short := f.names[0]
	for _, name := range f.names {
		if f.any != "" {
			all[name], all[name+" "+short] = f.any, f.any
			all[name+"+"] = f.any
		}
		for _, version := range f.versions {
			v := strings.TrimSuffix(version, ".0")
			only, later := f.id+"-"+version+"-only", f.id+"-"+version+"-or-later"
			for _, form := range []string{v, v + " only", v + " " + short + " " + v, short + " " + v} {
				all[name+" "+form] = only
			}
			for _, form := range []string{v + "+", v + " or later", v + "+ " + short + " " + v + "+", short + " " + v + "+"} {
				all[name+" "+form] = later
			}
		}
	}
	return all
}

// gnu is the present id for a deprecated one: GPL-2.0, GPL-2.0+.
func gnu(id string) (string, bool) {
	for _, family := range gnuFamilies {
		if version, ok := strings.CutPrefix(id, family.id+"-"); ok {
			if plain, later := strings.CutSuffix(version, "+"); later {
				return family.id + "-" + plain + "-or-later", true
			}
			return id + "-only", true
		}
	}
	return "", false
}
