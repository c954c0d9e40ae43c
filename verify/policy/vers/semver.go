// SPDX-License-Identifier: Apache-2.0

package vers

import (
	"cmp"
	"errors"
	"regexp"
	"strings"
)

// semver is a version of https://semver.org/spec/v2.0.0.html. Fewer than three
// numbers count as followed by zeros, and a v in front is left out, so that Go's
// versions are semver as well. NuGet has a fourth number.
type semver struct {
	numbers [4]string
	pre     []string
}

var (
	validSemver = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+){0,2})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)
	validNuGet  = regexp.MustCompile(`^v?([0-9]+(?:\.[0-9]+){0,3})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$`)
)

func parseSemver(text string) (version, error) { return readSemver(validSemver, text) }

// parseNuGet: https://learn.microsoft.com/nuget/concepts/package-versioning,
// pre-releases in any case.
func parseNuGet(text string) (version, error) {
	return readSemver(validNuGet, strings.ToLower(text))
}

func readSemver(valid *regexp.Regexp, text string) (version, error) {
	m := valid.FindStringSubmatch(text)
	if m == nil {
		return nil, errors.New("a semantic version is like 1.2.3-rc.1")
	}
	var v semver
	copy(v.numbers[:], strings.Split(m[1], "."))
	if m[2] != "" {
		v.pre = strings.Split(m[2], ".")
	}
	return v, nil
}

func (v semver) compare(other version) int {
	o := other.(semver)
	for i := range v.numbers {
		if c := compareNumbers(v.numbers[i], o.numbers[i]); c != 0 {
			return c
		}
	}
	return comparePrerelease(v.pre, o.pre)
}

// comparePrerelease is clause 11 of the specification.
func comparePrerelease(a, b []string) int {
	switch {
	case len(a) == 0 && len(b) == 0:
		return 0
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	for i := 0; i < len(a) && i < len(b); i++ {
		x, y := isNumber(a[i]), isNumber(b[i])
		var c int
		switch {
		case x && y:
			c = compareNumbers(a[i], b[i])
		case x:
			c = -1
		case y:
			c = 1
		default:
			c = strings.Compare(a[i], b[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
