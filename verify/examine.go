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
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/policy"
)

// examine goes through what could be about m until the policies are satisfied
// or there is no more.
func (r *run) examine(ctx context.Context, m image.Manifest) *dossier {
	d := r.open(m)
	if r.satisfied(ctx, d) {
		return d
	}
	seen := map[string]bool{}
	for c, err := range r.candidates(ctx, d) {
		if err == nil && seen[identify(c)] {
			continue
		}
		if err != nil {
			d.refuse(c.Where, r.inTime(ctx, err))
			continue
		}
		seen[identify(c)] = true
		if d.weigh(ctx, c) && r.satisfied(ctx, d) {
			return d
		}
	}
	if len(d.all) == 0 && len(d.refusals) == 0 {
		d.refuse(m.Entry.Digest.String(), r.unsigned(m))
	}
	return d
}

// identify tells candidates apart: the same bundle means something else in
// another place, in another form, and with another payload.
func identify(c evidence.Candidate) string {
	return string(form(c)) + " " + c.Digest.String() + " " + c.Attestations.String() + " " + document.Digest(c.Payload).String()
}

// candidates goes through all sources of the image, then those that policies
// name; at most MaxCandidates signatures of each place, so that whoever may write
// to one cannot hide what is in another.
func (r *run) candidates(ctx context.Context, d *dossier) func(func(evidence.Candidate, error) bool) {
	subject := evidence.Subject{Entry: d.manifest.Entry, Siblings: d.manifest.Siblings, Indexes: d.target.Indexes}
	return func(yield func(evidence.Candidate, error) bool) {
		if !few(ctx, r.req.Sources, subject, yield) {
			return
		}
		for _, place := range r.furtherPlaces() {
			location, err := r.locate(place.Repository)
			if err != nil {
				if !yield(evidence.Candidate{Where: "source of a policy"}, err) {
					return
				}
				continue
			}
			if !few(ctx, evidence.SourcesIn(location, place.TagPrefix), subject, yield) {
				return
			}
		}
	}
}

// few yields what the sources of one place have, at most MaxCandidates. It
// returns false when no more is wanted.
func few(ctx context.Context, sources []evidence.Source, subject evidence.Subject, yield func(evidence.Candidate, error) bool) bool {
	n := 0
	for _, source := range sources {
		for c, err := range source.Candidates(ctx, subject) {
			if n++; n > evidence.MaxCandidates {
				return yield(evidence.Candidate{Where: c.Where}, fmt.Errorf("%w: more than %d", ErrManyCandidates, evidence.MaxCandidates))
			}
			if !yield(c, err) {
				return false
			}
		}
	}
	return true
}

// furtherPlaces are those that policies name, each once.
func (r *run) furtherPlaces() []policy.Source {
	var places []policy.Source
	for _, rule := range r.rules {
		for _, a := range rule.policy.Authorities {
			for _, s := range a.Sources {
				if !slices.Contains(places, s) {
					places = append(places, s)
				}
			}
		}
	}
	return places
}

// locate opens the repository that a policy names; "" is the image's own.
func (r *run) locate(repository string) (evidence.Location, error) {
	if repository == "" {
		return r.req.Location, nil
	}
	if known, ok := r.elsewhere[repository]; ok {
		return known, nil
	}
	if r.req.Locate == nil {
		return nil, fmt.Errorf("%w: a policy says that evidence is in %s", ErrOffline, repository)
	}
	location, err := r.req.Locate(repository)
	if err != nil {
		return nil, err
	}
	location = evidence.Cached(location)
	r.elsewhere[repository] = location
	return location, nil
}

// weigh verifies one candidate under every trust that could accept it, and
// reports whether a claim about the manifest came of it.
func (d *dossier) weigh(ctx context.Context, c evidence.Candidate) bool {
	r := d.run
	r.d.Basis.Bundles = appendNew(r.d.Basis.Bundles, c.Digest)
	gained, wanted := false, false
	var reasons []error
	failed := map[string]error{}
	for _, rule := range r.rules {
		for _, t := range rule.policy.Trusts() {
			if !wants(t, form(c)) {
				continue
			}
			wanted = true
			claims, err := d.claimsOf(ctx, c, t)
			if err != nil {
				failed[t.ID()] = r.inTime(ctx, err)
				reasons = append(reasons, failed[t.ID()])
				continue
			}
			for _, made := range claims {
				d.add(t.ID(), made)
			}
			gained = true
		}
	}
	switch {
	case !wanted:
		d.refuse(c.Where, r.unwanted(form(c)))
	case !gained:
		d.refuse(c.Where, worst(reasons))
	default:
		for id, err := range failed {
			d.failed[id] = append(d.failed[id], err)
		}
	}
	return gained
}

