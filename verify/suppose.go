// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/policy"
)

// A Supposition is an image whose evidence is taken for verified: what a policy
// would say if. It is for tests of policies, and never for an image that is to
// run.
type Supposition struct {
	// Name and Digest are what would be asked for.
	Name   string
	Digest digest.Digest
	Policy *policy.Set
	// Manifests are those that the node could run, at least one.
	Manifests []SupposedManifest
	// VerifiedBefore supposes that the digest was allowed before.
	VerifiedBefore bool
	// Now is the time of the decision.
	Now time.Time
}

// A SupposedManifest is one manifest and what would be known about it.
type SupposedManifest struct {
	Case     policy.Case
	Evidence policy.Evidence
	// Err, if set, is why nothing could be had.
	Err error
}

// Suppose decides about an image that is only imagined, with the same steps as
// Verify from the claims onwards.
func Suppose(ctx context.Context, s Supposition) *decision.Decision {
	r := newRun(Request{
		Name: s.Name, Descriptor: ocispec.Descriptor{Digest: s.Digest}, Policy: s.Policy,
		VerifiedBefore: func(string, digest.Digest) bool { return s.VerifiedBefore },
		Now:            func() time.Time { return s.Now },
	})
	rules, err := r.selectRules()
	r.rules = rules
	if err != nil {
		return r.refused(err)
	}
	if !needEvidence(ctx, rules) {
		return r.conclude(ctx, nil)
	}
	for _, m := range s.Manifests {
		d := r.newDossier(m.Case, image.Manifest{Entry: ocispec.Descriptor{Digest: m.Case.Manifest}, Platform: m.Case.Platform})
		d.evidence = m.Evidence
		for _, rule := range rules {
			for _, t := range rule.policy.Trusts() {
				d.all = append(d.all, m.Evidence.Claims(t)...)
			}
		}
		switch {
		case m.Err != nil:
			d.refuse(m.Case.Manifest.String(), m.Err)
		case len(d.all) == 0:
			d.refuse(m.Case.Manifest.String(), ErrUnsigned)
		}
		r.found = append(r.found, d)
	}
	return r.conclude(ctx, nil)
}
