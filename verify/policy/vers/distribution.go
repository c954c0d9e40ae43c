// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"errors"
	"regexp"
	"strings"
)

// deb is a version of Debian: deb-version(7).
type deb struct{ epoch, upstream, revision string }

var (
	validEpoch = regexp.MustCompile(`^[0-9]{1,9}$`)
	validDeb   = regexp.MustCompile(`^[A-Za-z0-9.+~:-]+$`)
)

func parseDeb(text string) (version, error) {
	epoch, rest, err := cutEpoch(text)
	if err != nil {
		return nil, err
	}
	if !validDeb.MatchString(rest) {
		return nil, errors.New("only letters, digits and . + ~ - are allowed")
	}
	v := deb{epoch: epoch, upstream: rest}
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		v.upstream, v.revision = rest[:i], rest[i+1:]
	}
	return v, nil
}

func cutEpoch(text string) (epoch, rest string, err error) {
	epoch, rest, found := strings.Cut(text, ":")
	if !found {
		return "0", text, nil
	}
	if !validEpoch.MatchString(epoch) {
		return "", "", errors.New("the epoch must be a number")
	}
	return epoch, rest, nil
}

func (v deb) compare(other version) int {
	o := other.(deb)
	return cmp.Or(compareNumbers(v.epoch, o.epoch), compareDebian(v.upstream, o.upstream), compareDebian(v.revision, o.revision))
}

// compareDebian compares parts without and with digits in turn. "The letters
// sort earlier than the non-letters, and a tilde sorts before anything, even
// the end of a part."
func compareDebian(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = span(a, false)
		y, b = span(b, false)
		for i := 0; i < len(x) || i < len(y); i++ {
			if c := cmp.Compare(debianWeight(x, i), debianWeight(y, i)); c != 0 {
				return c
			}
		}
		x, a = span(a, true)
		y, b = span(b, true)
		if c := compareNumbers(x, y); c != 0 {
			return c
		}
	}
	return 0
}

func debianWeight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case isLetter(s[i]):
		return int(s[i])
	}
	return int(s[i]) + 256
}

// rpm is epoch, version and release as RPM compares them (rpm-version(7)).
type rpm struct{ epoch, version, release string }

var validRPM = regexp.MustCompile(`^[A-Za-z0-9._+~^-]+$`)

func parseRPM(text string) (version, error) {
	epoch, rest, err := cutEpoch(text)
	if err != nil {
		return nil, err
	}
	if !validRPM.MatchString(rest) {
		return nil, errors.New("only letters, digits and . _ + ~ ^ - are allowed")
	}
	v := rpm{epoch: epoch}
	v.version, v.release, _ = strings.Cut(rest, "-")
	return v, nil
}

// compare leaves the release out unless both have one, as RPM does for
// dependencies: "<3.0.7" does not mean 3.0.7-18.el9.
func (v rpm) compare(other version) int {
	o := other.(rpm)
	c := cmp.Or(compareNumbers(v.epoch, o.epoch), compareRPM(v.version, o.version))
	if c != 0 || v.release == "" || o.release == "" {
		return c
	}
	return compareRPM(v.release, o.release)
}

// compareRPM compares runs of digits and runs of letters; what stands between
// them only separates. A tilde sorts before the end, a caret after it and
// before everything else.
func compareRPM(a, b string) int {
	for {
		a, b = trimSeparators(a), trimSeparators(b)
		if c, done := compareMark(a, b, '~', -1); done {
			return c
		} else if c, done := compareMark(a, b, '^', 1); done {
			return c
		} else if startsWith(a, '~') || startsWith(a, '^') {
			a, b = a[1:], b[1:]
			continue
		}
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		digits := isDigit(a[0])
		var x, y string
		x, a = run(a, digits)
		y, b = run(b, digits)
		if y == "" {
			// Digits are newer than letters.
			if digits {
				return 1
			}
			return -1
		}
		c := strings.Compare(x, y)
		if digits {
			c = compareNumbers(x, y)
		}
		if c != 0 {
			return c
		}
	}
}

// compareMark decides where one of the two, and not the other, goes on with the
// mark. end is what the mark is beside nothing at all.
func compareMark(a, b string, mark byte, end int) (c int, done bool) {
	switch marked, other := startsWith(a, mark), startsWith(b, mark); {
	case marked == other:
		return 0, false
	case marked && b == "":
		return end, true
	case other && a == "":
		return -end, true
	case marked:
		return -1, true
	}
	return 1, true
}

func startsWith(s string, c byte) bool { return s != "" && s[0] == c }

func trimSeparators(s string) string {
	return strings.TrimLeftFunc(s, func(r rune) bool { return r > 127 || !isDigit(byte(r)) && !isLetter(byte(r)) && r != '~' && r != '^' })
}

func run(s string, digits bool) (head, tail string) {
	i := 0
	for i < len(s) && (digits && isDigit(s[i]) || !digits && isLetter(s[i])) {
		i++
	}
	return s[:i], s[i:]
}

// span cuts off the digits, or what are none.
func span(s string, digits bool) (head, tail string) {
	i := 0
	for i < len(s) && isDigit(s[i]) == digits {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// compareNumbers compares decimal numbers of any length; nothing is zero.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
