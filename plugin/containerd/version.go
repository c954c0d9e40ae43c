// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	// MinimumPull is the first containerd whose CRI pulls through the transfer
	// service.
	MinimumPull = "2.1.0"
	// MinimumCreate is the first one that tells NRI plugins the digests of a
	// container's image.
	MinimumCreate = "2.4.1"
)

// Version says what a containerd of that version cannot do. One that is not
// understood is a finding too.
func Version(version string) []Finding {
	v, ok := parseVersion(version)
	if !ok {
		return []Finding{{Setting: "containerd's version", Value: quote(version), At: AtPull,
			Effect: "it is not known whether this containerd asks verifiers", Remedy: "install containerd " + MinimumCreate + " or later"}}
	}
	var out []Finding
	old := func(minimum, at, effect string) {
		if m, _ := parseVersion(minimum); v.before(m) {
			out = append(out, Finding{Setting: "containerd's version", Value: quote(version), At: at, Fatal: true, Edit: true,
				Effect: effect, Remedy: fmt.Sprintf("install containerd %s or later", minimum)})
		}
	}
	old(MinimumPull, AtPull, "kubelet's pulls ask no verifier")
	old(MinimumCreate, AtCreate, "containers' images have no digest: what is on the node already cannot be told apart")
	return out
}

type versionNumber [3]int

// parseVersion reads v2.4.2, 2.4.2+unknown, 2.4.0-rc.1: a release candidate
// counts as its release.
func parseVersion(s string) (versionNumber, bool) {
	var v versionNumber
	s = strings.TrimPrefix(strings.TrimSpace(s), "v")
	if i := strings.IndexAny(s, "-+~ "); i >= 0 {
		s = s[:i]
	}
	parts := strings.Split(s, ".")
	if len(parts) != len(v) {
		return v, false
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return v, false
		}
		v[i] = int(n)
	}
	return v, true
}

func (v versionNumber) before(w versionNumber) bool {
	for i := range v {
		if v[i] != w[i] {
			return v[i] < w[i]
		}
	}
	return false
}
