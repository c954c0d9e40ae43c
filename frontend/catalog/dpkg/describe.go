// SPDX-License-Identifier: Apache-2.0

package dpkg

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/actor"
	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/provenance/sbom"
)

// A describer turns stanzas into packages.
type describer struct {
	system   *sbom.System
	licenses *licenses
	auto     *auto
}

// absent are the states in which dpkg has no files of a package. In the others
// (half-installed, unpacked, half-configured, and those that wait for triggers)
// its files are in the image, whether or not a script has run.
var absent = map[string]bool{"not-installed": true, "config-files": true}

var (
	validName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]*$`)         // Debian Policy 5.6.1
	validArch = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)           // 5.6.8
	validVer  = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~:-]*$`) // 5.6.12
)

// describe returns nil for a package that is not installed.
func (d describer) describe(s stanza, status bool) (*sbom.Package, error) {
	if s.err != nil {
		return nil, s.err
	}
	name, version, arch := s.get("Package"), s.get("Version"), s.get("Architecture")
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("%w: no package name", errBroken)
	}
	if status {
		words := strings.Fields(s.get("Status")) // wanted, error flag, state
		if len(words) != 3 {
			return nil, fmt.Errorf("%w: no status", errBroken)
		}
		if absent[words[2]] {
			return nil, nil
		}
	}
	p := &sbom.Package{
		Type: "deb", Name: name, Version: version, Arch: arch,
		Homepage: s.get("Homepage"), Summary: s.first("Description"),
		Supplier:   maintainer(s.get("Maintainer")),
		Originator: maintainer(cmp.Or(s.get("Original-Maintainer"), s.get("XSBC-Original-Maintainer"))),
		Source:     source(s.get("Source"), version),
		Provides:   names(s.get("Provides")),
		Requires:   append(relations(s.get("Pre-Depends")), relations(s.get("Depends"))...),
	}
	p.Top = d.auto.asked(name, arch) && s.get("Essential") != "yes" && !system[s.get("Priority")]
	p.License, p.Licenses = d.licenses.of(name)
	p.PURL = ecosystem.SystemPURL(d.system, p, p.Version, nil)
	if !validVer.MatchString(version) || arch != "" && !validArch.MatchString(arch) {
		return p, fmt.Errorf("%w: no version or no architecture", errBroken)
	}
	return p, nil
}

// system are the priorities of what is there without anybody asking for it.
var system = map[string]bool{"required": true, "important": true}

// maintainer turns "Name <mail>" into SPDX's form. No person is called after the
// distribution, but groups are ("Debian X Strike Force").
func maintainer(field string) string {
	name, _, _ := strings.Cut(field, "<")
	if distribution, _, ok := strings.Cut(name, " "); ok && (distribution == "Debian" || distribution == "Ubuntu") {
		return actor.Organization(name)
	}
	return actor.Parse(field)
}

// source takes "name" or "name (version)" apart; without a field, the source
// package is called as the package.
func source(field, version string) *sbom.Source {
	if field == "" {
		return nil
	}
	name, rest, _ := strings.Cut(field, "(")
	other, _, _ := strings.Cut(rest, ")")
	return &sbom.Source{Name: strings.TrimSpace(name), Version: cmp.Or(strings.TrimSpace(other), version)}
}

// relations returns the names in "a (>= 1), b:any | c [amd64]".
func relations(field string) [][]string {
	var out [][]string
	for part := range strings.SplitSeq(field, ",") {
		var alternatives []string
		for choice := range strings.SplitSeq(part, "|") {
			name := strings.TrimSpace(choice)
			if end := strings.IndexAny(name, " \t\n(:[<"); end >= 0 {
				name = name[:end]
			}
			if validName.MatchString(name) {
				alternatives = append(alternatives, name)
			}
		}
		if len(alternatives) > 0 {
			out = append(out, alternatives)
		}
	}
	return out
}

func names(field string) []string {
	var out []string
	for _, alternatives := range relations(field) {
		out = append(out, alternatives...)
	}
	return out
}
