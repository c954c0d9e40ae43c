// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"

	"github.com/plombproject/plomb/verify/claim"
)

// Trusts are the trusts under which evidence for the policy has to be verified,
// each once. A policy whose authorities are all static has none.
func (p *Policy) Trusts() []Trust {
	var trusts []Trust
	seen := map[string]bool{}
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if a.Static != nil || seen[a.Trust.ID()] {
			continue
		}
		seen[a.Trust.ID()] = true
		trusts = append(trusts, a.Trust)
	}
	return trusts
}

// Judge says whether the policy is satisfied with what is known about the
// manifest of c, and if not, why not. It may be asked again when more is known;
// where nothing is known there are no reasons.
func (p *Policy) Judge(ctx context.Context, c Case, e Evidence) Judgement {
	var j Judgement
	for i := range p.Authorities {
		a := &p.Authorities[i]
		claims, reasons := a.judge(e)
		if len(reasons) == 0 && (a.Static != nil || len(claims) > 0) {
			return Judgement{Authority: a, Claims: claims}
		}
		j.Reasons = append(j.Reasons, reasons...)
	}
	return j
}

// judge returns the claims that satisfy the authority, or why none does.
func (a *Authority) judge(e Evidence) ([]claim.Claim, []error) {
	if a.Static != nil {
		if a.Static.Pass {
			return nil, nil
		}
		return nil, []error{fmt.Errorf("%w: %s", ErrStatic, a.Static.Message)}
	}
	var welcome []claim.Claim
	var reasons []error
	for _, cl := range e.Claims(a.Trust) {
		if err := a.welcomes(cl); err != nil {
			reasons = append(reasons, err)
			continue
		}
		welcome = append(welcome, cl)
	}
	if len(welcome) > 0 {
		return welcome, nil
	}
	return nil, reasons
}

func (a *Authority) welcomes(c claim.Claim) error {
	k := Keyless{URL: a.CertificateAuthority, Identities: a.Identities}
	if err := k.welcomes(Signer{Issuer: c.Signer.Issuer, Subject: c.Signer.Subject, Authorities: c.Signer.Authorities}); err != nil {
		return err
	}
	if !c.IsSignature() {
		return fmt.Errorf("%w: %s by %s", ErrNoSignature, c.PredicateType, c.Signer)
	}
	return nil
}
