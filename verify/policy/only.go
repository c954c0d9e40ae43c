// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

	"github.com/opencontainers/go-digest"
)

// Only is the set with the one policy of that name, which is then about every
// image: so a policy says what base images have to satisfy, wherever they are
// from. It fails with ErrInvalid if there is none.
func (s *Set) Only(name string) (*Set, error) {
	for _, p := range s.policies {
		if p.Name != name {
			continue
		}
		p.globs = []glob{everything()}
		only := *s
		only.policies = []Policy{p}
		only.digest = digest.FromString("only " + name + " of " + s.digest.String())
		return &only, nil
	}
	return nil, fmt.Errorf("%w: there is no policy %q in %s", ErrInvalid, name, s.where)
}

// AllowsIfVerifiedBefore reports whether the policy admits an image that could
// not be checked and was allowed before.
func (p *Policy) AllowsIfVerifiedBefore() bool {
	return p.Spec != nil && p.Spec.Undecided == "allow-if-verified-before"
}
