// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
)

// A Hint is one reason why a policy refuses an image, and what would have to be
// different.
type Hint struct {
	Policy string `json:"policy,omitempty"`
	// Authority is the way to satisfy the policy that the hint is about, and
	// Origin its file:line, or the policy's.
	Authority string `json:"authority,omitempty"`
	Origin    string `json:"origin,omitempty"`
	// Platform is that of the manifest.
	Platform string `json:"platform,omitempty"`
	// Where is the place of the closest signature.
	Where string `json:"where,omitempty"`
	// Text is what is there, and Pass what would let the image pass; empty if
	// nothing could.
	Text string `json:"text"`
	Pass string `json:"pass,omitempty"`
	// Differs are the parts of the closest signer that are not as wanted.
	Differs []Difference `json:"differs,omitempty"`
}

// Explain says why d is not a plain yes. An allowed image has hints only for
// policies that warn. set is the one that d was decided by.
func Explain(d *decision.Decision, set *policy.Set) []Hint {
	if len(d.Rules) == 0 {
		return general(d, set)
	}
	var hints []Hint
	policies := set.Policies()
	for _, rule := range d.Rules {
		i := slices.IndexFunc(policies, func(p policy.Policy) bool { return p.Name == rule.Name && p.Origin == rule.Origin })
		switch {
		case rule.Verdict == decision.Allow:
		case i < 0: // what stands in where no policy matches
			hints = append(hints, Hint{Policy: rule.Name, Origin: rule.Origin, Text: rule.Reason, Pass: remedies[codeOf(d, rule)]})
		default:
			hints = append(hints, refused(d, rule, &policies[i])...)
		}
	}
	return hints
}

// refused explains one policy: each of its authorities would do.
func refused(d *decision.Decision, rule decision.Rule, p *policy.Policy) []Hint {
	whole := Hint{Policy: p.Name, Origin: p.Origin, Text: rule.Reason, Pass: remedies[codeOf(d, rule)]}
	if rule.Authority != "" {
		whole.Authority = rule.Authority
	}
	hints := []Hint{whole}
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if a.Name == rule.Authority {
			continue
		}
		h := Hint{Policy: p.Name, Authority: a.Name, Origin: a.Origin}
		if a.Static != nil {
			h.Text = "refuses without looking at evidence"
			hints = append(hints, h)
			continue
		}
		for _, m := range d.Manifests {
			h.Platform = m.Platform
			hints = append(hints, unmet(h, d, a, m))
		}
	}
	return hints
}

// unmet says what an authority misses about a manifest.
func unmet(h Hint, d *decision.Decision, a *policy.Authority, m decision.Manifest) Hint {
	wants := wanted(a)
	if len(m.Signers) == 0 {
		h.Text = "nobody's signature verifies: " + looked(d)
		h.Pass = "it were signed by " + wants
		return h
	}
	var all []string
	best := -1
	for _, s := range m.Signers {
		all = append(all, name(s))
		if len(a.Identities) == 0 || s.Issuer == "" {
			continue
		}
		id, differs := nearest(a.Identities, s.Issuer, s.Subject)
		score := 0
		for _, one := range differs {
			score += 10000 + one.distance()
		}
		if best < 0 || score < best {
			best, h.Differs = score, differs
			h.Text, h.Pass, h.Where = sentence(s, differs), change(id, differs), s.Where
		}
	}
	if best < 0 {
		h.Text = "signed by " + strings.Join(all, ", ")
		h.Pass = "it were signed by " + wants
	}
	if missing := attestations(a, m.Signers); missing != "" {
		h.Text += "; stated are " + stated(m.Signers)
		h.Pass = strings.TrimPrefix(h.Pass+", and it carried "+missing+" by a welcome signer", ", and ")
	}
	return h
}

// stated lists the predicate types that there are, whoever stated them.
func stated(signers []decision.Signer) string {
	var types []string
	for _, s := range signers {
		if s.PredicateType != "" && !slices.Contains(types, s.PredicateType) {
			types = append(types, s.PredicateType)
		}
	}
	if len(types) == 0 {
		return "no attestations"
	}
	return decision.OneLine(strings.Join(types, ", "))
}

// name is a signer on one line.
func name(s decision.Signer) string {
	switch {
	case s.Key != "":
		return "key " + s.Key.String()
	case s.X509 != "":
		return decision.OneLine(s.X509)
	}
	return decision.OneLine(fmt.Sprintf("%s (issuer %s)", s.Subject, s.Issuer))
}

