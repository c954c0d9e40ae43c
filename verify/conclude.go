// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/platforms"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
)

// rule is a policy that matches, and what becomes of it.
type rule struct {
	policy    policy.Policy
	authority *policy.Authority
	// judgements are what it says of each manifest.
	judgements []policy.Judgement
	// refusal is nil if and only if the policy is satisfied.
	refusal error
	verdict decision.Verdict
	// objected tells that the policy has looked at evidence, or at the digest,
	// and refuses it.
	objected bool
	// before is the refusal that the policy passes over, because the image was
	// verified before.
	before error
}

// conclude judges every rule and puts the decision together. obstacle is why
// no evidence could be had at all, if so.
func (r *run) conclude(ctx context.Context, obstacle error) *decision.Decision {
	for _, rule := range r.rules {
		r.judge(ctx, rule, obstacle)
		r.d.Rules = append(r.d.Rules, rule.data())
		r.check("identity", fmt.Sprintf("policy %s (%s)", rule.policy.Name, rule.policy.Origin), rule.refusal)
	}
	for i, d := range r.found {
		r.d.Manifests = append(r.d.Manifests, d.data(r.rules, i))
	}
	r.settle()
	return r.finish()
}

// refused is the decision when no rule could even be found.
func (r *run) refused(err error) *decision.Decision {
	code, verdict, _ := classify(err)
	r.d.Code, r.d.Verdict, r.d.Reason = code, verdict, decision.OneLine(err.Error())
	return r.finish()
}

// judge decides what one policy says: authorities are alternatives, and every
// manifest that could be run must satisfy one.
func (r *run) judge(ctx context.Context, rule *rule, obstacle error) {
	rule.verdict = decision.Allow
	if len(r.found) == 0 {
		r.judgeNowhere(ctx, rule, obstacle)
	}
	for _, d := range r.found {
		j := rule.policy.Judge(ctx, d.file, d.evidence)
		rule.judgements = append(rule.judgements, j)
		if j.Satisfied() {
			if rule.authority == nil {
				rule.authority = j.Authority
			}
			continue
		}
		rule.objects(j.Reasons)
		reasons := d.reasons(rule, j)
		if r.unusable != nil {
			// A root that cannot be used might have vouched for it.
			reasons = append(reasons, r.unusable)
		}
		rule.refuse(r.inTime(ctx, worst(reasons)))
	}
	rule.passOver(r.verifiedBefore())
}

// reasons are why a policy is not satisfied with what is known of a manifest: its
// own, and those of candidates that could have satisfied it. Where all candidates
// are good, they are so for other policies, and for this one there is none.
func (d *dossier) reasons(r *rule, j policy.Judgement) []error {
	reasons := append(slices.Clone(j.Reasons), d.refusals...)
	for _, t := range r.policy.Trusts() {
		reasons = append(reasons, d.failed[t.ID()]...)
	}
	if len(reasons) == 0 {
		reasons = []error{fmt.Errorf("%w: no signature of a form that this policy asks for", ErrUnsigned)}
	}
	return reasons
}

// judgeNowhere decides what a policy says without a single manifest: that of an
// image which it admits or refuses without evidence, or which could not be had.
func (r *run) judgeNowhere(ctx context.Context, rule *rule, obstacle error) {
	j := rule.policy.Judge(ctx, r.nowhere(), nothing{})
	rule.objects(j.Reasons)
	switch {
	case j.Satisfied() && !rule.policy.NeedsEvidence():
		rule.authority = j.Authority
	case !rule.policy.NeedsEvidence():
		rule.refuse(worst(j.Reasons))
	case obstacle != nil:
		rule.refuse(obstacle)
	default:
		rule.refuse(ErrNotExamined)
	}
}

// objects notes what the policy itself says against an image. A denial by
// digest is final: that something else could not be checked is no excuse.
func (r *rule) objects(reasons []error) {
	for _, err := range reasons {
		if _, verdict, _ := classify(err); verdict == deny {
			r.objected = true
		}
		if errors.Is(err, policy.ErrDeniedImage) {
			r.refuse(err)
		}
	}
}

// nowhere is the case of a policy that is judged without a manifest.
func (r *run) nowhere() policy.Case {
	return policy.Case{Name: r.req.Name, Digest: r.req.Descriptor.Digest, Now: r.req.Now()}
}

func (r *run) verifiedBefore() bool {
	return r.req.VerifiedBefore != nil && r.req.VerifiedBefore(r.req.Name, r.req.Descriptor.Digest)
}

// refuse keeps the gravest reason: a no counts more than a don't-know.
func (r *rule) refuse(err error) {
	_, verdict, _ := classify(err)
	if r.refusal == nil || r.verdict == undecided && verdict == deny {
		r.refusal, r.verdict = err, verdict
	}
}

// passOver admits what could not be checked and was allowed before, where the
// policy says so. What it has looked at and refuses stays refused, whatever else
// could not be had: else a registry could pardon an image by an outage.
func (r *rule) passOver(before bool) {
	if r.verdict == undecided && !r.objected && before && r.policy.AllowsIfVerifiedBefore() {
		r.before, r.refusal, r.verdict = r.refusal, nil, decision.Allow
	}
}

