// SPDX-License-Identifier: Apache-2.0

// Package sbom is plomb's model of what is in an image: packages, the files
// that say so, and the layer and instruction that brought them. It knows no
// document format; provenance/spdx and provenance/cyclonedx write those.
//
// A Report is one look: at the root filesystem of a base image, or at what one
// layer changed. Merge puts the reports of an image together.
package sbom

// A Report is what was found in a base image, or in what one layer changed.
// Paths are absolute in the image and encoded by Path. Lists are sorted, by
// path first, so that equal trees give equal bytes.
type Report struct {
	// System is what etc/os-release says; nil if the layer did not touch it.
	System *System `json:"system,omitempty"`
	// Findings has one entry for each file that was read as a package database
	// or as a package. One without packages says that there is none any more.
	Findings []Finding `json:"findings,omitempty"`
	// Gone are paths that were there below and are not any more, or are
	// something that tells of no package. What was below them is gone as well.
	Gone []string `json:"gone,omitempty"`
	// Unread is what should have been read and could not be.
	Unread []Unread `json:"unread,omitempty"`
	// Files counts the entries that were looked at.
	Files int `json:"files"`
}

// System is the distribution of an image (os-release(5)).
type System struct {
	ID         string `json:"id,omitempty"`        // debian
	VersionID  string `json:"versionID,omitempty"` // 12
	Codename   string `json:"codename,omitempty"`  // bookworm
	PrettyName string `json:"prettyName,omitempty"`
}

// A Finding is what one file says of packages.
type Finding struct {
	Path     string    `json:"path"`
	Packages []Package `json:"packages,omitempty"`
	// Owner is the Key of the operating system's package that the file belongs
	// to, "" if none.
	Owner string `json:"owner,omitempty"`
}

// Unread is something that could not be read, so that the list of packages may
// lack what is in it.
type Unread struct {
	Path string `json:"path"`
	// Reason is one line without the path.
	Reason string `json:"reason"`
}

// Package is one package as its database or its own metadata describes it.
// Everything but Type and Name may be empty: not known.
type Package struct {
	// Type is the package URL's type: deb, apk, rpm, golang, npm, pypi, maven,
	// cargo (https://github.com/package-url/purl-spec).
	Type string `json:"type"`
	// Name is the whole name as the ecosystem writes it: @scope/name for npm,
	// group:artifact for Maven, the module path for Go.
	Name string `json:"name"`
	// Version as the ecosystem writes it: v1.2.3 for Go.
	Version string `json:"version,omitempty"`
	Arch    string `json:"arch,omitempty"`
	PURL    string `json:"purl,omitempty"`
	// Supplier and Originator are "Organization: X" or "Person: X (mail)".
	Supplier   string `json:"supplier,omitempty"`
	Originator string `json:"originator,omitempty"`
	// License is a valid SPDX licence expression. What is no SPDX licence is a
	// LicenseRef- in it, declared in Licenses.
	License string `json:"license,omitempty"`
	// Licenses maps each LicenseRef- of License to the text or name as found.
	Licenses map[string]string `json:"licenses,omitempty"`
	Homepage string            `json:"homepage,omitempty"`
	Summary  string            `json:"summary,omitempty"`
	// Source is the source package that it was built from, "" if of its own name.
	Source *Source `json:"source,omitempty"`
	// Checksums are lower-case hex by SPDX's names of algorithms: SHA1, SHA256.
	Checksums map[string]string `json:"checksums,omitempty"`
	// Provides are further names under which others may require it.
	Provides []string `json:"provides,omitempty"`
	// Requires are the packages it needs, each a list of alternatives by name
	// within Type. Merge finds out which are there.
	Requires [][]string `json:"requires,omitempty"`
	// Top marks what was asked for by somebody and not pulled in by another
	// package, where the database can tell.
	Top bool `json:"top,omitempty"`
}

// Source names a source package.
type Source struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Key identifies the package within one system: type, name, architecture. Two
// versions of one npm package have the same Key and different paths.
func (p Package) Key() string {
	key := p.Type + "/" + p.Name
	if p.Arch != "" {
		key += ":" + p.Arch
	}
	return key
}

// A File is one regular file of an image or a layer, for file-level documents.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA1   string `json:"sha1"`   // lower-case hex
	SHA256 string `json:"sha256"` // lower-case hex
	// Owner is the Key of the package that the file belongs to, "" if none.
	Owner string `json:"owner,omitempty"`
}
