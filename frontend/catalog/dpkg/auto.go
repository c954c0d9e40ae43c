// SPDX-License-Identifier: Apache-2.0

package dpkg

import "github.com/plombproject/plomb/frontend/catalog/ecosystem"

// extendedStates is where apt notes which packages came for the sake of others.
const extendedStates = "/var/lib/apt/extended_states"

// auto are the packages that came for the sake of others; nil if nobody noted.
type auto struct {
	packages map[string]bool // by name, and by name:architecture
}

func readAuto(t ecosystem.Tree) *auto {
	data, err := t.ReadAll(extendedStates, maxStatus)
	if err != nil {
		return nil
	}
	a := &auto{packages: map[string]bool{}}
	for _, s := range stanzas(data) {
		if s.err == nil && s.get("Auto-Installed") == "1" {
			a.packages[s.get("Package")] = true
			a.packages[s.get("Package")+":"+s.get("Architecture")] = true
		}
	}
	return a
}

// asked reports whether somebody asked for the package. For packages of any
// architecture apt writes down that of the system.
func (a *auto) asked(name, arch string) bool {
	switch {
	case a == nil:
		return false
	case arch == "all":
		return !a.packages[name]
	}
	return !a.packages[name+":"+arch]
}