// unwanted says what form a signature has, and which one the policies ask for.
func (r *run) unwanted(f evidence.Form) error {
	asked := false
	for _, rule := range r.rules {
		asked = asked || len(rule.policy.Trusts()) > 0
	}
	switch {
	case !asked:
		return fmt.Errorf("%w: the policy asks for no signature that could be verified", ErrUnwanted)
	case f == evidence.JWS || f == evidence.COSE:
		return fmt.Errorf("%w: a Notary Project signature, and the policy asks for a key or a certificate", ErrUnwanted)
	}
	return fmt.Errorf("%w: a Sigstore signature, and the policy asks for a Notary Project one", ErrUnwanted)
}

// claimsOf are the claims about the manifest that a candidate makes under a
// trust.
func (d *dossier) claimsOf(ctx context.Context, c evidence.Candidate, t policy.Trust) ([]claim.Claim, error) {
	target := d.target
	target.Attestations = c.Attestations
	signed, err := d.run.verify(ctx, c, t, target)
	if err != nil {
		return nil, err
	}
	made, err := binding.Bind(signed, target)
	if err != nil {
		return nil, err
	}
	claims := []claim.Claim{*made}
	if made.Scope == claim.Chain {
		if claims, err = d.chain(ctx, *made); err != nil {
			return nil, err
		}
	}
	if err := d.checkPlatform(ctx, made); err != nil {
		return nil, err
	}
	d.run.check("binding", fmt.Sprintf("%s (%s) by its %s in %s", d.file.Manifest, platforms.Format(d.file.Platform), made.Scope, c.Where), nil)
	return claims, nil
}

// checkPlatform compares what the index says with what the image's config says,
// where neither index nor platform was signed: else a registry could offer the
// signed arm64 image to amd64 nodes.
func (d *dossier) checkPlatform(ctx context.Context, c *claim.Claim) error {
	if c.Scope == claim.Index || c.Platform != "" || d.manifest.Entry.Platform == nil {
		return nil
	}
	data, err := d.Config(ctx)
	if err != nil {
		return err
	}
	var p ocispec.Platform
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("%w: config %s: %w", ErrMalformed, d.file.ImageID, err)
	}
	got, want := platforms.Normalize(p), platforms.Normalize(*d.manifest.Entry.Platform)
	if got.OS != want.OS || got.Architecture != want.Architecture {
		return fmt.Errorf("%w: its config is for %s, the index says %s", ErrPlatform, platforms.Format(got), platforms.Format(want))
	}
	return nil
}

// refuse notes why a candidate does not count.
func (d *dossier) refuse(where string, err error) {
	d.run.check("evidence", where, err)
	d.refusals = append(d.refusals, err)
}

// unsigned says where a signature could have been.
func (r *run) unsigned(m image.Manifest) error {
	if len(r.d.Basis.Indexes) == 0 {
		return fmt.Errorf("%w: a bare manifest, and no signature refers to it", ErrUnsigned)
	}
	return fmt.Errorf("%w: no signature bundle in the image index for %s, and none refers to it", ErrUnsigned, platforms.Format(m.Platform))
}

// checkName refuses a name that policies could not be matched with, or that
// names another image than the one that will run.
func checkName(name string, dgst digest.Digest) error {
	if strings.HasPrefix(name, evidence.LayoutScheme) {
		return nil
	}
	ref, err := evidence.ParseReference(name)
	if err == nil && ref.Digest != "" && ref.Digest != dgst {
		return fmt.Errorf("%w: %s, but it is %s that would run", ErrName, name, dgst)
	}
	return err
}

// satisfied reports whether nothing more has to be looked at.
func (r *run) satisfied(ctx context.Context, d *dossier) bool {
	for _, rule := range r.rules {
		if !rule.policy.Judge(ctx, d.file, d.evidence).Satisfied() {
			return false
		}
	}
	return true
}

func appendNew(list []digest.Digest, dgst digest.Digest) []digest.Digest {
	for _, d := range list {
		if d == dgst {
			return list
		}
	}
	return append(list, dgst)
}

// worst picks the reason to give first: see Refusals.
func worst(reasons []error) error {
	var top error
	for _, err := range reasons {
		if top == nil || rank(err) > rank(top) {
			top = err
		}
	}
	if top == nil {
		return errors.New("no reason was given")
	}
	return top
}

func rank(err error) int {
	_, _, rank := classify(err)
	return rank
}
