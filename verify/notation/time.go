// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	nx509 "github.com/notaryproject/notation-core-go/x509"
	"github.com/notaryproject/tspclient-go"
)

// MaxSkew is how far this machine's clock may be behind the one that stamped a
// signature before we say that something is wrong.
const MaxSkew = 5 * time.Minute

// expiry: the signer's own limit (signed attribute io.cncf.notary.expiry).
func (e *examination) expiry() error {
	limit := e.info.SignedAttributes.Expiry
	if !limit.IsZero() && !e.now.Before(limit) {
		return fmt.Errorf("%w: on %s, by the signer's own limit", ErrExpired, stamp(limit))
	}
	return nil
}

// authenticTimestamp: every certificate of the chain was valid when the
// signature was made, as far as somebody trusted vouches for that time, else
// it is valid now.
func (e *examination) authenticTimestamp() error {
	if e.scheme() == signature.SigningSchemeX509SigningAuthority {
		return e.signingAuthorityTime()
	}
	if len(e.v.tsas) == 0 {
		return e.validNow()
	}
	token, err := e.token()
	if !e.v.afterCertExpiry {
		return e.useTimestamp(token, err)
	}
	if e.expired() {
		return e.useTimestamp(token, err)
	}
	// afterCertExpiry, and nothing has expired: the timestamp is not asked
	// for, but a good one still tells when the signature was made.
	if err := e.validNow(); err != nil {
		return err
	}
	if err == nil && e.covered(token) == nil {
		e.out.SignedAt = token.Value.UTC()
	}
	return nil
}

func (e *examination) expired() bool {
	for _, cert := range e.info.CertificateChain {
		if e.now.After(cert.NotAfter) {
			return true
		}
	}
	return false
}

func (e *examination) validNow() error {
	for _, cert := range e.info.CertificateChain {
		if e.now.Before(cert.NotBefore) || e.now.After(cert.NotAfter) {
			return fmt.Errorf("%w: %q is valid from %s to %s, it is %s, and no timestamp was asked for", ErrValidity,
				cert.Subject, stamp(cert.NotBefore), stamp(cert.NotAfter), stamp(e.now))
		}
	}
	return nil
}

// signingAuthorityTime believes the signing time that a trusted signing
// authority has signed.
func (e *examination) signingAuthorityTime() error {
	at := e.info.SignedAttributes.SigningTime
	for _, cert := range e.info.CertificateChain {
		if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
			return fmt.Errorf("%w: %q is valid from %s to %s, and the signing authority says it signed at %s", ErrValidity,
				cert.Subject, stamp(cert.NotBefore), stamp(cert.NotAfter), stamp(at))
		}
	}
	if err := e.past(at); err != nil {
		return err
	}
	if e.authentic {
		e.out.SignedAt = at.UTC()
	}
	return nil
}

func (e *examination) useTimestamp(token *tspclient.Timestamp, err error) error {
	if err != nil {
		return err
	}
	if err := e.covered(token); err != nil {
		return err
	}
	e.out.SignedAt = token.Value.UTC()
	return nil
}

// covered: the whole range of time that the timestamp stands for lies within
// the validity of every certificate, and not in the future.
func (e *examination) covered(ts *tspclient.Timestamp) error {
	for _, cert := range e.info.CertificateChain {
		if !ts.BoundedAfter(cert.NotBefore) || !ts.BoundedBefore(cert.NotAfter) {
			return fmt.Errorf("%w: %q is valid from %s to %s, and the timestamp says %s", ErrValidity,
				cert.Subject, stamp(cert.NotBefore), stamp(cert.NotAfter), ts.Format(time.RFC3339))
		}
	}
	return e.past(ts.Value)
}

func (e *examination) past(at time.Time) error {
	if at.After(e.now.Add(MaxSkew)) {
		return fmt.Errorf("%w: at %s, and this machine's clock says %s; set the clock", ErrClock, stamp(at), stamp(e.now))
	}
	return nil
}

// token verifies the RFC 3161 countersignature over the signature.
func (e *examination) token() (*tspclient.Timestamp, error) {
	raw := e.info.UnsignedAttributes.TimestampSignature
	if len(raw) == 0 {
		return nil, fmt.Errorf("%w: the envelope has no timestamp; sign with one (notation sign --timestamp-url), or leave trust stores of type tsa out of the policy", ErrTimestamp)
	}
	signed, err := tspclient.ParseSignedToken(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	if len(signed.Certificates) > maxChain || len(signed.SignerInfos) > maxChain {
		return nil, fmt.Errorf("%w: it has %d certificates and %d signers, at most %d are looked at", ErrTimestamp,
			len(signed.Certificates), len(signed.SignerInfos), maxChain)
	}
	for _, cert := range signed.Certificates {
		if err := affordableKey(cert); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
		}
	}
	info, err := signed.Info()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	ts, err := info.Validate(e.info.Signature)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	// At the time the authority gives: its certificate may have expired since.
	chain, err := signed.Verify(e.ctx, x509.VerifyOptions{CurrentTime: ts.Value, Roots: e.v.tsas.pool()})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	if err := nx509.ValidateTimestampingCertChain(chain); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	if err := e.unrevoked(chain); err != nil {
		return nil, fmt.Errorf("timestamp authority: %w", err)
	}
	return ts, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