// sentence says who signed, and what of it is wrong.
func sentence(s decision.Signer, differs []Difference) string {
	text := "signed by " + name(s)
	word := ", but "
	for _, d := range differs {
		if d.Part != "subject" { // said already, as a whole
			text += word + "by " + d.Part + " " + d.Got
			word = " and "
		}
	}
	if len(differs) == 0 {
		text += ", who is welcome; something else is missing"
	}
	return decision.OneLine(text)
}

// change says what would have to be different for the identity to fit.
func change(id policy.Identity, differs []Difference) string {
	var parts []string
	for _, d := range differs {
		switch {
		case !d.expression:
			parts = append(parts, fmt.Sprintf("the %s were %s", d.Part, d.Want))
		case d.Fits == "":
			parts = append(parts, fmt.Sprintf("the %s matched %s", d.Part, d.Want))
		default:
			parts = append(parts, fmt.Sprintf("the %s matched %s, which it does as far as %q", d.Part, d.Want, d.Fits))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, " and ") + " (identity " + id.String() + ")"
}

// wanted says whom an authority waits for.
func wanted(a *policy.Authority) string {
	var names []string
	for _, id := range a.Identities {
		names = append(names, id.String())
	}
	switch {
	case len(names) > 0:
		return strings.Join(names, " or ")
	case a.Trust.Key != nil:
		return "the key of " + a.Name + " (" + strings.Join(fingerprints(a.Trust.Key.PEM), " or ") + ")"
	case a.Trust.Notation != nil:
		return strings.Join(a.Trust.Notation.TrustedIdentities, " or ") + " of " + strings.Join(a.Trust.Notation.TrustStores, " or ")
	}
	return "whoever " + a.Name + " trusts"
}

// attestations lists the predicate types that an authority demands and that no
// welcome signer stated. One that is there may still be refused for what it
// says: then the reason of the policy tells.
func attestations(a *policy.Authority, signers []decision.Signer) string {
	var types []string
	for _, at := range a.Attestations {
		there := slices.ContainsFunc(signers, func(s decision.Signer) bool {
			return s.PredicateType == at.PredicateType && welcome(a, s)
		})
		if !there {
			types = append(types, at.PredicateType)
		}
	}
	if len(types) == 0 {
		return ""
	}
	return "attestations of type " + strings.Join(types, " and ")
}

func welcome(a *policy.Authority, s decision.Signer) bool {
	if len(a.Identities) == 0 {
		return true
	}
	_, differs := nearest(a.Identities, s.Issuer, s.Subject)
	return len(differs) == 0
}

// looked says where evidence was looked for, and what became of it. A signature
// fails as a bundle, and then as what lies in that place: that is said once, of
// the place.
func looked(d *decision.Decision) string {
	type failure struct{ code, detail string }
	said := map[failure]bool{}
	var found []string
	for _, c := range slices.Backward(d.Checks) {
		if !slices.Contains([]string{"evidence", "trust", "binding"}, c.Step) || c.Outcome == decision.Pass {
			continue
		}
		if c.Step != "evidence" && said[failure{c.Code, c.Detail}] {
			continue
		}
		said[failure{c.Code, c.Detail}] = true
		found = append(found, fmt.Sprintf("%s: %s [%s]", c.Object, c.Detail, c.Code))
	}
	slices.Reverse(found)
	if len(found) == 0 {
		found = append(found, "there is no evidence")
	}
	return decision.OneLine(fmt.Sprintf("%s (%d requests)", strings.Join(slices.Compact(found), "; "), d.Requests))
}

// codeOf is the reason code of a policy: that of the decision if it was this
// policy that decided, or of the check that was made of it.
func codeOf(d *decision.Decision, rule decision.Rule) string {
	for _, c := range d.Checks {
		if c.Outcome != decision.Pass && strings.Contains(c.Object, rule.Origin) {
			return c.Code
		}
	}
	return d.Code
}

// general explains a refusal before any policy was judged.
func general(d *decision.Decision, set *policy.Set) []Hint {
	h := Hint{Text: d.Reason, Pass: remedies[d.Code]}
	if d.Verdict == decision.Allow {
		return nil
	}
	if d.Code == "no-match" && set != nil {
		return append([]Hint{h}, globs(d.Image, set)...)
	}
	return []Hint{h}
}
