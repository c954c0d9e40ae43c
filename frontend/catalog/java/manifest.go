// SPDX-License-Identifier: Apache-2.0

package java

import (
	"bytes"
	"path"
	"regexp"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/actor"
	"github.com/plombproject/plomb/frontend/catalog/license"
	"github.com/plombproject/plomb/frontend/catalog/webpage"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	// maxAttributes is how many attributes of a manifest are looked at.
	maxAttributes = 1000
	// maxAttribute is the longest value in bytes. Bundles list their packages.
	maxAttribute = 256 << 10
)

// A manifest is the main section of META-INF/MANIFEST.MF, by lower-case name
// (JAR File Specification, "JAR Manifest").
type manifest map[string]string

func parseManifest(text []byte) manifest {
	m := manifest{}
	var name string
	var value []byte
	flush := func() {
		if _, twice := m[name]; name != "" && !twice {
			m[name] = strings.TrimSpace(string(value))
		}
	}
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 || len(m) == maxAttributes {
			break // the sections for single files are of no interest
		}
		if line[0] == ' ' {
			if len(value)+len(line) <= maxAttribute {
				value = append(value, line[1:]...)
			}
			continue
		}
		flush()
		key, first, _ := bytes.Cut(line, []byte(":"))
		name = strings.ToLower(string(key))
		value = append(value[:0], first[:min(len(first), maxAttribute)]...)
	}
	flush()
	return m
}

// value is the first of the attributes that says something.
func (m manifest) value(names ...string) string {
	for _, name := range names {
		if text := m[name]; text != "" && !strings.Contains(text, "${") && !strings.EqualFold(text, "unknown") {
			return text
		}
	}
	return ""
}

// symbolicName of an OSGi bundle, without its directives.
func (m manifest) symbolicName() string {
	name, _, _ := strings.Cut(m.value("bundle-symbolicname"), ";")
	return strings.TrimSpace(name)
}

// describe is the package for an archive without Maven's files.
func (m manifest) describe(file string) sbom.Package {
	artifact, version := splitName(file)
	fromName := version != ""
	if version == "" {
		version = m.value("implementation-version", "bundle-version", "specification-version")
	}
	group := m.group(artifact)
	if group == "" && fromName {
		// As for the libraries that are older than groups: junit:junit. Others
		// guess the same, so that what they know of a package is found.
		group = artifact
	}
	return newPackage(group, artifact, version)
}

// dotted is a reversed domain name.
var dotted = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+$`)

// group is the group that the artifact's name, the bundle's, or the vendor's
// points to; "" if none does.
func (m manifest) group(artifact string) string {
	symbolic := m.symbolicName()
	if strings.HasPrefix(symbolic, "org.objectweb.asm") {
		return "org.ow2.asm" // in most applications, and always without Maven's files
	}
	for _, name := range []string{artifact, symbolic} {
		if dotted.MatchString(name) {
			return groupOf(strings.ToLower(name), artifact)
		}
	}
	if name := m.value("extension-name", "implementation-vendor-id"); dotted.MatchString(name) {
		return name
	}
	return ""
}

// groupOf is the group in a bundle's name. The last part of the name goes if it
// is the artifact (com.fasterxml.jackson.core.jackson-databind) or a part of it
// (org.apache.commons.lang3 for commons-lang3), unless the artifact's name is a
// plain word (com.google.guava) or there would be nothing but a top-level
// domain left (com.h2database, javax.inject).
func groupOf(name, artifact string) string {
	i := strings.LastIndexByte(name, '.')
	above, last := name[:i], name[i+1:]
	switch {
	case !strings.Contains(above, "."), !strings.Contains(strings.ToLower(artifact), last):
		return name
	case last == artifact && !strings.Contains(last, "-") && !strings.HasSuffix(above, "."+last):
		return name
	}
	return above
}

// complete adds what nothing else said.
func (m manifest) complete(p *sbom.Package) {
	if p.Version == "" {
		setVersion(p, m.value("implementation-version", "bundle-version"))
	}
	if p.Supplier == "" {
		p.Supplier = actor.Organization(m.value("implementation-vendor", "bundle-vendor", "specification-vendor"))
	}
	if p.License == "" {
		p.License, p.Licenses = license.Any(m.licenses())
	}
	p.Homepage = webpage.First(p.Homepage, m["bundle-docurl"], m["implementation-url"])
	if p.Summary == "" {
		p.Summary = m.value("bundle-description", "bundle-name", "implementation-title")
	}
}

// licenses: names or addresses with attributes, separated by commas:
// Apache-2.0;link="https://www.apache.org/licenses/LICENSE-2.0.txt"
// (OSGi Core, "Bundle-License"). Quotes may hold either sign.
func (m manifest) licenses() []string {
	var out []string
	quoted := false
	fields := strings.FieldsFunc(m.value("bundle-license"), func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	})
	for _, field := range fields[:min(len(fields), maxLicenses)] {
		name, attributes, _ := strings.Cut(field, ";")
		_, link, _ := strings.Cut(attributes, "link=")
		link, _, _ = strings.Cut(strings.TrimPrefix(link, `"`), `"`)
		if text := known(strings.Trim(strings.TrimSpace(name), `"`), link); text != "" {
			out = append(out, text)
		}
	}
	return out
}

var version = regexp.MustCompile(`^([0-9]|build[0-9]|rc?[0-9]+([^a-zA-Z]|$))`)

// splitName splits "commons-lang3-3.12.0.jar" before the version. Without one
// the version is "".
func splitName(file string) (artifact, v string) {
	stem := strings.TrimSuffix(file, path.Ext(file))
	if stem == "" {
		return file, "" // .jar
	}
	for i := range len(stem) {
		if stem[i] == '-' && i > 0 && version.MatchString(stem[i+1:]) {
			return stem[:i], stem[i+1:]
		}
	}
	// org.eclipse.osgi_3.18.0.v20220516.jar
	if name, rest, ok := strings.Cut(stem, "_"); ok && name != "" && version.MatchString(rest) {
		return name, rest
	}
	return stem, ""
}
