// SPDX-License-Identifier: Apache-2.0

package java

import (
	"archive/zip"
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/purl"
	"github.com/plombproject/plomb/provenance/sbom"
)

type entry = zip.File

// contents is what an archive says of itself and of what was shaded into it.
type contents struct {
	manifest manifest
	poms     []*pom // by folder of META-INF/maven, sorted
}

// contents reads the metadata of an archive and lists the archives in it. Of
// entries with one name the first counts.
func (s *search) contents(z *zip.Reader) (contents, []*entry) {
	c := contents{}
	byFolder := map[string]*pom{}
	var nested []*entry
	for _, f := range z.File {
		if s.ctx.Err() != nil {
			break // told by the checksums
		}
		folder, base := path.Split(f.Name)
		switch {
		case strings.EqualFold(f.Name, "META-INF/MANIFEST.MF") && c.manifest == nil:
			if text, ok := s.metadata(f, maxManifest); ok {
				c.manifest = parseManifest(text)
			}
		case base == "pom.properties" && isMaven(folder):
			if text, ok := s.metadata(f, maxPOM); ok {
				at(byFolder, folder).properties(text)
			}
		case base == "pom.xml" && isMaven(folder):
			if text, ok := s.metadata(f, maxPOM); ok {
				if err := at(byFolder, folder).project(text); err != nil {
					s.failed(fmt.Errorf("%s: %w", base, err))
				}
			}
		case isArchive(f.Name):
			nested = append(nested, f)
		}
	}
	for folder, p := range byFolder {
		if p.resolve(); p.artifact != "" {
			p.folder = folder
			c.poms = append(c.poms, p)
		}
	}
	slices.SortFunc(c.poms, func(a, b *pom) int { return cmp.Compare(a.folder, b.folder) })
	return c, nested
}

// isMaven: META-INF/maven/GROUP/ARTIFACT/, in applications also below the
// folder of their own classes.
func isMaven(folder string) bool {
	return strings.HasPrefix(folder, "META-INF/maven/") || strings.Contains(folder, "/META-INF/maven/")
}

func at(poms map[string]*pom, folder string) *pom {
	if poms[folder] == nil {
		poms[folder] = &pom{}
	}
	return poms[folder]
}

func (s *search) metadata(f *entry, max int64) ([]byte, bool) {
	text, err := s.budget.ReadAll(f, max)
	if err != nil {
		s.failed(fmt.Errorf("%s: %w", path.Base(f.Name), err))
		return nil, false
	}
	return text, true
}

// packages are the one that the archive is, and those that were shaded into it.
func (c contents) packages(name string, recorded []*pom) (main sbom.Package, others []sbom.Package) {
	as := c.chosen(recorded)
	own := c.own(name, as)
	for i, p := range c.poms {
		if i != own {
			others = append(others, p.describe())
		}
	}
	switch {
	case as != nil && own >= 0 && as.names(c.poms[own]):
		// Somebody may have put a newer one in its place.
		main = c.poms[own].describe()
		fill(&main, as.describe())
	case as != nil:
		main = as.describe()
		if own >= 0 {
			fill(&main, c.poms[own].describe())
		}
	case own >= 0:
		main = c.poms[own].describe()
	default:
		main = c.manifest.describe(name)
	}
	c.manifest.complete(&main)
	return main, others
}

// chosen is the one of the recorded projects that the archive says it is, or
// else the first; nil if there is none.
func (c contents) chosen(recorded []*pom) *pom {
	for _, p := range recorded {
		if slices.ContainsFunc(c.poms, p.names) {
			return p
		}
	}
	if len(recorded) > 0 {
		return recorded[0]
	}
	return nil
}

// names reports whether both are one project, in whatever version.
func (p *pom) names(other *pom) bool { return p.group == other.group && p.artifact == other.artifact }

// own is the index of the pom that describes the archive itself: the one that
// is the recorded project, or that its name begins with, or, if nothing is
// recorded, the only one there is; -1 if none does.
func (c contents) own(name string, as *pom) int {
	if as != nil {
		if i := slices.IndexFunc(c.poms, as.names); i >= 0 {
			return i
		}
	}
	stem := strings.TrimSuffix(name, path.Ext(name))
	artifact, _ := splitName(name)
	best := -1
	for i, p := range c.poms {
		if p.artifact == stem || p.artifact == artifact {
			return i
		}
		if strings.HasPrefix(stem, p.artifact+"-") && (best < 0 || len(p.artifact) > len(c.poms[best].artifact)) {
			best = i
		}
	}
	if best < 0 && len(c.poms) == 1 && as == nil {
		return 0
	}
	return best
}

// fill adds to p what it does not say. A licence and the texts that it refers
// to belong together.
func fill(p *sbom.Package, from sbom.Package) {
	if p.Version == "" {
		setVersion(p, from.Version)
	}
	p.Supplier, p.Originator = cmp.Or(p.Supplier, from.Supplier), cmp.Or(p.Originator, from.Originator)
	p.Homepage, p.Summary = cmp.Or(p.Homepage, from.Homepage), cmp.Or(p.Summary, from.Summary)
	if p.License == "" {
		p.License, p.Licenses = from.License, from.Licenses
	}
	if len(p.Requires) == 0 {
		p.Requires = from.Requires
	}
}

// setVersion sets the version of a package that has none.
func setVersion(p *sbom.Package, version string) {
	p.Version = version
	if group, artifact, ok := strings.Cut(p.Name, ":"); ok {
		p.PURL = newPackage(group, artifact, version).PURL
	}
}

// newPackage names a package as Maven does. Without a group there is no
// package URL: "The group id is the namespace", and required.
func newPackage(group, artifact, version string) sbom.Package {
	p := sbom.Package{Type: "maven", Name: artifact, Version: version}
	if group != "" {
		p.Name = group + ":" + artifact
		p.PURL = purl.New("maven", group, artifact, version)
	}
	return p
}
