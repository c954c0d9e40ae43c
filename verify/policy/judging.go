// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/verify/claim"
)

// satisfied is an authority that is, and what by.
type satisfied struct {
	authority *Authority
	// claims are what it rests on.
	claims []claim.Claim
	// welcome are those and all other claims of welcome signers.
	welcome []claim.Claim
	// attestations are those that were wanted, by name.
	attestations map[string][]attested
}

// Judge says whether the policy is satisfied with what is known about the
// manifest of c, and if not, why not. It may be asked again when more is known;
// an authority about which nothing is known gives no reason. If NeedsEvidence
// is false, e may be nil.
func (p *Policy) Judge(ctx context.Context, c Case, e Evidence) Judgement {
	if p.match {
		return Judgement{Reasons: []error{fmt.Errorf("%w: spec.match", ErrNeedsPod)}}
	}
	if err := deniedImage(p.conditions, c); err != nil {
		return Judgement{Reasons: []error{err}}
	}
	var found []satisfied
	var reasons []error
	for i := range p.Authorities {
		s, why := p.Authorities[i].judge(ctx, c, e, p.conditions)
		if s != nil {
			found = append(found, *s)
		}
		reasons = append(reasons, why...)
	}
	if len(found) == 0 {
		return Judgement{Reasons: reasons}
	}
	if p.whole != nil {
		if err := p.judgeWhole(ctx, c, e, found); err != nil {
			return Judgement{Reasons: append([]error{err}, reasons...)}
		}
	}
	return p.settle(ctx, c, e, found, reasons)
}

// settle looks for an authority for which all conditions hold.
func (p *Policy) settle(ctx context.Context, c Case, e Evidence, found []satisfied, reasons []error) Judgement {
	for _, s := range found {
		out := hold(ctx, p.conditions, c, e, s.welcome)
		if len(out.reasons) == 0 {
			return Judgement{Authority: s.authority, Claims: s.claims, Exceptions: out.exceptions, ChangesAt: out.changesAt}
		}
		reasons = append(reasons, out.reasons...)
	}
	return Judgement{Reasons: reasons}
}

// judge says what the authority is satisfied by, or why it is not.
func (a *Authority) judge(ctx context.Context, c Case, e Evidence, conditions []condition) (*satisfied, []error) {
	if a.Static != nil {
		if a.Static.Pass {
			return &satisfied{authority: a}, nil
		}
		return nil, []error{a.Static.err()}
	}
	claims, reasons := sift(conditions, e.Claims(a.Trust))
	s := &satisfied{authority: a}
	for _, cl := range claims {
		if err := a.welcomes(cl); err != nil {
			reasons = append(reasons, err)
			continue
		}
		s.welcome = append(s.welcome, cl)
	}
	if len(s.welcome) > 0 {
		err := s.rest(ctx, c, e)
		if err == nil {
			return s, nil
		}
		reasons = append(reasons, err)
	}
	if a.secrets {
		// There could be more evidence where only the secrets of a pod lead.
		reasons = append(reasons, fmt.Errorf("%w: source.signaturePullSecrets of authority %s", ErrNeedsPod, a.Name))
	}
	return nil, reasons
}

// rest finds the claims that the authority rests on among those of welcome
// signers, or why there are none.
func (s *satisfied) rest(ctx context.Context, c Case, e Evidence) error {
	if len(s.authority.Attestations) > 0 {
		return s.attest(ctx, c, e)
	}
	return s.sign()
}

func (s *Static) err() error {
	if s.refusal != nil {
		return s.refusal
	}
	return fmt.Errorf("%w: %s", ErrStatic, s.Message)
}

// sign takes the claims that are signatures.
func (s *satisfied) sign() error {
	var types []string
	for _, cl := range s.welcome {
		if cl.IsSignature() {
			s.claims = append(s.claims, cl)
			continue
		}
		if !slices.Contains(types, cl.PredicateType) {
			types = append(types, cl.PredicateType)
		}
	}
	if len(s.claims) > 0 {
		return nil
	}
	return fmt.Errorf("%w: %s stated only %s", ErrNoSignature, s.welcome[0].Signer, strings.Join(types, ", "))
}

// welcomes says whether whoever made the claim may.
func (a *Authority) welcomes(c claim.Claim) error {
	if a.Format != "" && c.Format != a.Format {
		return fmt.Errorf("%w: %s, wanted %s", ErrFormat, c.Format, a.Format)
	}
	switch {
	case a.Trust.Keyless != nil:
		return a.welcomesIdentity(c.Signer)
	case a.Trust.Key != nil:
		for _, key := range a.keys {
			if key == c.Signer.Key {
				return nil
			}
		}
		return &IdentityError{Signer: c.Signer, Authority: a}
	case a.Trust.Notation != nil:
		// Whose certificate it is was part of the verification.
		if c.Format == claim.Notation {
			return nil
		}
		return fmt.Errorf("%w: %s, wanted %s", ErrFormat, c.Format, claim.Notation)
	}
	return &IdentityError{Signer: c.Signer, Authority: a}
}

func (a *Authority) welcomesIdentity(s claim.Signer) error {
	if a.CertificateAuthority != "" && !contains(s.Authorities, a.CertificateAuthority) {
		return fmt.Errorf("%w: issued by %s, wanted %s", ErrAuthority, strings.Join(s.Authorities, " "), a.CertificateAuthority)
	}
	refusal := &IdentityError{Signer: s, Authority: a}
	for _, id := range a.Identities {
		issuer, subject := matches(id.Issuer, id.IssuerRegExp, s.Issuer), matches(id.Subject, id.SubjectRegExp, s.Subject)
		if issuer && subject {
			return nil
		}
		if subject {
			refusal.Similar = append(refusal.Similar, id)
		}
	}
	return refusal
}

func contains(uris []string, want string) bool {
	for _, u := range uris {
		if strings.TrimSuffix(u, "/") == strings.TrimSuffix(want, "/") {
			return true
		}
	}
	return false
}
