// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/claim"
)

// A Case is one manifest that a node could run, as a policy sees it.
type Case struct {
	// Name is what was asked for, as containerd spells it, and Digest what it
	// was resolved to: an index, or the manifest itself.
	Name   string
	Digest digest.Digest
	// Indexes are the indexes above the manifest, outermost first.
	Indexes  []digest.Digest
	Manifest digest.Digest
	// ImageID is the digest of the config.
	ImageID  digest.Digest
	Platform ocispec.Platform
	// Lazy reports that a snapshotter could mount a layer without comparing it
	// with the config.
	Lazy bool
	// VerifiedBefore reports that this digest was allowed before, under this
	// policy, by whoever keeps the verdicts.
	VerifiedBefore bool
	// Now is the time of the decision.
	Now time.Time
}

// Evidence answers what a policy asks about the manifest of a Case. What costs
// a request is only asked for by a rule that needs it.
type Evidence interface {
	// Claims are the claims about the manifest that were verified under the
	// trust, so far: a policy may be judged again when more are known.
	Claims(t Trust) []claim.Claim
	// Config is the image config as JSON.
	Config(ctx context.Context) ([]byte, error)
	// Byproducts are the predicates of that type (a URI) that the provenance in
	// c names by digest for the platform, at least one. It fails with
	// ErrByproduct where one is not there or not the one that is named.
	Byproducts(ctx context.Context, c claim.Claim, predicateType string) ([][]byte, error)
	// Material verifies another image by the named policy of the same set.
	Material(ctx context.Context, name string, dgst digest.Digest, policy string) error
}

// A Judgement is what one policy says of one manifest.
type Judgement struct {
	// Authority is the one that is satisfied; nil if the policy is not.
	Authority *Authority
	// Claims are what the authority rests on; none for a static pass.
	Claims []claim.Claim
	// Reasons are why the policy is not satisfied: one or several for each
	// authority or condition. Errors that say nothing about the image, such as
	// a request that failed, are among them as they were met.
	Reasons []error
	// Exceptions are those that the policy is satisfied by.
	Exceptions []string
	// ChangesAt is the earliest time at which the clock alone could change the
	// judgement; zero for never.
	ChangesAt time.Time
}

// Satisfied reports whether the policy admits the manifest.
func (j Judgement) Satisfied() bool { return j.Authority != nil }
