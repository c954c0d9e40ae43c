// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"errors"
	"regexp"
	"strings"
)

// pypi is a version of PEP 440
// (https://packaging.python.org/specifications/version-specifiers/).
type pypi struct {
	epoch   string
	release []string
	// pre is -2 for a development release of the final one, -1 for none.
	pre       int
	preNumber string
	post, dev *string
	local     []string
}

var validPyPI = regexp.MustCompile(`^v?(?:([0-9]+)!)?([0-9]+(?:\.[0-9]+)*)` +
	`(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?([0-9]*))?` +
	`(?:(?:-([0-9]+))|(?:[-_.]?(post|rev|r)[-_.]?([0-9]*)))?` +
	`(?:[-_.]?(dev)[-_.]?([0-9]*))?` +
	`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)

// Phases of a pre-release. final comes after them, and devOnly before.
const (
	devOnly = iota - 1
	alpha
	beta
	candidate
	final
)

var phases = map[string]int{"a": alpha, "alpha": alpha, "b": beta, "beta": beta, "c": candidate, "rc": candidate, "pre": candidate, "preview": candidate}

func parsePyPI(text string) (version, error) {
	m := validPyPI.FindStringSubmatch(strings.ToLower(strings.TrimSpace(text)))
	if m == nil {
		return nil, errors.New("a version of PEP 440 is like 1.2.3rc1")
	}
	v := pypi{epoch: m[1], release: strings.Split(m[2], "."), pre: final, preNumber: m[4]}
	for len(v.release) > 1 && strings.Trim(v.release[len(v.release)-1], "0") == "" {
		v.release = v.release[:len(v.release)-1]
	}
	if m[3] != "" {
		v.pre = phases[m[3]]
	}
	switch {
	case m[5] != "":
		v.post = &m[5]
	case m[6] != "":
		v.post = &m[7]
	}
	if m[8] != "" {
		v.dev = &m[9]
		if m[3] == "" && v.post == nil {
			v.pre = devOnly
		}
	}
	if m[10] != "" {
		v.local = strings.FieldsFunc(m[10], func(r rune) bool { return strings.ContainsRune("-_.", r) })
	}
	return v, nil
}

func (v pypi) compare(other version) int {
	o := other.(pypi)
	if c := cmp.Or(compareNumbers(v.epoch, o.epoch), compareRelease(v.release, o.release), cmp.Compare(v.pre, o.pre), compareNumbers(v.preNumber, o.preNumber)); c != 0 {
		return c
	}
	// No post release is before any, no development release after any.
	return cmp.Or(compareOptional(v.post, o.post, -1), compareOptional(v.dev, o.dev, 1), compareLocal(v.local, o.local))
}

func compareRelease(a, b []string) int {
	for i := 0; i < len(a) || i < len(b); i++ {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if c := compareNumbers(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// compareOptional compares numbers that may be missing; absent is what one that
// is missing is beside one that is there.
func compareOptional(a, b *string, absent int) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return absent
	case b == nil:
		return -absent
	}
	return compareNumbers(*a, *b)
}

func compareLocal(a, b []string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		x, y := isNumber(a[i]), isNumber(b[i])
		var c int
		switch {
		case x && y:
			c = compareNumbers(a[i], b[i])
		case x:
			c = 1
		case y:
			c = -1
		default:
			c = strings.Compare(a[i], b[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
