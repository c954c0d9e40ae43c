// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"regexp"
	"strings"
)

// maxNested is how deeply brackets of an expression may nest.
const maxNested = 32

// licenceName is a licence or exception.
//
// SPDX 2.3, Annex D.2: idstring = 1*(ALPHA / DIGIT / "-" / "." ).
var licenceName = regexp.MustCompile(`^[A-Za-z0-9.-]+\+?$`)

// Expression returns an SPDX licence expression, or "" if it is none, is longer
// than MaxText, or refers to other documents. It does not know which licences
// there are.
func Expression(s string) string {
	if s == "" || len(s) > MaxText {
		return ""
	}
	spaced := strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)
	e := expression(strings.FieldsFunc(spaced, func(r rune) bool { return r == ' ' }))
	if !e.compound(0) || len(e) > 0 {
		return ""
	}
	return s
}

// An expression is the words that are not read yet.
type expression []string

// compound reads terms between AND and OR.
func (e *expression) compound(depth int) bool {
	for depth <= maxNested && e.term(depth) {
		if !e.take("AND") && !e.take("OR") {
			return true
		}
	}
	return false
}

// term reads a licence, perhaps with an exception, or what is in brackets.
func (e *expression) term(depth int) bool {
	if e.take("(") {
		return e.compound(depth+1) && e.take(")")
	}
	if !e.name() {
		return false
	}
	return !e.take("WITH") || e.name()
}

func (e *expression) take(word string) bool {
	if len(*e) == 0 || (*e)[0] != word {
		return false
	}
	*e = (*e)[1:]
	return true
}

// name reads a name. The operators are in capitals only, and are none; neither
// are SPDX's words for nothing.
func (e *expression) name() bool {
	if len(*e) == 0 {
		return false
	}
	switch strings.ToUpper((*e)[0]) {
	case "AND", "OR", "WITH", "NONE", "NOASSERTION":
		return false
	}
	if !licenceName.MatchString((*e)[0]) {
		return false
	}
	*e = (*e)[1:]
	return true
}
