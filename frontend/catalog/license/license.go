// SPDX-License-Identifier: Apache-2.0

// Package license turns what package databases and package files call a
// licence into valid SPDX licence expressions (SPDX 2.3, annex D): ids of the
// SPDX licence list in their present spelling, and a declared LicenseRef- for
// everything else, so that nothing that was said gets lost.
//
// It reads what a package says of itself and gives no legal opinion: where a name leaves open which licence is meant
// ("BSD"), the name itself stays.
package license

import (
	"slices"
	"strings"

	"github.com/github/go-spdx/v2/spdxexp/spdxlicenses"
)

// Normalise returns the SPDX licence expression for the content of a licence
// field: an expression, a name, a Python classifier, a licence's address or a
// whole licence text. refs declares each LicenseRef- of the expression that
// the field did not declare elsewhere, with the text as found. Both are empty
// if the field says nothing.
func Normalise(text string) (expression string, refs map[string]string) {
	d := declared{}
	e := d.field(text)
	return e.String(), d.result()
}

// FromText returns the id of the licence that a licence file is the text of,
// or "" if it is none of the common ones, or more than one.
func FromText(text string) string {
	id, _ := recognise(text)
	return id
}

// All returns the expression for several licence fields that hold at once.
func All(fields []string) (expression string, refs map[string]string) {
	return join("AND", fields)
}

// Any returns the expression for several licence fields of which the user may
// choose one.
func Any(fields []string) (expression string, refs map[string]string) {
	return join("OR", fields)
}

func join(op string, fields []string) (string, map[string]string) {
	d := declared{}
	var parts []expr
	for _, field := range fields {
		parts = append(parts, d.field(field))
	}
	return combine(op, parts).String(), d.result()
}

// FromDebian returns the expression for the licence short names of a
// machine-readable debian/copyright file
// (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/):
// all of them hold, each for some files. The expression is sorted, so that the
// order of the paragraphs does not matter.
func FromDebian(names []string) (expression string, refs map[string]string) {
	d := declared{}
	var parts []expr
	for _, name := range names {
		parts = append(parts, d.field(name))
	}
	all := combine("AND", parts)
	if all.op == "AND" {
		slices.Sort(all.kids)
	}
	return all.String(), d.result()
}

// declared collects the LicenseRef-s of one expression.
type declared map[string]string

// result is nil if nothing had to be declared.
func (d declared) result() map[string]string {
	if len(d) == 0 {
		return nil
	}
	return d
}

// silent are the contents of a licence field that say nothing, squeezed.
var silent = []string{"", "unknown", "none", "noassertion", "n a", "null", "undefined", "other proprietary unknown"}

// field is the expression for one licence field.
func (d declared) field(text string) expr {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	if active, id := spdxlicenses.IsActiveLicense(text); active {
		return leaf(id) // nearly always, and quick
	}
	if classifier, ok := strings.CutPrefix(text, "License ::"); ok {
		text = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(classifier), "OSI Approved ::"))
		if text == "OSI Approved" {
			return expr{} // the classifier that says only: one of many
		}
	}
	if len(text) > maxName || strings.Contains(text, "\n") {
		if id, ok := recognise(text); ok {
			return leaf(id)
		}
		if len(text) > maxExpression {
			return d.ref(text)
		}
	}
	if text == "" || len(text) <= maxName && slices.Contains(silent, squeeze(text)) && !isPunctuation(text) {
		return expr{}
	}
	if known, ok := lookup(text); ok {
		return known
	}
	if e, ok := d.parse(text); ok {
		return e
	}
	return d.ref(text)
}

// isPunctuation tells a text without letters and digits, which squeezes to
// nothing and still was said.
func isPunctuation(text string) bool {
	return text != "" && !strings.ContainsAny(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789")
}
