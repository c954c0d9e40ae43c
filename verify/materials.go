// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
)

// maxDepth is how many images deep base images are followed: the image, its
// base, and the base of that.
const maxDepth = 3

// ErrMaterialUnknown reports a base image that could not be checked.
var ErrMaterialUnknown = errors.New("base image could not be checked")

// Material implements policy.Evidence: it decides about another image by one
// policy of the same set.
func (d *dossier) Material(ctx context.Context, name string, dgst digest.Digest, policyName string) error {
	key := name + " " + dgst.String() + " " + policyName
	if err, ok := d.materials[key]; ok {
		return err
	}
	decided, err := d.run.material(ctx, name, dgst, policyName)
	d.materials[key] = err
	if decided != nil {
		for _, w := range decided.Warnings {
			d.run.d.Warnings = append(d.run.d.Warnings, decision.OneLine("base image "+name+": "+w))
		}
	}
	d.run.check("material", name+"@"+dgst.String(), err)
	return err
}

// material decides about a base image. The decision is nil for one that was not
// asked about, and the error is nil if and only if the decision is to allow.
func (r *run) material(ctx context.Context, name string, dgst digest.Digest, policyName string) (*decision.Decision, error) {
	if r.depth+1 >= maxDepth {
		return nil, fmt.Errorf("%w: %s: base images are followed %d deep", ErrTooMany, name, maxDepth)
	}
	if r.req.Locate == nil {
		return nil, fmt.Errorf("%w: base image %s would have to be fetched", ErrOffline, name)
	}
	set, err := r.req.Policy.Only(policyName)
	if err != nil {
		return nil, err
	}
	location, err := r.req.Locate(name)
	if err != nil {
		return nil, err
	}
	base := r.req
	base.Name, base.Descriptor, base.Policy = name, ocispec.Descriptor{Digest: dgst}, set
	base.Location, base.Sources, base.Attestations = location, nil, false
	// What was allowed before was so under another policy.
	base.VerifiedBefore = nil
	inner := newRun(base)
	inner.depth = r.depth + 1
	decided := inner.decide(ctx)
	r.d.Requests += location.Requests()
	if decided.ChangesAt != nil {
		r.usableUntil = sooner(r.usableUntil, *decided.ChangesAt)
	}
	switch decided.Verdict {
	case decision.Allow:
		return decided, nil
	case decision.Deny:
		return decided, fmt.Errorf("%w: %s by policy %s: %s", policy.ErrBaseImage, name, policyName, decided.Reason)
	}
	return decided, fmt.Errorf("%w: %s: %s", ErrMaterialUnknown, name, decided.Reason)
}
