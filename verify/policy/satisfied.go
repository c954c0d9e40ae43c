// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/claim"
)

// Keyless wants a signature by any one of Identities.
type Keyless struct {
	// URL, if set, is the certificate authority that must have issued the
	// certificate, as the trusted root names it.
	URL        string
	Identities []Identity
}

// A Signer is what others have verified about a signature.
type Signer struct {
	Issuer  string
	Subject string
	// Authorities are the URIs of the certificate authorities that vouch for
	// the certificate.
	Authorities []string
}

// Satisfied returns the authority that the signers satisfy. Without one, it
// returns why not: a reason for each authority and signer, none if there was
// nobody to judge. What goes beyond keyless signatures is refused.
func (p *Policy) Satisfied(signers []Signer) (*Authority, []error) {
	if p.match || p.whole != nil || len(p.conditions) > 0 {
		return nil, []error{fmt.Errorf("%w: policy %s has more than authorities", ErrUnsupported, p.Name)}
	}
	var reasons []error
	for i := range p.Authorities {
		a := &p.Authorities[i]
		if a.Static == nil && (a.Keyless == nil || len(a.Attestations) > 0 || a.Trust.ID() != (Trust{Keyless: &KeylessTrust{}}).ID()) {
			reasons = append(reasons, fmt.Errorf("%w: authority %s wants more than keyless signatures", ErrUnsupported, a.Name))
			continue
		}
		s, why := a.judge(context.Background(), Case{}, keylessOnly(signers), nil)
		if s != nil {
			return a, nil
		}
		reasons = append(reasons, why...)
	}
	return nil, reasons
}

// keylessOnly is evidence that consists of keyless signatures.
type keylessOnly []Signer

func (k keylessOnly) Claims(Trust) []claim.Claim {
	var claims []claim.Claim
	for _, s := range k {
		claims = append(claims, claim.Claim{
			Kind: claim.Signature, Format: claim.Bundle,
			Signer: claim.Signer{Issuer: s.Issuer, Subject: s.Subject, Authorities: s.Authorities},
		})
	}
	return claims
}

func (keylessOnly) Config(context.Context) ([]byte, error) { return nil, ErrUnsupported }

func (keylessOnly) Byproduct(context.Context, claim.Claim, string) ([]byte, error) {
	return nil, ErrUnsupported
}

func (keylessOnly) Material(context.Context, string, digest.Digest, string) error {
	return ErrUnsupported
}
