// SPDX-License-Identifier: Apache-2.0

package ecosystem

import (
	"cmp"
	"maps"
	"slices"

	"github.com/package-url/packageurl-go"

	"github.com/plombproject/plomb/provenance/sbom"
)

// SystemPURL names a package of the operating system's package manager as
// https://github.com/package-url/purl-spec has it: in the namespace of the
// distribution, with the architecture and the release, and with the source
// package in the qualifier in which scanners for vulnerabilities look for it.
// More qualifiers count if they have a value.
func SystemPURL(s *sbom.System, p *sbom.Package, version string, more map[string]string) string {
	all := maps.Clone(more)
	if all == nil {
		all = map[string]string{}
	}
	all["arch"], all["distro"] = p.Arch, distro(s)
	if p.Source != nil {
		all["upstream"] = p.Source.Name
		if p.Source.Version != p.Version && p.Source.Version != "" {
			all["upstream"] += "@" + p.Source.Version
		}
	}
	var qualifiers packageurl.Qualifiers
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if all[key] != "" {
			qualifiers = append(qualifiers, packageurl.Qualifier{Key: key, Value: all[key]})
		}
	}
	u := packageurl.NewPackageURL(p.Type, cmp.Or(s.ID, "linux"), p.Name, version, qualifiers, "")
	if err := u.Normalize(); err != nil {
		return ""
	}
	return u.ToString()
}

// distro is debian-12, or debian-trixie for a release that has no number yet.
func distro(s *sbom.System) string {
	release := cmp.Or(s.VersionID, s.Codename)
	if s.ID == "" || release == "" {
		return ""
	}
	return s.ID + "-" + release
}
