// SPDX-License-Identifier: Apache-2.0

package license

import (
	"regexp"
	"strings"
	"sync"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// lookup is the expression for the name of one licence: an id of the SPDX list
// in any spelling, a deprecated id, or a name of the tables in names.go.
func lookup(name string) (expr, bool) {
	if len(name) > maxName {
		return expr{}, false
	}
	if active, id := spdxlicenses.IsActiveLicense(name); active {
		return leaf(id), true
	}
	if deprecated, id := spdxlicenses.IsDeprecatedLicense(name); deprecated {
		if now, ok := renamed[id]; ok {
			return leaf(now), true
		}
		if now, ok := gnu(id); ok {
			return leaf(now), true
		}
		return leaf(id), true // still an id of the list
	}
	// "Apache-2.0+": this version or a later one, for ids of the list that
	// have no form of their own for that.
	if plain, ok := strings.CutSuffix(name, "+"); ok {
		if active, id := spdxlicenses.IsActiveLicense(plain); active && !strings.HasSuffix(id, "-only") && !strings.HasSuffix(id, "-or-later") {
			return leaf(id + "+"), true
		}
	}
	e, ok := byName()[squeeze(name)]
	return e, ok
}

// byName holds every name that is no id, squeezed.
var byName = sync.OnceValue(func() map[string]expr {
	known := map[string]expr{}
	ambiguous := map[string]bool{}
	for _, id := range spdxlicenses.GetLicenses() {
		key := squeeze(id)
		if _, twice := known[key]; twice {
			ambiguous[key] = true
		}
		known[key] = leaf(id)
	}
	for key := range ambiguous {
		delete(known, key)
	}
	for _, family := range gnuFamilies {
		for key, id := range family.spellings() {
			known[key] = leaf(id)
		}
	}
	for _, row := range names {
		for _, name := range row.names {
			known[squeeze(name)] = row.expression
		}
	}
	delete(known, "")
	return known
})

var (
	separators = regexp.MustCompile(`[^a-z0-9.+]+`)
	// glued is a family's name with its version: gplv2+, apache2, mpl1.1.
	glued = regexp.MustCompile(`^(gpl|lgpl|agpl|gfdl|mpl|asl|epl|cddl|apache|afl|cpl|eupl|bsd|artistic)v?([0-9][0-9.]*\+?)$`)
	// zeros do not tell versions apart: 2.0, 2.0.0 and 2.
	zeros = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+)*?)(?:\.0)*\.?(\+?)$`)
	// protocol of a licence's address, and the suffix of its file.
	protocol = regexp.MustCompile(`^<?[a-z]+://(www\.)?`)
	suffix   = regexp.MustCompile(`\.(txt|html?|php|md)>?$`)
)

// fillers say nothing about which licence it is.
var fillers = map[string]bool{
	"the": true, "license": true, "licence": true, "licenses": true, "licensed": true, "under": true,
	"version": true, "ver": true, "ver.": true, "v": true, "v.": true, ".": true, "a": true,
}

// squeeze leaves of a name what tells licences apart: "The Apache License,
// Version 2.0" and "apache-license-2" become "apache 2".
func squeeze(name string) string {
	name = strings.ToLower(strings.TrimSpace(respell(name)))
	if protocol.MatchString(name) {
		name = suffix.ReplaceAllString(strings.TrimRight(protocol.ReplaceAllString(name, ""), "/"), "")
	}
	var words []string
	for _, word := range separators.Split(name, -1) {
		if m := glued.FindStringSubmatch(word); m != nil {
			words = append(words, m[1])
			word = m[2]
		}
		if word == "" || fillers[word] {
			continue
		}
		words = append(words, zeros.ReplaceAllString(word, "$1$2"))
	}
	return strings.Join(words, " ")
}

// lookupException is the id of an exception to a licence, in any spelling.
func lookupException(name, license string) (string, bool) {
	if known, id := spdxlicenses.IsException(name); known {
		return id, true
	}
	key := strings.Join(strings.FieldsFunc(squeeze(name), func(r rune) bool { return r == ' ' }), " ")
	key = strings.TrimSpace(strings.NewReplacer("exceptions", "", "exception", "").Replace(key))
	for _, row := range exceptions {
		if row.name == key && strings.HasPrefix(license, row.license) {
			return row.id, true
		}
	}
	return "", false
}
