// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/byproducts"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/policy"
)

// A Vouched manifest is one of an allowed image, with the verified statement
// that the policies rest on.
type Vouched struct {
	Manifest  image.Manifest
	Statement *provenance.Statement
	Signer    decision.Signer
}

// Examine is Verify for those who want to read what was signed. For an image
// that is not allowed it vouches for nothing; for one that is, it has an entry
// for each manifest for which one signer satisfies all policies.
func Examine(ctx context.Context, req Request) (*decision.Decision, []Vouched) {
	r := newRun(req)
	d := r.decide(ctx)
	if d.Verdict != decision.Allow {
		return d, nil
	}
	vouched := []Vouched{}
	before := r.requests()
	for i, f := range r.found {
		v := r.vouchedFor(f, i)
		if v != nil {
			vouched = append(vouched, *v)
		}
		if r.req.Attestations {
			d.Attestations = append(d.Attestations, r.attestations(ctx, f, v)...)
		}
	}
	d.Requests += r.requests() - before
	return d, vouched
}

var (
	// ErrAttestations reports an image whose attestations are not the ones
	// that its signed provenance names.
	ErrAttestations = errors.New("attestations are not the signed ones")

	// ErrAttestationsUnknown reports that this could not be told.
	ErrAttestationsUnknown = errors.New("attestations could not be checked")
)

// CheckAttestations demands of a decision with attestations that each platform
// of the image carries what its provenance names, at least one, and nothing
// else. BuildKit's own provenance, which is never signed, may stay: the signed
// provenance takes its place.
func CheckAttestations(d *decision.Decision) error {
	signed := map[string]bool{}
	var unknown error
	for _, a := range d.Attestations {
		about := fmt.Sprintf("%s: %s %s is %s: %s", a.Platform, a.PredicateType, a.Digest, a.Status, a.Reason)
		switch byproducts.Status(a.Status) {
		case byproducts.Signed:
			signed[a.Platform] = true
		case byproducts.Unknown:
			unknown = fmt.Errorf("%w: %s", ErrAttestationsUnknown, about)
		case byproducts.Unsigned:
			if !strings.HasPrefix(a.PredicateType, predicateSLSA) {
				return fmt.Errorf("%w: %s", ErrAttestations, about)
			}
		default:
			return fmt.Errorf("%w: %s", ErrAttestations, about)
		}
	}
	if unknown != nil {
		return unknown
	}
	for _, m := range d.Manifests {
		if !signed[m.Platform] {
			return fmt.Errorf("%w: %s has no signed attestation", ErrAttestations, m.Platform)
		}
	}
	if len(d.Manifests) == 0 {
		return fmt.Errorf("%w: the image was allowed without evidence", ErrAttestations)
	}
	return nil
}

// predicateSLSA starts the predicate types of BuildKit's own provenance.
const predicateSLSA = "https://slsa.dev/provenance/"

// vouchedFor finds the provenance that every policy rests on; i is the place of
// the manifest among those found. Policies that rest on different signatures
// have no statement in common, and nobody vouches for the content of either.
func (r *run) vouchedFor(d *dossier, i int) *Vouched {
	for _, c := range d.all {
		if c.Scope == claim.Chain || c.PredicateType != provenance.PredicateSLSA1 || !r.restsOn(c, i) {
			continue
		}
		if st, err := provenance.ParseStatement(c.Statement); err == nil {
			return &Vouched{Manifest: d.manifest, Statement: st, Signer: d.signer(c)}
		}
	}
	return nil
}

// restsOn reports whether every policy that wants evidence is satisfied by c,
// and at least one is.
func (r *run) restsOn(c claim.Claim, i int) bool {
	some := false
	for _, rule := range r.rules {
		if !rule.policy.NeedsEvidence() || i >= len(rule.judgements) {
			continue
		}
		is := slices.ContainsFunc(rule.judgements[i].Claims, func(other claim.Claim) bool {
			return other.Evidence == c.Evidence && other.PredicateType == c.PredicateType
		})
		if !is && rule.policy.Mode == policy.Enforce {
			return false
		}
		some = some || is
	}
	return some
}

// attestations says of each attestation beside a manifest whether the verified
// provenance names it. It never changes the verdict.
func (r *run) attestations(ctx context.Context, f *dossier, v *Vouched) []decision.Attestation {
	var p *slsa.Provenance
	if v != nil {
		p = new(slsa.Provenance)
		if err := json.Unmarshal(v.Statement.Predicate, p); err != nil {
			p = nil
		}
	}
	m := f.manifest
	subject := byproducts.Subject{Manifest: m.Entry.Digest, Platform: m.Platform, Siblings: m.Siblings}
	list, err := byproducts.Check(ctx, r.req.Location, subject, p)
	if err != nil {
		list = []byproducts.Attestation{{Status: byproducts.Unknown, Reason: r.inTime(ctx, err).Error()}}
	}
	out := []decision.Attestation{}
	for _, a := range list {
		out = append(out, decision.Attestation{
			Platform: platforms.Format(m.Platform), Status: string(a.Status), Reason: decision.OneLine(a.Reason),
			PredicateType: a.PredicateType, Name: a.Name, MediaType: a.MediaType,
			Digest: a.Predicate, Blob: a.Layer, Size: a.Size,
		})
	}
	return out
}
