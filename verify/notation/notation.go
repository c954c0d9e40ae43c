// SPDX-License-Identifier: Apache-2.0

// Package notation verifies Notary Project signatures: an envelope (JWS or
// COSE) in which somebody with an X.509 certificate signed the descriptor of
// an artifact.
//
// It follows the Notary Project's specifications
// (https://github.com/notaryproject/specifications/tree/v1.1.0/specs):
// signature-specification.md, signature-envelope-jws.md,
// signature-envelope-cose.md and trust-store-trust-policy.md. Cryptography and
// the rules for certificates are those of the project's own library,
// notation-core-go; the steps of a trust policy are here, because the
// library's verifier reads the machine's clock, knows only the host's files,
// runs plugins, and asks certificate authorities over the network.
//
// It does not look for signatures, does not compare the descriptor with an
// image, makes no request, and runs no program.
package notation

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/claim"
)

// Options are what a trust policy says. Without certificate authorities and
// identities nothing could be verified, so NewVerifier refuses that.
type Options struct {
	// Level is strict, permissive or audit; empty is strict.
	Level string
	// VerifyTimestamp is always or afterCertExpiry; empty is always. It only
	// matters if there are TSAs.
	VerifyTimestamp string
	// TrustedIdentities are x509.subject: followed by a distinguished name
	// (RFC 4514), or the one entry "*".
	TrustedIdentities []string
	// CAs, SigningAuthorities and TSAs are trust stores by name.
	CAs, SigningAuthorities, TSAs map[string][]*x509.Certificate
	// CRLs are the revocation lists at hand, in any order.
	CRLs []*x509.RevocationList
}

// A Verifier verifies under one set of Options. It can be used by several
// goroutines at once.
type Verifier struct {
	level           level
	afterCertExpiry bool
	identities      []identity
	wanted          []string // identities, as they were written
	stores          map[signature.SigningScheme]stores
	tsas            stores
	crls            []*x509.RevocationList
}

// Verified is what a signature says, once it has been verified. A member that
// rests on a check which failed, and which the level does not enforce, is
// empty.
type Verified struct {
	// Target is the descriptor that was signed, with its annotations.
	Target ocispec.Descriptor
	// Annotations are the key-value pairs that the signer added.
	Annotations map[string]string
	// Signer has the distinguished name and the serial number of the
	// certificate, and the trust store that it leads to.
	Signer claim.Signer
	// SignedAt is when a trusted timestamp authority saw the signature, or
	// when a trusted signing authority says it made it; zero if neither does.
	SignedAt time.Time
	// SignedAfter is the signing time that the signer has signed, SignedAt at
	// the latest; zero if the signer is nobody who is trusted.
	SignedAfter time.Time
	// Unenforced are the checks that failed and that the level only wants
	// reported. They are none under the level strict.
	Unenforced []error
}

// NewVerifier checks the options as a whole.
func NewVerifier(o Options) (*Verifier, error) {
	v := &Verifier{tsas: o.TSAs, crls: o.CRLs, wanted: slices.Clone(o.TrustedIdentities), stores: map[signature.SigningScheme]stores{
		signature.SigningSchemeX509:                 o.CAs,
		signature.SigningSchemeX509SigningAuthority: o.SigningAuthorities,
	}}
	var err error
	if v.level, err = levelOf(o.Level); err != nil {
		return nil, err
	}
	switch o.VerifyTimestamp {
	case "", "always":
	case "afterCertExpiry":
		v.afterCertExpiry = true
	default:
		return nil, fmt.Errorf("%w: verifyTimestamp is %q, want always or afterCertExpiry", ErrOptions, o.VerifyTimestamp)
	}
	if v.identities, err = parseIdentities(o.TrustedIdentities); err != nil {
		return nil, err
	}
	if len(o.CAs)+len(o.SigningAuthorities) == 0 {
		return nil, fmt.Errorf("%w: no trust store of type ca or signingAuthority; nobody could be trusted", ErrOptions)
	}
	for kind, s := range map[string]stores{TypeCA: o.CAs, TypeSigningAuthority: o.SigningAuthorities, TypeTSA: o.TSAs} {
		if err := s.check(kind); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Verify checks everything about an envelope but whether its target is the
// artifact in question. now is the time on this machine's clock; no other
// clock is read. mediaType is that of the layer the envelope was found in.
func (v *Verifier) Verify(ctx context.Context, envelope []byte, mediaType string, now time.Time) (*Verified, error) {
	content, err := open(envelope, mediaType)
	if err != nil {
		return nil, err
	}
	if err := understood(content.SignerInfo); err != nil {
		return nil, err
	}
	target, err := targetOf(content.Payload)
	if err != nil {
		return nil, err
	}
	e := &examination{v: v, ctx: ctx, info: content.SignerInfo, now: now,
		out: &Verified{Target: target, Annotations: target.Annotations}}
	for _, c := range checks {
		err := c.run(e)
		switch {
		case err == nil:
		case v.level[c.name]:
			return nil, err
		default:
			e.out.Unenforced = append(e.out.Unenforced, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	e.boundAge()
	return e.out, nil
}

// boundAge notes the time that the signer has put down. A timestamp can be
// renewed by anybody, the signed time by the signer alone.
func (e *examination) boundAge() {
	at := e.info.SignedAttributes.SigningTime
	if !e.authentic || at.IsZero() {
		return
	}
	e.out.SignedAfter = at.UTC()
	if !e.out.SignedAt.IsZero() && e.out.SignedAt.Before(at) {
		e.out.SignedAfter = e.out.SignedAt
	}
}

// An examination is one signature on its way through the checks. They write
// into out what they have found to be true, and nothing else.
type examination struct {
	v    *Verifier
	ctx  context.Context
	info signature.SignerInfo
	now  time.Time
	out  *Verified
	// authentic: the check authenticity has passed.
	authentic bool
}

func (e *examination) scheme() signature.SigningScheme { return e.info.SignedAttributes.SigningScheme }

func (e *examination) leaf() *x509.Certificate { return e.info.CertificateChain[0] }

// checks are the rows of the specification's "Signature Verification details"
// after integrity, in its order.
var checks = []struct {
	name string
	run  func(*examination) error
}{
	{"authenticity", (*examination).authenticity},
	{"expiry", (*examination).expiry},
	{"authenticTimestamp", (*examination).authenticTimestamp},
	{"revocation", (*examination).revocation},
}

// A level has the checks that it enforces; integrity is always enforced. The
// others are reported.
type level map[string]bool

// levels is the table of trust-store-trust-policy.md, "Signature Verification
// details".
var levels = map[string]level{
	"strict":     {"authenticity": true, "expiry": true, "authenticTimestamp": true, "revocation": true},
	"permissive": {"authenticity": true},
	"audit":      {},
}

func levelOf(name string) (level, error) {
	if name == "" {
		name = "strict"
	}
	l, ok := levels[name]
	if !ok {
		return nil, fmt.Errorf("%w: level is %q, want strict, permissive or audit%s", ErrOptions, name, skipRemedy(name))
	}
	return l, nil
}

func skipRemedy(name string) string {
	if strings.EqualFold(name, "skip") {
		return "; for an image that needs no signature write a static pass"
	}
	return ""
}
