// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"regexp"
	"regexp/syntax"
)

// dotted finds a host name in an expression with a dot that is not escaped.
var dotted = regexp.MustCompile(`[a-z0-9]\.(com|org|net|io|dev|app|cloud|example)\b`)

// anchors reports whether an expression matches at the beginning of a text
// only, at its end only, and whether it matches every text.
func anchors(expr string) (begins, ends, everything bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return false, false, false
	}
	re = re.Simplify()
	return anchored(re, syntax.OpBeginText, first), anchored(re, syntax.OpEndText, last), matchesAll(re)
}

func first(int) int  { return 0 }
func last(n int) int { return n - 1 }

// anchored reports whether every way to match re goes through the operator at
// its edge.
func anchored(re *syntax.Regexp, op syntax.Op, edge func(int) int) bool {
	switch re.Op {
	case op:
		return true
	case syntax.OpCapture:
		return anchored(re.Sub[0], op, edge)
	case syntax.OpConcat:
		return anchored(re.Sub[edge(len(re.Sub))], op, edge)
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !anchored(sub, op, edge) {
				return false
			}
		}
		return true
	}
	return false
}

// matchesAll reports whether re is made of nothing but edges and runs of any
// character. A run that needs one character counts: no value is empty.
func matchesAll(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine:
		return true
	case syntax.OpStar, syntax.OpPlus:
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL
	case syntax.OpCapture:
		return matchesAll(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !matchesAll(sub) {
				return false
			}
		}
		return true
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if matchesAll(sub) {
				return true
			}
		}
	}
	return false
}
