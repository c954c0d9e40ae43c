// SPDX-License-Identifier: Apache-2.0

// Package vers says whether a package's version lies in a range. Ranges are
// written as in vers (https://github.com/package-url/vers-spec), without the
// scheme: that is the type of the package URL. Versions are ordered as the
// ecosystem of the package orders them, each by its own specification; for one
// that is not known only equality can be asked.
package vers

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

const (
	// MaxRange bounds a range, in bytes, and MaxVersion one version.
	MaxRange   = 4 << 10
	MaxVersion = 256
)

var (
	// ErrRange reports a range that makes no sense.
	ErrRange = errors.New("version range")
	// ErrVersion reports a version that is none of its ecosystem.
	ErrVersion = errors.New("version")
	// ErrScheme reports an ecosystem whose order of versions is not known.
	ErrScheme = errors.New("versions cannot be compared")
)

// A scheme reads versions of an ecosystem.
type scheme func(string) (version, error)

// A version can be compared with others of its scheme.
type version interface{ compare(version) int }

// schemes are the orders, by type of package URL.
var schemes = map[string]scheme{
	"deb":    parseDeb,
	"rpm":    parseRPM,
	"apk":    parseAPK,
	"npm":    parseSemver,
	"cargo":  parseSemver,
	"golang": parseSemver,
	"hex":    parseSemver,
	"pub":    parseSemver,
	"swift":  parseSemver,
	"nuget":  parseNuGet,
	"pypi":   parsePyPI,
	"maven":  parseMaven,
	"gem":    parseGem,
}

// Schemes lists the types of package URL whose versions can be ordered.
func Schemes() []string {
	var list []string
	for name := range schemes {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Compare orders two versions of a package type: negative if a is the older.
func Compare(purlType, a, b string) (int, error) {
	parse, ok := schemes[purlType]
	if !ok {
		return 0, fmt.Errorf("%w: nothing is known of the order of %q", ErrScheme, purlType)
	}
	va, err := parse(a)
	if err != nil {
		return 0, fmt.Errorf("%w %q: %w", ErrVersion, a, err)
	}
	vb, err := parse(b)
	if err != nil {
		return 0, fmt.Errorf("%w %q: %w", ErrVersion, b, err)
	}
	return va.compare(vb), nil
}

// comparators, the longer before those that they begin with.
var comparators = []string{"!=", "<=", ">=", "=", "<", ">"}

type constraint struct {
	op   string
	text string
	at   version
}

// A Range is a set of versions.
type Range struct {
	text string
	all  bool
	// parse is nil where only equality is known.
	parse       scheme
	constraints []constraint // sorted by version
}

func (r *Range) String() string { return r.text }

// Parse reads a range for packages of a type, such as ">=2.0-beta9|<2.17.1".
// "*" and the empty range are all versions.
func Parse(purlType, text string) (*Range, error) {
	r := &Range{text: text, parse: schemes[purlType]}
	if len(text) > MaxRange {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrRange, MaxRange)
	}
	if text = strings.TrimSpace(text); text == "" || text == "*" {
		r.all = true
		return r, nil
	}
	for part := range strings.SplitSeq(text, "|") {
		c, err := r.constraint(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("%w %q: %w", ErrRange, text, err)
		}
		if r.parse == nil && c.op != "=" && c.op != "!=" {
			return nil, fmt.Errorf("%w: nothing is known of the order of %q: write =VERSION, or ban the package whatever its version", ErrScheme, purlType)
		}
		r.constraints = append(r.constraints, c)
	}
	if err := r.order(); err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrRange, text, err)
	}
	return r, nil
}

func (r *Range) constraint(part string) (constraint, error) {
	c := constraint{op: "="}
	for _, op := range comparators {
		if rest, ok := strings.CutPrefix(part, op); ok {
			c.op, part = op, strings.TrimSpace(rest)
			break
		}
	}
	var err error
	if c.text, err = url.PathUnescape(part); err != nil {
		return c, err
	}
	if c.at, err = r.version(c.text); err != nil {
		return c, err
	}
	return c, nil
}

// version reads a version; without a scheme there is nothing to read.
func (r *Range) version(text string) (version, error) {
	switch {
	case text == "" || text == "*":
		return nil, fmt.Errorf("%w is missing", ErrVersion)
	case len(text) > MaxVersion:
		return nil, fmt.Errorf("%w is longer than %d bytes", ErrVersion, MaxVersion)
	case r.parse == nil:
		return exact(text), nil
	}
	v, err := r.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w %q: %w", ErrVersion, text, err)
	}
	return v, nil
}

// exact is a version of which nothing but equality is known. The order is for
// sorting alone.
type exact string

func (v exact) compare(o version) int { return strings.Compare(string(v), string(o.(exact))) }

// order sorts the constraints and refuses those that contradict each other:
// "versions MUST be unique", and beyond = and != the comparators must begin and
// end intervals in turn.
func (r *Range) order() error {
	slices.SortStableFunc(r.constraints, func(a, b constraint) int { return a.at.compare(b.at) })
	lower := false
	first := true
	for i, c := range r.constraints {
		if i > 0 && r.constraints[i-1].at.compare(c.at) == 0 {
			return fmt.Errorf("%s and %s are about one version", r.constraints[i-1].op+r.constraints[i-1].text, c.op+c.text)
		}
		if c.op == "=" || c.op == "!=" {
			continue
		}
		begins := c.op[0] == '>'
		if !first && begins == lower {
			return fmt.Errorf("%s follows one that points the same way: give each interval a beginning and an end", c.op+c.text)
		}
		lower, first = begins, false
	}
	return nil
}

// Contains says whether the version is in the range. A version that cannot be
// read is an error, and never outside.
func (r *Range) Contains(text string) (bool, error) {
	if r.all {
		return true, nil
	}
	v, err := r.version(text)
	if err != nil {
		return false, err
	}
	intervals := slices.DeleteFunc(slices.Clone(r.constraints), func(c constraint) bool { return c.op == "=" || c.op == "!=" })
	for _, c := range r.constraints {
		if v.compare(c.at) == 0 {
			return strings.Contains(c.op, "=") && c.op != "!=", nil
		}
	}
	if len(intervals) == 0 {
		// Only exclusions: everything else is meant.
		return !slices.ContainsFunc(r.constraints, func(c constraint) bool { return c.op == "=" }), nil
	}
	// The nearest bound below says whether an interval has begun there; where
	// there is none, the nearest above says whether one ends there.
	for i := len(intervals) - 1; i >= 0; i-- {
		if v.compare(intervals[i].at) > 0 {
			return intervals[i].op[0] == '>', nil
		}
	}
	return intervals[0].op[0] == '<', nil
}
