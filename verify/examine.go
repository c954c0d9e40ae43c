// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// A finding is everything learnt about one manifest.
type finding struct {
	manifest image.Manifest
	// signers have a valid signature for this manifest; judged and statements
	// are the same signers, and what each of them signed.
	signers    []decision.Signer
	judged     []policy.Signer
	statements []*provenance.Statement
	// refusals are why other bundles do not count.
	refusals []error
}

// examine goes through the bundles that could be about m until the rules are
// satisfied or there are no more.
func (r *run) examine(ctx context.Context, m image.Manifest, rules []*rule) {
	f := finding{manifest: m}
	seen := map[digest.Digest]bool{}
	for c, err := range r.candidates(ctx, m) {
		if err == nil && seen[c.Digest] {
			continue
		}
		if err == nil {
			seen[c.Digest] = true
			err = r.weigh(c, &f)
		}
		if err != nil {
			err = r.inTime(ctx, err)
			r.check("evidence", c.Where, err)
			f.refusals = append(f.refusals, err)
			continue
		}
		if satisfied(rules, f.judged) {
			break
		}
	}
	if len(f.judged) == 0 && len(f.refusals) == 0 {
		err := r.unsigned(m)
		r.check("evidence", m.Entry.Digest.String(), err)
		f.refusals = append(f.refusals, err)
	}
	r.found = append(r.found, f)
}

// candidates goes through all sources, at most MaxCandidates bundles.
func (r *run) candidates(ctx context.Context, m image.Manifest) func(func(evidence.Candidate, error) bool) {
	return func(yield func(evidence.Candidate, error) bool) {
		n := 0
		for _, source := range r.req.Sources {
			for c, err := range source.Candidates(ctx, evidence.Subject{Entry: m.Entry, Siblings: m.Siblings}) {
				if n++; n > evidence.MaxCandidates {
					yield(evidence.Candidate{Where: c.Where}, fmt.Errorf("%w: more than %d", ErrManyCandidates, evidence.MaxCandidates))
					return
				}
				if !yield(c, err) {
					return
				}
			}
		}
	}
}

// weigh verifies one bundle and, if it speaks of this manifest, adds its
// signer to the finding.
func (r *run) weigh(c evidence.Candidate, f *finding) error {
	r.d.Basis.Bundles = appendNew(r.d.Basis.Bundles, c.Digest)
	v, err := r.verifyBundle(c)
	if err != nil {
		return err
	}
	m := f.manifest
	target := binding.Target{
		Manifest:         m.Entry.Digest,
		Platform:         m.Platform,
		Document:         m.Manifest,
		EntryAnnotations: m.Entry.Annotations,
	}
	st, err := binding.Check(v.Payload, target)
	if err != nil {
		return err
	}
	r.check("binding", fmt.Sprintf("%s (%s) in %s", m.Entry.Digest, platforms.Format(m.Platform), c.Where), nil)
	f.statements = append(f.statements, st)
	f.judged = append(f.judged, policy.Signer{Issuer: v.Signer.Issuer, Subject: v.Signer.Subject, Authorities: v.Authorities})
	f.signers = append(f.signers, decision.Signer{
		Issuer: v.Signer.Issuer, Subject: v.Signer.Subject, SignedAt: v.SignedAt.UTC(), Bundle: c.Digest,
		Foretold: binding.Foretold(st, target),
	})
	return nil
}

func (r *run) verifyBundle(c evidence.Candidate) (*trust.Verified, error) {
	key := c.Digest.String()
	known, ok := r.verified[key]
	if !ok {
		known.result, known.err = r.root.Verify(c.Bundle, r.req.Now())
		r.verified[key] = known
		r.check("trust", "bundle "+key, known.err)
	}
	return known.result, known.err
}

// unsigned says where a bundle could have been.
func (r *run) unsigned(m image.Manifest) error {
	if len(r.d.Basis.Indexes) == 0 {
		return fmt.Errorf("%w: a bare manifest, and an embedded bundle needs an image index", ErrUnsigned)
	}
	return fmt.Errorf("%w: no signature bundle in the image index for %s", ErrUnsigned, platforms.Format(m.Platform))
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
func satisfied(rules []*rule, signers []policy.Signer) bool {
	for _, r := range rules {
		if a, _ := r.policy.Satisfied(signers); a == nil {
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
	topRank := -1
	for _, err := range reasons {
		if _, _, rank := classify(err); rank > topRank {
			top, topRank = err, rank
		}
	}
	if top == nil {
		return errors.New("no reason was given")
	}
	return top
}
