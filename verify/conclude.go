// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"

	"github.com/containerd/platforms"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
)

// rule is a policy that matches, and what becomes of it.
type rule struct {
	policy    policy.Policy
	authority *policy.Authority
	// refusal is nil if and only if the policy is satisfied.
	refusal error
	verdict decision.Verdict
}

// conclude judges every rule and puts the decision together. obstacle is why
// no evidence could be had at all, if so.
func (r *run) conclude(rules []*rule, obstacle error) *decision.Decision {
	for _, rule := range rules {
		r.judge(rule, obstacle)
		r.d.Rules = append(r.d.Rules, rule.data())
		r.check("identity", fmt.Sprintf("policy %s (%s)", rule.policy.Name, rule.policy.Origin), rule.refusal)
	}
	for _, f := range r.found {
		r.d.Manifests = append(r.d.Manifests, f.data(rules))
	}
	r.settle(rules)
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
func (r *run) judge(rule *rule, obstacle error) {
	rule.verdict = decision.Allow
	authority, reasons := rule.policy.Satisfied(nil)
	if authority != nil {
		rule.authority = authority
		return
	}
	switch {
	case !rule.policy.NeedsEvidence():
		rule.refuse(worst(reasons))
	case obstacle != nil:
		rule.refuse(obstacle)
	case len(r.found) == 0:
		rule.refuse(ErrNotExamined)
	}
	for _, f := range r.found {
		authority, reasons := rule.policy.Satisfied(f.judged)
		if authority == nil {
			rule.refuse(worst(append(reasons, f.refusals...)))
		} else if rule.authority == nil {
			rule.authority = authority
		}
	}
}

// refuse keeps the gravest reason: a no counts more than a don't-know.
func (r *rule) refuse(err error) {
	_, verdict, _ := classify(err)
	if r.refusal == nil || r.verdict == undecided && verdict == deny {
		r.refusal, r.verdict = err, verdict
	}
}

// settle takes the rules together: all of them must be satisfied. A policy in
// warn mode is heard and not obeyed.
func (r *run) settle(rules []*rule) {
	var decisive *rule
	for _, rule := range rules {
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
	if len(rules) == 0 {
		r.d.Code, r.d.Reason = CodeInternal, "no policy was judged"
		return
	}
	if decisive == nil {
		r.d.Verdict, r.d.Reason = decision.Allow, decision.OneLine(r.praise(rules))
		return
	}
	r.d.Code, r.d.Verdict, _ = classify(decisive.refusal)
	r.d.Reason = decision.OneLine(decisive.reason())
}

func (r *rule) reason() string {
	return fmt.Sprintf("%v; policy %s (%s)", r.refusal, r.policy.Name, r.policy.Origin)
}

// praise says why an image is allowed.
func (r *run) praise(rules []*rule) string {
	for _, rule := range rules {
		if rule.refusal != nil || rule.authority == nil || rule.authority.Keyless == nil {
			continue
		}
		for _, signer := range r.found[0].judged {
			if a, _ := rule.policy.Satisfied([]policy.Signer{signer}); a == nil {
				continue
			}
			return fmt.Sprintf("signed by %s (issuer %s), policy %s (%s)", signer.Subject, signer.Issuer, rule.policy.Name, rule.policy.Origin)
		}
	}
	for _, rule := range rules {
		if rule.refusal == nil {
			return fmt.Sprintf("policy %s (%s) admits it without evidence", rule.policy.Name, rule.policy.Origin)
		}
	}
	return "only policies in warn mode refuse it: " + rules[0].reason()
}

func (r *run) finish() *decision.Decision {
	if r.req.Location != nil {
		r.d.Requests = r.req.Location.Requests()
	}
	// What could not be checked may be known the next moment.
	if r.d.Verdict == undecided {
		now := r.d.DecidedAt
		r.d.ChangesAt = &now
	}
	return r.d
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

// data is the finding as the decision shows it.
func (f finding) data(rules []*rule) decision.Manifest {
	m := decision.Manifest{
		Digest:   f.manifest.Entry.Digest,
		Config:   f.manifest.Manifest.Config.Digest,
		Platform: platforms.Format(f.manifest.Platform),
		Verdict:  decision.Allow,
		Signers:  f.signers,
	}
	if m.Signers == nil {
		m.Signers = []decision.Signer{}
	}
	for _, rule := range rules {
		if a, reasons := rule.policy.Satisfied(f.judged); a == nil && rule.policy.Mode == policy.Enforce && m.Verdict != deny {
			_, m.Verdict, _ = classify(worst(append(reasons, f.refusals...)))
		}
	}
	return m
}
