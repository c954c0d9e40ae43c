// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"strings"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// A demand is what one rule asks of an image: everything of requirements.
// Without any it admits everything, unless it rejects everything.
type demand struct {
	reject       bool
	requirements []requirement
}

// A requirement is one authority, and how the signed name is compared.
type requirement struct {
	// id is equal for requirements that mean the same.
	id       string
	place    string
	rule     spec.Authority
	identity *spec.SignedIdentity
}

func (d demand) contains(id string) bool {
	for _, r := range d.requirements {
		if r.id == id {
			return true
		}
	}
	return false
}

// covers reports whether d and other together demand what d demands alone.
func (d demand) covers(other demand) bool {
	if d.reject {
		return true
	}
	if other.reject {
		return false
	}
	for _, r := range other.requirements {
		if !d.contains(r.id) {
			return false
		}
	}
	return true
}

// A scope is a rule of another program: what it is about, and its demand.
type scope struct {
	// place says where it stands, for messages; name is for the new policy.
	place, name string
	// repositories are patterns over fully qualified repository names, in which
	// `*` is any run of characters but `/`, and `**` any run.
	repositories []string
	// reference is :TAG or @DIGEST; empty is all of them.
	reference string
	demand    demand
}

// globs are the scope's patterns for spec.images.
func (s scope) globs() []string {
	var globs []string
	for _, r := range s.repositories {
		switch {
		case s.reference != "":
			globs = append(globs, r+s.reference)
		case strings.HasSuffix(r, "**"):
			globs = append(globs, r)
		default:
			globs = append(globs, r+":*", r+"@*")
		}
	}
	return globs
}

// overlaps reports whether both scopes could be about the same image. A tag and
// a digest could: policies here see both of an image that is asked for by tag.
func (s scope) overlaps(other scope) bool {
	if s.reference != "" && other.reference != "" && s.reference[0] == other.reference[0] && s.reference != other.reference {
		return false
	}
	for _, a := range s.repositories {
		for _, b := range other.repositories {
			if overlap(a, b) {
				return true
			}
		}
	}
	return false
}

// choose finds the scopes that have to become policies, and refuses those that
// cannot. scopes go from the weakest to the one that wins over all others.
//
// Where several match in the other program, the strongest alone decides; here
// all have to be satisfied. That is the same verdict exactly if the strongest
// demands everything that the others do. A scope that rejects, and that no
// policy would be about otherwise, needs none: no policy is a refusal as well.
func (r *reading) choose(scopes []scope) []scope {
	var chosen []scope
	for _, s := range scopes {
		weaker := false
		for _, c := range chosen {
			if !s.overlaps(c) {
				continue
			}
			weaker = true
			if !s.demand.covers(c.demand) {
				r.inexpressible(s.place, "replaces %s for some images, and asks for less: here all policies that are about an image have to be satisfied; write disjoint scopes", c.place)
			}
		}
		if s.demand.reject && !weaker {
			continue
		}
		chosen = append(chosen, s)
	}
	return chosen
}

// overlap reports whether some name matches both patterns.
func overlap(a, b string) bool {
	if n := min(strings.IndexByte(a+"*", '*'), strings.IndexByte(b+"*", '*')); a[:n] != b[:n] {
		return false
	}
	x, y := tokens(a), tokens(b)
	// reach[j] says that x[:i] and y[:j] can match the same text.
	reach := make([]bool, len(y)+1)
	for i := 0; i <= len(x); i++ {
		next := make([]bool, len(y)+1)
		for j := 0; j <= len(y); j++ {
			next[j] = i == 0 && j == 0 ||
				i > 0 && reach[j] && (x[i-1].run() || j > 0 && y[j-1].accepts(x[i-1])) ||
				j > 0 && next[j-1] && (y[j-1].run() || i > 0 && x[i-1].accepts(y[j-1])) ||
				i > 0 && j > 0 && reach[j-1] && x[i-1] == y[j-1]
		}
		reach = next
	}
	return reach[len(y)]
}

// A token is a character, or a run of them.
type token rune

const (
	segment  token = -1 // any run of characters but /
	anything token = -2 // any run of characters
)

func tokens(pattern string) []token {
	var out []token
	for len(pattern) > 0 {
		switch {
		case strings.HasPrefix(pattern, "**"):
			out, pattern = append(out, anything), pattern[2:]
		case pattern[0] == '*':
			out, pattern = append(out, segment), pattern[1:]
		default:
			out, pattern = append(out, token(pattern[0])), pattern[1:]
		}
	}
	return out
}

func (t token) run() bool { return t < 0 }

// accepts reports whether the run t can hold the character c.
func (t token) accepts(c token) bool {
	return t == anything && !c.run() || t == segment && !c.run() && c != '/'
}