// settle takes the rules together: all of them must be satisfied. A policy in
// warn mode is heard and not obeyed.
func (r *run) settle() {
	var decisive *rule
	for _, rule := range r.rules {
		if rule.before != nil {
			r.d.Warnings = append(r.d.Warnings, decision.OneLine(fmt.Sprintf("%v; it was allowed before, which policy %s (%s) accepts", rule.before, rule.policy.Name, rule.policy.Origin)))
		}
		for _, j := range rule.judgements {
			for _, exception := range j.Exceptions {
				r.d.Warnings = append(r.d.Warnings, decision.OneLine(fmt.Sprintf("exception: %s; policy %s (%s)", exception, rule.policy.Name, rule.policy.Origin)))
			}
		}
		if rule.refusal == nil {
			continue
		}
		if rule.policy.Mode == policy.Warn {
			r.d.Warnings = append(r.d.Warnings, decision.OneLine(rule.reason()))
			continue
		}
		if decisive == nil || decisive.verdict == undecided && rule.verdict == deny {
			decisive = rule
		}
	}
	if len(r.rules) == 0 {
		r.d.Code, r.d.Reason = CodeInternal, "no policy was judged"
		return
	}
	if decisive == nil {
		r.d.Verdict, r.d.Reason = decision.Allow, decision.OneLine(r.praise())
		return
	}
	r.d.Code, r.d.Verdict, _ = classify(decisive.refusal)
	r.d.Reason = decision.OneLine(decisive.reason())
}

func (r *rule) reason() string {
	return fmt.Sprintf("%v; policy %s (%s)", r.refusal, r.policy.Name, r.policy.Origin)
}

// praise says why an image is allowed.
func (r *run) praise() string {
	for _, rule := range r.rules {
		for _, j := range rule.judgements {
			if rule.refusal == nil && j.Satisfied() && len(j.Claims) > 0 {
				return fmt.Sprintf("signed by %s, policy %s (%s)", j.Claims[0].Signer, rule.policy.Name, rule.policy.Origin)
			}
		}
	}
	for _, rule := range r.rules {
		if rule.before != nil {
			return fmt.Sprintf("verified before, policy %s (%s)", rule.policy.Name, rule.policy.Origin)
		}
		if rule.refusal == nil {
			return fmt.Sprintf("policy %s (%s) admits it without evidence", rule.policy.Name, rule.policy.Origin)
		}
	}
	return "only policies in warn mode refuse it: " + r.rules[0].reason()
}

func (r *run) finish() *decision.Decision {
	r.d.Requests += r.requests()
	r.d.ChangesAt = r.changesAt()
	return r.d
}

// requests counts the answers of all registries that were asked.
func (r *run) requests() int {
	n := 0
	if r.req.Location != nil {
		n = r.req.Location.Requests()
	}
	for _, location := range r.elsewhere {
		n += location.Requests()
	}
	return n
}

// changesAt is the earliest time at which the clock could change the verdict.
// What could not be checked may be known the next moment.
func (r *run) changesAt() *time.Time {
	if r.d.Verdict == undecided {
		now := r.d.DecidedAt
		return &now
	}
	first := r.usableUntil
	for _, rule := range r.rules {
		for _, j := range rule.judgements {
			first = sooner(first, j.ChangesAt)
		}
	}
	if first.IsZero() {
		return nil
	}
	first = first.UTC()
	return &first
}

func (r *rule) data() decision.Rule {
	d := decision.Rule{Name: r.policy.Name, Origin: r.policy.Origin, Mode: string(r.policy.Mode), Verdict: r.verdict}
	if r.refusal != nil {
		d.Reason = decision.OneLine(r.refusal.Error())
	} else if r.authority != nil {
		d.Authority, d.AuthorityOrigin = r.authority.Name, r.authority.Origin
	}
	return d
}

// data is the dossier as the decision shows it; i is its place among them.
func (d *dossier) data(rules []*rule, i int) decision.Manifest {
	m := decision.Manifest{
		Digest: d.file.Manifest, Config: d.file.ImageID,
		Verdict: decision.Allow, Signers: []decision.Signer{},
	}
	// An artifact that is no image has neither config nor platform.
	if d.file.ImageID != "" {
		m.Platform = platforms.Format(d.file.Platform)
	}
	for _, c := range d.all {
		m.Signers = append(m.Signers, d.signer(c))
	}
	for _, rule := range rules {
		if i < len(rule.judgements) && !rule.judgements[i].Satisfied() && rule.refusal != nil &&
			rule.policy.Mode == policy.Enforce && m.Verdict != deny {
			_, m.Verdict, _ = classify(worst(d.reasons(rule, rule.judgements[i])))
		}
	}
	return m
}

func (d *dossier) signer(c claim.Claim) decision.Signer {
	s := decision.Signer{
		Issuer: c.Signer.Issuer, Subject: c.Signer.Subject, Key: c.Signer.Key, X509: c.Signer.X509,
		Bundle: c.Evidence, Where: c.Where, Format: string(c.Format), Kind: string(c.Kind), Scope: string(c.Scope),
		PredicateType: c.PredicateType, Logged: c.Logged, Names: c.Names,
	}
	if st, err := provenance.ParseStatement(c.Statement); err == nil {
		s.Foretold = binding.Foretold(st, d.file.Platform)
	}
	if !c.SignedAt.IsZero() {
		at := c.SignedAt.UTC()
		s.SignedAt = &at
	}
	return s
}
