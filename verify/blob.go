// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/policy"
)

// A BlobRequest asks about a bundle over a file, or over a digest, outside any
// registry.
type BlobRequest struct {
	// Name is what the decision calls the artifact.
	Name string
	// Bundle is a Sigstore bundle as JSON, and Where the place it was read from.
	Bundle []byte
	Where  string
	// Artifact is the content that should have been signed. Nil: only Digests
	// are known.
	Artifact []byte
	// Digests are those of the artifact, in the algorithms that are known; the
	// first is the one that the decision names.
	Digests []digest.Digest
	// Policy, Trust and Now are as in Request. All policies of the set count:
	// an artifact has no name that globs could be about.
	Policy *policy.Set
	Trust  TrustSource
	Now    func() time.Time
}

// Blob decides about a bundle, with the steps of Verify from trust onwards. Any
// signed statement about the artifact will do, whatever its predicate type.
func Blob(ctx context.Context, req BlobRequest) *decision.Decision {
	if len(req.Digests) == 0 {
		return Refused(req.Name, ocispec.Descriptor{}, fmt.Errorf("%w: no digest of the artifact", ErrRequest), time.Now())
	}
	r := newRun(Request{
		Name: req.Name, Descriptor: ocispec.Descriptor{Digest: req.Digests[0]},
		Policy: req.Policy, Trust: req.Trust, Now: req.Now,
	})
	r.d.Basis.Policy = req.Policy.Digest()
	wanted := false
	for _, p := range req.Policy.Policies() {
		r.rules = append(r.rules, &rule{policy: p})
		wanted = wanted || p.NeedsEvidence() && p.Mode == policy.Enforce
	}
	if !wanted {
		return r.refused(fmt.Errorf("%w: no policy that is enforced wants a signature", ErrRequest))
	}
	if err := r.believeAll(); err != nil {
		return r.conclude(ctx, err)
	}
	r.found = append(r.found, r.weighBlob(ctx, req))
	return r.conclude(ctx, nil)
}

// weighBlob verifies the bundle under every trust that the policies ask for.
func (r *run) weighBlob(ctx context.Context, req BlobRequest) *dossier {
	file := policy.Case{Name: req.Name, Digest: req.Digests[0], Manifest: req.Digests[0], Now: r.req.Now()}
	d := r.newDossier(file, image.Manifest{Entry: ocispec.Descriptor{Digest: req.Digests[0]}})
	c := evidence.Candidate{Where: req.Where, Form: evidence.Bundle, Digest: document.Digest(req.Bundle), Bundle: req.Bundle, Payload: req.Artifact}
	r.d.Basis.Bundles = []digest.Digest{c.Digest}
	var reasons []error
	for _, rule := range r.rules {
		for _, t := range rule.policy.Trusts() {
			signed, err := r.verify(ctx, c, t, binding.Target{Blob: req.Digests})
			if err == nil {
				made, bindErr := binding.BindBlob(signed, req.Digests, req.Artifact != nil)
				if err = bindErr; err == nil {
					d.add(t.ID(), *made)
				}
			}
			if err != nil {
				reasons = append(reasons, err)
			}
		}
	}
	if len(d.all) == 0 {
		d.refuse(c.Where, worst(reasons))
	}
	return d
}
