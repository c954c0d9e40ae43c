// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/plombproject/plomb/provenance/sbom"
)

// licences are the licences of a document that are not on SPDX's list. Two
// packages may use one LicenseRef- for two texts; a document may not.
type licences struct {
	// texts has the texts of each reference, as packages use it.
	texts map[string]map[string]bool
	// used is the text of each reference, as the document uses it.
	used map[string]string
}

// unknownText stands for a text that nobody found: SPDX wants one.
const unknownText = "The text of this licence was not found."

var licenceRef = regexp.MustCompile(`LicenseRef-[A-Za-z0-9.\-]+`)

func collectLicences(items []sbom.Item) *licences {
	l := &licences{texts: map[string]map[string]bool{}, used: map[string]string{}}
	for _, item := range items {
		for _, ref := range licenceRef.FindAllString(item.License, -1) {
			if l.texts[ref] == nil {
				l.texts[ref] = map[string]bool{}
			}
			l.texts[ref][licenceText(item.Package, ref)] = true
		}
	}
	return l
}

func licenceText(p sbom.Package, ref string) string {
	found := strings.ToValidUTF8(p.Licenses[ref], "\uFFFD")
	if strings.TrimSpace(found) == "" {
		return unknownText
	}
	return sbom.Cut(found, sbom.MaxLicence)
}

// expression is the licence of a package as this document may write it, or ""
// if it has none that can be written.
func (l *licences) expression(p sbom.Package) string {
	if sbom.Expression(p.License) == "" {
		return ""
	}
	return licenceRef.ReplaceAllStringFunc(p.License, func(ref string) string {
		found := licenceText(p, ref)
		if len(l.texts[ref]) > 1 {
			sum := sha256.Sum256([]byte(found))
			ref += "-" + hex.EncodeToString(sum[:4])
		}
		for l.used[ref] != "" && l.used[ref] != found {
			ref += "-x" // somebody wanted to be taken for the one above
		}
		l.used[ref] = found
		return ref
	})
}

// declared lists the references that expressions used.
func (l *licences) declared() []*v2_3.OtherLicense {
	var out []*v2_3.OtherLicense
	for _, ref := range slices.Sorted(maps.Keys(l.used)) {
		out = append(out, &v2_3.OtherLicense{LicenseIdentifier: ref, ExtractedText: l.used[ref]})
	}
	return out
}
