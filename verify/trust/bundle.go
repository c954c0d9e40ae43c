// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance"
)

var (
	// ErrBundle reports bytes that are not a Sigstore bundle of a version we
	// know.
	ErrBundle = errors.New("malformed bundle")

	// ErrEnvelope reports a bundle that does not hold exactly one in-toto
	// statement under exactly one signature.
	ErrEnvelope = errors.New("unacceptable envelope")

	// ErrKeyed reports a bundle that was signed with a bare key.
	ErrKeyed = errors.New("signed with a key, not with a certificate")
)

// parsed is a bundle of the one form that is accepted, still unverified.
type parsed struct {
	bundle      *bundle.Bundle
	payload     []byte
	certificate *x509.Certificate
}

// parseBundle accepts a bundle with one DSSE envelope with one signature and a
// certificate.
func parseBundle(data []byte) (*parsed, error) {
	if err := strictjson.Check(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	envelope := b.GetDsseEnvelope()
	if envelope == nil {
		return nil, fmt.Errorf("%w: it holds no DSSE envelope", ErrEnvelope)
	}
	// DSSE allows several signatures, of which one would have to verify: which
	// one is then a matter of the reader. Bundle specification: "The number of
	// signatures in the envelope MUST be exactly one."
	if n := len(envelope.GetSignatures()); n != 1 {
		return nil, fmt.Errorf("%w: it has %d signatures, exactly 1 is accepted", ErrEnvelope, n)
	}
	// The payload type is part of what is signed. Under another type the same
	// bytes mean something else.
	if t := envelope.GetPayloadType(); t != provenance.PayloadType {
		return nil, fmt.Errorf("%w: its payload type is %q, want %q", ErrEnvelope, t, provenance.PayloadType)
	}
	content, err := b.VerificationContent()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	if content.Certificate() == nil {
		return nil, fmt.Errorf("%w: keys are not yet supported, sign keyless", ErrKeyed)
	}
	return &parsed{bundle: &b, payload: envelope.GetPayload(), certificate: withoutSAN(content.Certificate())}, nil
}

// withoutSAN takes the subject alternative name from the critical extensions
// that crypto/x509 would refuse: it does not know the OtherName that Fulcio
// uses for user names, sigstore-go does.
func withoutSAN(c *x509.Certificate) *x509.Certificate {
	c.UnhandledCriticalExtensions = slices.DeleteFunc(c.UnhandledCriticalExtensions, func(id asn1.ObjectIdentifier) bool {
		return id.Equal(cryptoutils.SANOID)
	})
	return c
}

// A Claim is what an unverified bundle says of itself: to show, never to judge.
type Claim struct {
	Signer  Signer
	Payload []byte
	// IssuedAt is when the certificate was issued, which for keyless signing is
	// within minutes of the signature.
	IssuedAt time.Time
}

// DescribeUnverified reads a bundle without verifying anything.
func DescribeUnverified(data []byte) (*Claim, error) {
	p, err := parseBundle(data)
	if err != nil {
		return nil, err
	}
	s, err := certificate.SummarizeCertificate(p.certificate)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrBundle, err)
	}
	return &Claim{Signer: signer(s), Payload: p.payload, IssuedAt: p.certificate.NotBefore.UTC()}, nil
}
