// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// maven is a version of Maven, in the tokens of its version order specification
// (https://maven.apache.org/pom.html#version-order-specification).
type maven []mavenToken

type mavenToken struct {
	// hyphen is set behind a hyphen, and between digits and letters.
	hyphen bool
	text   string
}

var validMaven = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._+~-]*$`)

func parseMaven(text string) (version, error) {
	if !validMaven.MatchString(text) {
		return nil, errors.New("only letters, digits and . _ + ~ - are allowed")
	}
	return trimMaven(tokenizeMaven(strings.ToLower(text))), nil
}

func tokenizeMaven(text string) maven {
	var tokens maven
	hyphen := false
	start := 0
	end := func(i int, short bool) {
		tokens = append(tokens, mavenToken{hyphen, mavenQualifier(text[start:i], short)})
	}
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '.' || c == '-' || c == '_':
			end(i, false)
			start, hyphen = i+1, c != '.'
		case i > start && isDigit(c) != isDigit(text[i-1]):
			end(i, isDigit(c))
			start, hyphen = i, true
		}
	}
	end(len(text), false)
	return tokens
}

// mavenQualifier gives a qualifier its one spelling. "The tokens a, b and m are
// alpha, beta and milestone when followed directly by a number"; "empty tokens
// are replaced with 0".
func mavenQualifier(text string, beforeDigit bool) string {
	switch text {
	case "":
		return "0"
	case "cr":
		return "rc"
	case "final", "ga", "release":
		return ""
	}
	if long := map[string]string{"a": "alpha", "b": "beta", "m": "milestone"}[text]; beforeDigit && long != "" {
		return long
	}
	return text
}

// trimMaven removes, "starting from the end of the version, trailing null
// values (0, "", final, ga)", again at each remaining hyphen.
func trimMaven(tokens maven) maven {
	for i := len(tokens) - 1; i > 0; i-- {
		if isNull(tokens[i].text) && (i+1 == len(tokens) || tokens[i+1].hyphen) {
			tokens = slices.Delete(tokens, i, i+1)
		}
	}
	return tokens
}

func isNull(text string) bool { return strings.Trim(text, "0") == "" }

func (v maven) compare(other version) int {
	o := other.(maven)
	for i := 0; i < len(v) || i < len(o); i++ {
		var c int
		switch {
		case i >= len(v):
			c = -o[i].compareNull()
		case i >= len(o):
			c = v[i].compareNull()
		default:
			c = v[i].compare(o[i])
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// compareNull compares with what a shorter version is padded with.
func (t mavenToken) compareNull() int {
	if isNumber(t.text) {
		return compareNumbers(t.text, "0")
	}
	return compareQualifiers(t.text, "")
}

// compare: "alpha qualifier = -qualifier < -number < .number".
func (t mavenToken) compare(o mavenToken) int {
	x, y := isNumber(t.text), isNumber(o.text)
	switch {
	case x && y && t.hyphen != o.hyphen:
		if t.hyphen {
			return -1
		}
		return 1
	case x && y:
		return compareNumbers(t.text, o.text)
	case x:
		return 1
	case y:
		return -1
	}
	return compareQualifiers(t.text, o.text)
}

var mavenOrder = []string{"alpha", "beta", "milestone", "rc", "snapshot", "", "sp"}

func compareQualifiers(a, b string) int {
	return cmp.Or(cmp.Compare(mavenRank(a), mavenRank(b)), strings.Compare(a, b))
}

// mavenRank: unknown qualifiers come after all known ones.
func mavenRank(q string) int {
	if i := slices.Index(mavenOrder, q); i >= 0 {
		return i
	}
	return len(mavenOrder)
}
