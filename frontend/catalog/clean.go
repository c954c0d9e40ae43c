// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plombproject/plomb/provenance/sbom"
)

var (
	errNameless     = errors.New("a package without a name or type is left out")
	errManyPackages = errors.New("there are more packages than are listed")
)

// clean sorts the packages of one file and makes their texts what a document
// can hold. What is beyond a bound is left out; the error says so.
func clean(packages []sbom.Package, limit int) ([]sbom.Package, error) {
	var err error
	out := packages[:0]
	for _, p := range packages {
		if cleanPackage(&p); p.Name == "" || p.Type == "" {
			err = errNameless
			continue
		}
		out = append(out, p)
	}
	slices.SortFunc(out, comparePackages)
	out = slices.CompactFunc(out, func(a, b sbom.Package) bool { return comparePackages(a, b) == 0 })
	if len(out) > limit {
		return out[:limit], fmt.Errorf("%w: %d of %d", errManyPackages, limit, len(out))
	}
	return out, err
}

func comparePackages(a, b sbom.Package) int {
	if c := cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name),
		strings.Compare(a.Version, b.Version), strings.Compare(a.Arch, b.Arch), strings.Compare(a.PURL, b.PURL)); c != 0 {
		return c
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil {
		return 0 // cannot be: there is nothing in a package that JSON has no form for
	}
	return bytes.Compare(x, y)
}

// weigh returns how much of maxContent the packages take.
func weigh(packages []sbom.Package) int {
	weight := 100 // the path, and what is around
	for _, p := range packages {
		data, err := json.Marshal(p)
		if err != nil {
			continue // cannot be, see comparePackages
		}
		weight += max(leastContent, len(data))
	}
	return weight
}

func cleanPackage(p *sbom.Package) {
	for _, text := range []*string{
		&p.Type, &p.Name, &p.Version, &p.Arch, &p.PURL, &p.Supplier, &p.Originator, &p.Homepage, &p.Summary,
	} {
		*text = text1(*text, maxText)
	}
	if p.Source != nil {
		p.Source = &sbom.Source{Name: text1(p.Source.Name, maxText), Version: text1(p.Source.Version, maxText)}
	}
	cleanLicense(p)
	p.Checksums = cleanMap(p.Checksums)
	p.Provides = cleanList(p.Provides)
	p.Requires = p.Requires[:min(len(p.Requires), maxList)]
	for i := range p.Requires {
		p.Requires[i] = cleanList(p.Requires[i])
	}
	p.Requires = slices.DeleteFunc(p.Requires, func(alternatives []string) bool { return len(alternatives) == 0 })
}

// cleanLicense drops an expression that would have to be cut: half of one says
// something else.
func cleanLicense(p *sbom.Package) {
	if text := text1(p.License, maxText); text != p.License {
		p.License, p.Licenses = "", nil
		return
	}
	p.Licenses = cleanMap(p.Licenses)
}

// cleanMap keeps the first keys in their order.
func cleanMap(in map[string]string) map[string]string {
	var out map[string]string
	for _, k := range slices.Sorted(maps.Keys(in)) {
		if k != text1(k, maxText) || len(out) == maxList {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = cut(strings.ToValidUTF8(in[k], "\uFFFD"), maxText)
	}
	return out
}

func cleanList(in []string) []string {
	var out []string
	for _, text := range in[:min(len(in), maxList)] {
		if text = text1(text, maxText); text != "" {
			out = append(out, text)
		}
	}
	return out
}

// text1 makes a text one line of valid UTF-8 without control characters and at
// most limit bytes.
func text1(text string, limit int) string {
	text = cut(text, limit)
	if !utf8.ValidString(text) {
		text = cut(strings.ToValidUTF8(text, "\uFFFD"), limit)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, text)
	}
	return strings.TrimSpace(text)
}

// cut shortens a text to at most limit bytes, between characters.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
