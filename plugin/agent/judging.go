// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/receipt"
)

// errUnservedName reports an image whose name alone would admit it, and that the
// registry of that name could not be seen to have.
var errUnservedName = errors.New("a policy admits the name, and the name alone proves nothing")

// codeNotFound is verify's reason code of what a registry does not have.
const codeNotFound = "not-found"

// maxServed bounds the document that a registry is asked for, in bytes.
const maxServed = 4 << 20

// judged has the image decided on by the flow of verify: on the node first, if
// there is a place to look, then at the registry of its name.
//
// Whoever pulls has the digest from the registry of that name. Everybody else
// has a name that anybody could have given to an image on the node.
func (g *gate) judged(ctx context.Context, j *judge.Judge, f *inForce, q Question) *decision.Decision {
	ask := judge.Question{Name: q.Name, Descriptor: q.Descriptor}
	var stored *decision.Decision
	if q.Stored != nil {
		ask.Location = q.Stored
		if stored = j.Decide(ctx, ask); stored.Verdict == decision.Allow && basisOf(f.policy, stored) == onSignature {
			return stored
		}
		ask.Location = nil
	}
	ask.VerifiedBefore = func(name string, dgst digest.Digest) bool {
		return g.verdicts.Before(f.basis.Policy, name, dgst)
	}
	d := j.Decide(ctx, ask)
	if stored != nil && stored.Verdict == decision.Deny && d.Code == codeNotFound {
		return stored // it came to the node another way, and that says more
	}
	if q.Point == receipt.Pull || d.Verdict != decision.Allow || basisOf(f.policy, d) != onName {
		return d
	}
	if err := served(ctx, j, q); err != nil {
		return verify.Refused(q.Name, q.Descriptor, fmt.Errorf("%w: %w", errUnservedName, err), g.now())
	}
	return d
}

// restsOn is what made a decision an allow.
type restsOn int

const (
	// onName: policies that look at nothing but the name.
	onName restsOn = iota
	// onSignature: at least one that is obeyed has seen a signature.
	onSignature
	// onMemory: what could not be checked was allowed before.
	onMemory
)

// basisOf says what an allow rests on, by the policies that it was made by.
func basisOf(set *policy.Set, d *decision.Decision) restsOn {
	rests := onName
	for _, r := range d.Rules {
		if r.Mode != string(policy.Enforce) || r.Verdict != decision.Allow {
			continue
		}
		switch {
		case r.AuthorityOrigin == "" && r.Authority == "":
			return onMemory
		case !static(set, r):
			rests = onSignature
		}
	}
	return rests
}

// static tells that the authority which was satisfied looks at no evidence, or
// that nobody knows it.
func static(set *policy.Set, r decision.Rule) bool {
	if set == nil {
		return true
	}
	p, ok := set.Policy(r.Name)
	if !ok {
		return true // the one that stands in where none matches
	}
	for _, a := range p.Authorities {
		if a.Name == r.Authority && a.Origin == r.AuthorityOrigin {
			return a.Static != nil
		}
	}
	return true
}

// served demands that the registry of the name has the image.
func served(ctx context.Context, j *judge.Judge, q Question) error {
	location := j.Registry(ctx, q.Name)
	body, err := location.Open(ctx, "manifest", q.Descriptor.Digest)
	if err != nil {
		return err
	}
	defer body.Close()
	data, err := limit.ReadAll(body, maxServed)
	if err != nil {
		return err
	}
	if got := q.Descriptor.Digest.Algorithm().FromBytes(data); got != q.Descriptor.Digest {
		return fmt.Errorf("the registry has %s under that digest", got)
	}
	return nil
}
