// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"encoding/hex"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/package-url/packageurl-go"
)

// Whoever made a package decides what its fields say. These are the longest
// that documents repeat, in bytes; the rest is cut off and an ellipsis says so.
const (
	MaxName    = 1 << 10
	MaxText    = 4 << 10
	MaxLicence = 64 << 10 // of one licence's text
	MaxPaths   = 100      // evidence of one package
	MaxUnread  = 1000
)

// Text makes one line of s for a document: valid UTF-8, no control characters,
// at most max bytes. What cannot stay becomes U+FFFD.
func Text(s string, max int) string {
	return Cut(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")), max)
}

// Cut shortens s to max bytes, at a character's end.
func Cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	const ellipsis = "…"
	end := max - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// Kinds of agents, as SPDX has them.
const (
	Organization = "Organization"
	Person       = "Person"
)

// Agent splits "Organization: X" and "Person: X (mail)". Anything else is
// nobody.
func Agent(s string) (kind, name string) {
	kind, name, found := strings.Cut(Text(s, MaxName), ": ")
	name = strings.TrimSpace(name)
	if !found || name == "" || kind != Organization && kind != Person {
		return "", ""
	}
	return kind, name
}

// ValidPURL returns a package URL, or "" if it is none: consumers give up on a
// document for one that is broken.
func ValidPURL(s string) string {
	if s == "" || len(s) > MaxText || !visible(s) {
		return ""
	}
	if _, err := packageurl.FromString(s); err != nil {
		return ""
	}
	return s
}

// FromPURL is what a package URL tells: type, name with namespace as the
// ecosystem writes it, version and architecture.
func FromPURL(purl string) Package {
	u, err := packageurl.FromString(purl)
	if err != nil {
		return Package{}
	}
	p := Package{Type: u.Type, Name: u.Name, Version: u.Version, Arch: u.Qualifiers.Map()["arch"]}
	if separator := separators[u.Type]; u.Namespace != "" && separator != "" {
		p.Name = u.Namespace + separator + u.Name
	}
	return p
}

// separators stand between namespace and name where the ecosystem's names have
// both. Elsewhere the namespace is a distribution.
var separators = map[string]string{"npm": "/", "golang": "/", "maven": ":"}

// WholeName is the name as the ecosystem writes it: some tools leave out the
// part that package URLs call namespace.
func WholeName(purl, name string) string {
	told := FromPURL(purl)
	// Package URLs of Go are in lower case, and a distribution is no name.
	if separators[told.Type] == "" || told.Name == "" || strings.EqualFold(told.Name, name) {
		return name
	}
	return told.Name
}

// WebAddress returns an address that one can look at or download from, or "".
func WebAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || len(s) > MaxText || !visible(s) {
		return ""
	}
	switch strings.TrimPrefix(u.Scheme, "git+") {
	case "http", "https", "git", "ssh":
		return s
	}
	return ""
}

// visible reports whether s is ASCII without spaces and control characters.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// digestLengths are the algorithms that documents pass on, and the length of
// their digests in bytes.
var digestLengths = map[string]int{"MD5": 16, "SHA1": 20, "SHA224": 28, "SHA256": 32, "SHA384": 48, "SHA512": 64}

// Checksums returns those of sums that are well-formed, nil if none is.
func Checksums(sums map[string]string) map[string]string {
	var out map[string]string
	for algorithm, value := range sums {
		value = strings.ToLower(value)
		digest, err := hex.DecodeString(value)
		if err != nil || len(digest) == 0 || len(digest) != digestLengths[algorithm] {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[algorithm] = value
	}
	return out
}
