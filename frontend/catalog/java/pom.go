// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/actor"
	"github.com/plombproject/plomb/frontend/catalog/license"
	"github.com/plombproject/plomb/frontend/catalog/webpage"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	// maxExpansion is how often properties are put in for one text, and
	// maxExpanded the longest result in bytes.
	maxExpansion = 20
	maxExpanded  = 4 << 10
	// maxLicenses is how many licences of one project are looked at.
	maxLicenses = 100
)

// A pom is what the files of one folder below META-INF/maven say: the
// coordinates that Maven wrote when it built the archive (pom.properties), and
// the project (pom.xml, https://maven.apache.org/pom.html).
type pom struct {
	folder                   string
	group, artifact, version string
	xml                      model
	values                   map[string]string // for ${…}
}

// model is the part of a pom.xml that describes a package. What it inherits
// from its parent is not in the archive.
type model struct {
	GroupID      string       `xml:"groupId"`
	ArtifactID   string       `xml:"artifactId"`
	Version      string       `xml:"version"`
	Description  string       `xml:"description"`
	URL          string       `xml:"url"`
	Parent       coordinates  `xml:"parent"`
	Organization named        `xml:"organization"`
	Developers   []named      `xml:"developers>developer"`
	Licenses     []named      `xml:"licenses>license"`
	Dependencies []dependency `xml:"dependencies>dependency"`
	Properties   struct {
		All []property `xml:",any"`
	} `xml:"properties"`
}

type coordinates struct {
	GroupID string `xml:"groupId"`
	Version string `xml:"version"`
}

type named struct {
	Name  string `xml:"name"`
	URL   string `xml:"url"`
	Email string `xml:"email"`
}

type dependency struct {
	GroupID    string `xml:"groupId"`
	ArtifactID string `xml:"artifactId"`
	Scope      string `xml:"scope"`
	Optional   string `xml:"optional"`
}

type property struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// properties reads a pom.properties file.
func (p *pom) properties(text []byte) {
	for line := range bytes.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(string(line)), "=")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, "!") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "groupId":
			p.group = value
		case "artifactId":
			p.artifact = value
		case "version":
			p.version = value
		}
	}
}

// project reads a pom.xml file.
func (p *pom) project(text []byte) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = charset
	d.Entity = xml.HTMLEntity // older ones have &eacute; in people's names
	if err := d.Decode(&p.xml); err != nil {
		p.xml = model{}
		return fmt.Errorf("parse XML: %w", err)
	}
	return nil
}

// charset knows the encodings that pom.xml files are in beside UTF-8.
func charset(name string, r io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "iso-8859-1", "latin1", "windows-1252", "cp1252", "us-ascii", "ascii":
	default:
		return nil, errors.New("unknown encoding " + name)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	// The first 256 characters of Unicode are those of ISO 8859-1.
	runes := make([]rune, len(text))
	for i, b := range text {
		runes[i] = rune(b)
	}
	return strings.NewReader(string(runes)), nil
}

// resolve completes the coordinates. Those that Maven wrote are final; a
// project has its parent's where it has none.
func (p *pom) resolve() {
	x := &p.xml
	p.values = map[string]string{}
	for _, property := range x.Properties.All {
		p.values[property.XMLName.Local] = strings.TrimSpace(property.Value)
	}
	first := func(values ...string) string {
		for _, value := range values {
			if value = p.expand(value); value != "" {
				return value
			}
		}
		return ""
	}
	for _, prefix := range []string{"project.", "pom.", ""} {
		p.values[prefix+"parent.version"], p.values[prefix+"parent.groupId"] = x.Parent.Version, x.Parent.GroupID
	}
	p.group = first(p.group, x.GroupID, x.Parent.GroupID)
	p.artifact = first(p.artifact, x.ArtifactID)
	p.version = first(p.version, x.Version, x.Parent.Version)
	for _, prefix := range []string{"project.", "pom.", ""} {
		p.values[prefix+"groupId"], p.values[prefix+"artifactId"], p.values[prefix+"version"] = p.group, p.artifact, p.version
	}
}

var reference = regexp.MustCompile(`\$\{([^${}]*)\}`)

// expand puts properties in for ${…}. It is "" if one is not known.
func (p *pom) expand(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > maxExpanded && strings.Contains(text, "${") {
		return ""
	}
	for range maxExpansion {
		if !strings.Contains(text, "${") {
			return text
		}
		m := reference.FindStringSubmatchIndex(text)
		if m == nil {
			return ""
		}
		value := p.values[text[m[2]:m[3]]]
		if value == "" || len(text)+len(value) > maxExpanded {
			return ""
		}
		text = strings.TrimSpace(text[:m[0]] + value + text[m[1]:])
	}
	return ""
}

// describe is the package.
func (p *pom) describe() sbom.Package {
	out := newPackage(p.group, p.artifact, p.version)
	x := p.xml
	out.Summary = strings.Join(strings.Fields(p.expand(x.Description)), " ")
	out.Homepage = webpage.First(p.expand(x.URL))
	out.Supplier = actor.Organization(p.expand(x.Organization.Name))
	for _, developer := range x.Developers {
		if out.Originator = actor.New(p.expand(developer.Name), developer.Email); out.Originator != "" {
			break
		}
	}
	if out.Supplier == "" {
		out.Supplier = out.Originator
	}
	out.License, out.Licenses = p.licenses()
	out.Requires = p.requires()
	return out
}

// licenses: "If multiple licenses are listed, it is assumed that the user can
// select any of them, not that they must accept all" (Maven's POM reference).
func (p *pom) licenses() (string, map[string]string) {
	var all []string
	for _, l := range p.xml.Licenses[:min(len(p.xml.Licenses), maxLicenses)] {
		all = append(all, known(p.expand(l.Name), p.expand(l.URL)))
	}
	return license.Any(all)
}

// known is the first text that names a licence of SPDX's list, or else the
// first that is not empty.
func known(texts ...string) string {
	first := ""
	for _, text := range texts {
		if expression, refs := license.Normalise(text); expression != "" && refs == nil {
			return text
		}
		if first == "" {
			first = text
		}
	}
	return first
}

// requires are the dependencies that have to be there when the package is used.
func (p *pom) requires() [][]string {
	var out [][]string
	seen := map[string]bool{}
	for _, d := range p.xml.Dependencies {
		switch p.expand(d.Scope) {
		case "", "compile", "runtime":
		default:
			continue // test, provided by the runtime, or import
		}
		group, artifact := p.expand(d.GroupID), p.expand(d.ArtifactID)
		name := group + ":" + artifact
		if group == "" || artifact == "" || p.expand(d.Optional) == "true" || seen[name] {
			continue
		}
		seen[name] = true
		out = append(out, []string{name})
	}
	return out
}
