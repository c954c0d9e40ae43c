// SPDX-License-Identifier: Apache-2.0

package python

import (
	"bytes"
	"net/mail"
	"regexp"
	"strings"

	"github.com/plombproject/plomb/frontend/catalog/actor"
	"github.com/plombproject/plomb/frontend/catalog/license"
	"github.com/plombproject/plomb/frontend/catalog/purl"
	"github.com/plombproject/plomb/frontend/catalog/webpage"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	// maxValues is how often a field may be there; more are not looked at.
	maxValues = 10_000
	// maxValue is the longest field in bytes: a licence text.
	maxValue = 256 << 10
	// maxAddresses is the longest list of mail addresses in bytes that is parsed.
	maxAddresses = 4 << 10
)

// Metadata reads core metadata. Version and everything else may be missing.
func Metadata(text []byte) (sbom.Package, error) {
	h := headers(text)
	name, version := h.first("name"), h.first("version")
	if name == "" {
		return sbom.Package{}, errNameless
	}
	p := sbom.Package{
		Type: "pypi", Name: name, Version: version, PURL: purl.New("pypi", "", normal(name), version),
		Summary: h.first("summary"), Homepage: homepage(h), Requires: requires(h["requires-dist"]),
	}
	p.License, p.Licenses = licenses(h)
	p.Originator = who(h, "author")
	if p.Supplier = who(h, "maintainer"); p.Supplier == "" {
		p.Supplier = p.Originator
	}
	return p, nil
}

// fields are the header's values by lower-case name, in the file's order.
type fields map[string][]string

// first is "" as well for what setuptools wrote where nothing was known.
func (f fields) first(name string) string {
	if len(f[name]) == 0 || f[name][0] == "UNKNOWN" {
		return ""
	}
	return f[name][0]
}

var fieldName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// headers reads the fields up to the first empty line. It takes what is no
// field for the end, as there are files with such lines.
func headers(text []byte) fields {
	out := fields{}
	name, count := "", 0
	var value []byte
	flush := func() {
		if name != "" {
			out[name] = append(out[name], string(value))
		}
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, " \t\r\n")
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			value = extend(value, line)
			continue
		}
		next, first, ok := bytes.Cut(line, []byte(":"))
		if count++; !ok || count > maxValues || !fieldName.Match(next) {
			break
		}
		flush()
		name = strings.ToLower(string(next))
		first = bytes.TrimSpace(first)
		value = append(value[:0], first[:min(len(first), maxValue)]...)
	}
	flush()
	return out
}

// extend continues a value: "line breaks are replaced by a newline followed by
// seven spaces and a pipe", or by spaces alone.
func extend(value, line []byte) []byte {
	if len(value)+len(line) > maxValue {
		return value
	}
	line = bytes.TrimPrefix(bytes.TrimPrefix(line, []byte("       |")), []byte("        "))
	return append(append(value, '\n'), line...)
}

// licenses: License-Expression is the licence; License is a name or a whole
// text, and the classifiers are names of a list. Of the two the one counts that
// is known to SPDX. Several classifiers all hold: nothing says that there is a
// choice.
func licenses(h fields) (string, map[string]string) {
	if text := h.first("license-expression"); text != "" {
		return license.Normalise(text)
	}
	expression, refs := license.Normalise(h.first("license"))
	if expression != "" && refs == nil {
		return expression, nil
	}
	var names []string
	for _, classifier := range h["classifier"] {
		if strings.HasPrefix(classifier, "License ::") {
			names = append(names, classifier)
		}
	}
	classified, classifiedRefs := license.All(names)
	_, unknown := refs[expression] // nothing in it is a licence of the list
	_, alike := classifiedRefs[classified]
	if expression == "" || unknown && classified != "" && !alike {
		return classified, classifiedRefs
	}
	return expression, refs
}

// who is the author or maintainer. The mail field may hold name and mail, and
// several of both, of which the first counts.
func who(h fields, role string) string {
	name, address := h.first(role), h.first(role+"-email")
	address = address[:min(len(address), maxAddresses)]
	if list, err := mail.ParseAddressList(address); err == nil {
		if name == "" {
			name = list[0].Name
		}
		address = list[0].Address
	} else {
		address, _, _ = strings.Cut(address, ",")
		if name == "" {
			return actor.Parse(address)
		}
	}
	name, _, _ = strings.Cut(name, "\n")
	return actor.New(name, address)
}

// homepage: Home-page, or since metadata 1.2 the project address with a label
// that says so.
func homepage(h fields) string {
	addresses := []string{h.first("home-page")}
	for _, want := range []string{"homepage", "home-page", "home", "source", "source code", "repository", "code"} {
		for _, value := range h["project-url"] {
			if label, address, _ := strings.Cut(value, ","); strings.EqualFold(strings.TrimSpace(label), want) {
				addresses = append(addresses, address)
			}
		}
	}
	return webpage.First(addresses...)
}

var (
	requiredName = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`)
	separators   = regexp.MustCompile(`[-_.]+`)
	extra        = regexp.MustCompile(`\bextra\b`)
)

// requires are the normalised names of what is always needed. What is needed
// for an extra was left out unless somebody asked for the extra, which nothing
// in the metadata says.
func requires(values []string) [][]string {
	var out [][]string
	seen := map[string]bool{}
	for _, value := range values {
		requirement, marker, _ := strings.Cut(value, ";")
		name := requiredName.FindString(strings.TrimSpace(requirement))
		if name == "" || extra.MatchString(marker) {
			continue
		}
		name = normal(name)
		if !seen[name] {
			seen[name] = true
			out = append(out, []string{name})
		}
	}
	return out
}

// normal is the name by which the index and other tools know a distribution.
//
// PEP 503: "the name should be lowercased with all runs of the characters ., -,
// or _ replaced with a single - character".
func normal(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }
