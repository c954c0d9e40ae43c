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
func (c contents) packages(name string) (main sbom.Package, others []sbom.Package) {
	own := c.own(name)
	for i, p := range c.poms {
		if i != own {
			others = append(others, p.describe())
		}
	}
	if own >= 0 {
		main = c.poms[own].describe()
	} else {
		main = c.manifest.describe(name)
	}
	c.manifest.complete(&main)
	return main, others
}

// own is the index of the pom that describes the archive itself: the one that
// its name begins with, or the only one there is; -1 if none does.
func (c contents) own(name string) int {
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
	if best < 0 && len(c.poms) == 1 {
		return 0
	}
	return best
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
