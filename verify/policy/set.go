// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// A Set is all policies in force, and the trusted roots they name.
type Set struct {
	policies []Policy
	roots    map[string]root
	noMatch  NoMatch
	digest   digest.Digest
	// where names the files and folders the set was read from.
	where string
}

// root is a TrustRoot and where it was written.
type root struct {
	at   spec.Origin
	spec *spec.TrustRoot
}

// NoMatch is what becomes of an image that no policy is about, as
// policy-controller's option no-match-policy has it.
type NoMatch string

const (
	// NoMatchDeny refuses it. It is the default.
	NoMatchDeny NoMatch = "deny"
	// NoMatchWarn admits it with a warning.
	NoMatchWarn NoMatch = "warn"
	// NoMatchAllow admits it.
	NoMatchAllow NoMatch = "allow"
)

// WithNoMatch is the set with another answer for images that no policy is
// about. A set without any policy refuses everything nevertheless: a folder that
// was not mounted must not open the gate.
func (s *Set) WithNoMatch(mode NoMatch) (*Set, error) {
	if !slices.Contains([]NoMatch{NoMatchDeny, NoMatchWarn, NoMatchAllow}, mode) {
		return nil, fmt.Errorf("%w: no-match policy %q, want deny, warn or allow", ErrInvalid, mode)
	}
	changed := *s
	changed.noMatch = mode
	if mode != NoMatchDeny {
		changed.digest = digest.FromString(fmt.Sprintf("%s\nno match: %s\n", s.digest, mode))
	}
	return &changed, nil
}

// Digest is the SHA-256 over the names and contents of all files of the set.
func (s *Set) Digest() digest.Digest { return s.digest }

// Policies lists the policies of the set, in the order of their files.
func (s *Set) Policies() []Policy { return s.policies }

// Where says where the set was read from.
func (s *Set) Where() string { return s.where }

// Policy is the policy of that name.
func (s *Set) Policy(name string) (*Policy, bool) {
	for i := range s.policies {
		if s.policies[i].Name == name {
			return &s.policies[i], true
		}
	}
	return nil, false
}

// TrustRoot is the TrustRoot document of that name.
func (s *Set) TrustRoot(name string) (*spec.TrustRoot, bool) {
	r, ok := s.roots[name]
	return r.spec, ok
}

// TrustRoots are the names of all TrustRoot documents, sorted.
func (s *Set) TrustRoots() []string {
	var names []string
	for name := range s.roots {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// MissingRoots are the names that policies use for trusted roots and that no
// TrustRoot document of the set has, sorted. They may name roots that the
// machine has otherwise.
func (s *Set) MissingRoots() []string {
	var missing []string
	for i := range s.policies {
		for _, t := range s.policies[i].Trusts() {
			for _, name := range t.Roots() {
				if _, ok := s.roots[name]; !ok && name != "" {
					missing = append(missing, name)
				}
			}
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// MissingPolicies are the names that policies use for those of base images, and
// that no policy of the set has, sorted. An image with a base image is refused
// by such a policy.
func (s *Set) MissingPolicies() []string {
	var missing []string
	for i := range s.policies {
		p := s.policies[i].Spec
		if p == nil || p.Materials == nil || p.Materials.BaseImages == nil {
			continue
		}
		if _, ok := s.Policy(p.Materials.BaseImages.Policy); !ok {
			missing = append(missing, p.Materials.BaseImages.Policy)
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// Select finds the policies that match the image name with the digest dgst;
// see Spellings for what is compared. It fails with ErrEmpty or ErrNoMatch
// rather than return none.
func (s *Set) Select(name string, dgst digest.Digest) ([]Policy, error) {
	if len(s.policies) == 0 {
		return nil, fmt.Errorf("%w in %s: write a ClusterImagePolicy there", ErrEmpty, s.where)
	}
	spellings, err := Spellings(name, dgst)
	if err != nil {
		return nil, err
	}
	var matching []Policy
	for _, p := range s.policies {
		if p.matches(spellings) {
			matching = append(matching, p)
		}
	}
	if len(matching) > 0 {
		return matching, nil
	}
	err = fmt.Errorf("%w %s among the %d in %s", ErrNoMatch, name, len(s.policies), s.where)
	switch s.noMatch {
	case NoMatchAllow:
		return []Policy{s.standIn(Enforce, &Static{Pass: true})}, nil
	case NoMatchWarn:
		return []Policy{s.standIn(Warn, &Static{refusal: err})}, nil
	}
	return nil, err
}

// standIn takes the place of the policy that there is not.
func (s *Set) standIn(mode Mode, static *Static) Policy {
	const name = "no-match-policy"
	return Policy{Name: name, Origin: s.where, Mode: mode, Authorities: []Authority{{Name: name, Origin: s.where, Static: static}}}
}
