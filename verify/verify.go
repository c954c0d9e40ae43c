// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/policy"
)

// A Request is what Verify needs. Nothing has a default that would admit an
// image: what is left out refuses.
type Request struct {
	// Name is the fully qualified image name, or oci-layout:DIR[:TAG]. It
	// says which policies are about the image, and nothing else.
	Name string
	// Descriptor is what the runtime will run. Only its digest counts: media
	// type, size, platform and annotations are the registry's word.
	Descriptor ocispec.Descriptor
	// Policy is the set in force.
	Policy *policy.Set
	// Trust gives the trusted roots. It is asked only if a policy wants a
	// signature, so a static policy works without one.
	Trust TrustSource
	// Location is where the image is.
	Location evidence.Location
	// Sources are the places to look for signatures, cheapest first; nil is
	// all that Location has, see evidence.Sources.
	Sources []evidence.Source
	// Locate opens another repository, for policies whose evidence lies
	// elsewhere or who judge base images. Nil: there is none.
	Locate func(repository string) (evidence.Location, error)
	// Notation is the folder for the Notary Project: trust stores in
	// x509/TYPE/NAME, revocation lists in crl, see docs/notation.md.
	Notation string
	// Platform matches what the node could run; nil is this machine.
	Platform platforms.Matcher
	// VerifiedBefore tells whether the digest was allowed before under this name and
	// policy. Nil: never.
	VerifiedBefore func(name string, dgst digest.Digest) bool
	// Attestations asks for the attestations beside an allowed image as well,
	// which costs requests. A node has no use for them.
	Attestations bool
	// Now is the clock; nil is the machine's.
	Now func() time.Time
}

// Verify decides about one image. It always returns a decision; what goes
// wrong on the way is in it. A cancelled or expired ctx gives undecided.
func Verify(ctx context.Context, req Request) *decision.Decision {
	d, _ := Examine(ctx, req)
	return d
}

// decide is the flow.
func (r *run) decide(ctx context.Context) *decision.Decision {
	rules, err := r.selectRules()
	r.rules = rules
	if err != nil {
		return r.refused(err)
	}
	if !needEvidence(ctx, rules) {
		return r.conclude(ctx, nil)
	}
	if err := r.prepare(); err != nil {
		return r.conclude(ctx, err)
	}
	img, err := image.Open(ctx, r.req.Location, r.req.Descriptor.Digest, r.req.Platform, image.MaxForNode)
	if err != nil {
		err = r.inTime(ctx, err)
		r.check("image", r.d.Image.Digest.String(), err)
		return r.conclude(ctx, err)
	}
	r.recordImage(img)
	for _, m := range img.Manifests {
		r.found = append(r.found, r.examine(ctx, m))
	}
	return r.conclude(ctx, nil)
}

// Refused is the decision of a caller who could not even ask: a policy that
// does not load, a reference that does not resolve.
func Refused(name string, desc ocispec.Descriptor, err error, now time.Time) *decision.Decision {
	return newRun(Request{Name: name, Descriptor: desc, Now: func() time.Time { return now }}).refused(err)
}

// run is one call of Verify.
type run struct {
	req   Request
	rules []*rule
	found []*dossier
	// trusts are the verifiers by the ID of the trust they are for.
	trusts map[string]*verifiers
	// usableUntil is when the first of the roots gets too old; zero for never.
	usableUntil time.Time
	// unusable is what is the matter with roots that should have counted.
	unusable error
	// elsewhere are the other repositories that policies name.
	elsewhere map[string]evidence.Location
	// depth is how many images deep in base images this one is.
	depth int
	d     *decision.Decision
}

func newRun(req Request) *run {
	if req.Now == nil {
		req.Now = time.Now
	}
	if req.Platform == nil {
		req.Platform = platforms.Default()
	}
	if req.Sources == nil && req.Location != nil {
		req.Sources = evidence.Sources(req.Location)
	}
	d := &decision.Decision{
		Schema:    decision.Schema,
		Verdict:   undecided,
		Image:     decision.Image{Name: req.Name, Digest: req.Descriptor.Digest},
		Rules:     []decision.Rule{},
		Manifests: []decision.Manifest{},
		Checks:    []decision.Check{},
		DecidedAt: req.Now().UTC(),
	}
	return &run{req: req, trusts: map[string]*verifiers{}, elsewhere: map[string]evidence.Location{}, d: d}
}

// selectRules finds the policies that are about the image.
func (r *run) selectRules() ([]*rule, error) {
	if r.req.Policy == nil {
		return nil, fmt.Errorf("%w: no policy was given", ErrRequest)
	}
	r.d.Basis.Policy = r.req.Policy.Digest()
	if err := document.CheckDigest(r.req.Descriptor.Digest); err != nil {
		return nil, err
	}
	if err := checkName(r.req.Name, r.req.Descriptor.Digest); err != nil {
		return nil, err
	}
	matching, err := r.req.Policy.Select(r.req.Name, r.req.Descriptor.Digest)
	r.check("policy", r.req.Policy.Where(), err)
	if err != nil {
		return nil, err
	}
	rules := make([]*rule, len(matching))
	for i := range matching {
		rules[i] = &rule{policy: matching[i]}
	}
	return rules, nil
}

// needEvidence reports whether signatures could change the verdict: an image
// that a static policy refuses, or that static policies admit, costs no request.
func needEvidence(ctx context.Context, rules []*rule) bool {
	needed := false
	for _, r := range rules {
		if r.policy.NeedsEvidence() {
			needed = true
			continue
		}
		j := r.policy.Judge(ctx, policy.Case{}, nothing{})
		if _, verdict, _ := classify(worst(j.Reasons)); r.policy.Mode == policy.Enforce && !j.Satisfied() && verdict == deny {
			return false
		}
	}
	return needed
}

// prepare gets ready what evidence will need.
func (r *run) prepare() error {
	if r.req.Location == nil || r.req.Trust == nil {
		return fmt.Errorf("%w: a policy wants a signature, and there is no trusted root or no place to look", ErrRequest)
	}
	return r.believeAll()
}

// believeAll gets the verifiers ready for every trust that policies ask for.
func (r *run) believeAll() error {
	for _, rule := range r.rules {
		for _, t := range rule.policy.Trusts() {
			if err := r.believe(t); err != nil {
				r.check("trust", "trusted root", err)
				return err
			}
		}
	}
	return nil
}

func (r *run) recordImage(img *image.Image) {
	r.d.Basis.Indexes = img.Indexes
	for _, m := range img.Manifests {
		r.d.Basis.Manifests = append(r.d.Basis.Manifests, m.Entry.Digest)
		r.d.Basis.Configs = append(r.d.Basis.Configs, m.Manifest.Config.Digest)
		r.check("image", platforms.Format(m.Platform)+" "+m.Entry.Digest.String(), nil)
	}
}

// check notes one check and how it ended.
func (r *run) check(step, object string, err error) {
	c := decision.Check{Step: step, Object: decision.OneLine(object), Outcome: decision.Pass}
	if err != nil {
		code, verdict, _ := classify(err)
		c.Code, c.Detail, c.Outcome = code, decision.OneLine(err.Error()), decision.Fail
		if verdict == undecided {
			c.Outcome = decision.Unknown
		}
	}
	r.d.Checks = append(r.d.Checks, c)
}

// inTime adds the expiry of ctx to an error that it caused in some library
// which does not say so.
func (r *run) inTime(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}
