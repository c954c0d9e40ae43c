// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// MaxSkew is how far the clock of this machine may be behind the clock that
// stamped the signature before we say that something is wrong with ours.
const MaxSkew = 5 * time.Minute

var (
	// ErrLogEntry reports a bundle without a provable entry in a transparency
	// log that the root trusts.
	ErrLogEntry = errors.New("no valid transparency log entry")

	// ErrTimestamp reports a bundle without a trusted time of signing.
	ErrTimestamp = errors.New("no trusted time of signing")

	// ErrCertificate reports a signing certificate that does not lead to a
	// trusted authority, or was not valid when the signature was made.
	ErrCertificate = errors.New("untrusted signing certificate")

	// ErrSCT reports a certificate that no trusted certificate transparency
	// log has seen.
	ErrSCT = errors.New("no valid signed certificate timestamp")

	// ErrSignature reports a signature that does not fit the payload.
	ErrSignature = errors.New("invalid signature")

	// ErrLogKey reports a log entry under a key that was not in force when
	// the signature was made.
	ErrLogKey = errors.New("log key not in force at the time of signing")

	// ErrClock reports a signature from the future: this machine's clock is
	// wrong, or the timestamp authority's is.
	ErrClock = errors.New("signed in the future")
)

// A Signer is who the certificate names.
type Signer struct {
	// Issuer is the OpenID Connect issuer that vouched for the signer.
	Issuer string `json:"issuer"`
	// Subject is the subject alternative name: a workflow, a mail address.
	Subject string `json:"subject"`
}

// A Verified bundle was signed by Signer, with the private key of a
// certificate that was valid at the time.
type Verified struct {
	Payload []byte
	Signer  Signer
	// Authorities are the URIs of the certificate authorities, as the trusted
	// root names them, that the certificate leads to.
	Authorities []string
	// SignedAt is the earliest trusted time of signing.
	SignedAt time.Time
}

// Verify checks everything about a bundle that needs neither the artifact nor
// a policy. now is the time on this machine's clock.
func (r *Root) Verify(data []byte, now time.Time) (*Verified, error) {
	p, err := parseBundle(data)
	if err != nil {
		return nil, err
	}
	// The certificate is the signer's word until Verify returns; identity and
	// artifact are checked by the steps after this one, which have both.
	result, err := r.verifier.Verify(p.bundle, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return nil, r.diagnose(p, err)
	}
	times := result.VerifiedTimestamps
	if err := r.checkLogKeys(p, times); err != nil {
		return nil, err
	}
	v := &Verified{
		Payload:     p.payload,
		Signer:      signer(*result.Signature.Certificate),
		Authorities: r.authorities(p, times),
		SignedAt:    earliest(times),
	}
	if v.SignedAt.After(now.Add(MaxSkew)) {
		return nil, fmt.Errorf("%w: at %s, and this machine's clock says %s; set the clock", ErrClock,
			v.SignedAt.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return v, nil
}

func signer(s certificate.Summary) Signer {
	return Signer{Issuer: s.Issuer, Subject: s.SubjectAlternativeName}
}

func earliest(times []verify.TimestampVerificationResult) time.Time {
	var first time.Time
	for _, t := range times {
		if first.IsZero() || t.Timestamp.Before(first) {
			first = t.Timestamp
		}
	}
	return first
}

// authorities lists the certificate authorities of the root that vouch for the
// certificate at every verified time.
func (r *Root) authorities(p *parsed, times []verify.TimestampVerificationResult) []string {
	var uris []string
	for _, ca := range r.material.FulcioCertificateAuthorities() {
		fulcio, ok := ca.(*root.FulcioCertificateAuthority)
		if !ok {
			continue
		}
		vouches := len(times) > 0
		for _, t := range times {
			if _, err := ca.Verify(p.certificate, t.Timestamp); err != nil {
				vouches = false
			}
		}
		if vouches {
			uris = append(uris, fulcio.URI)
		}
	}
	return uris
}

// checkLogKeys demands that the log entries are under keys that were in force
// at every verified time of signing. sigstore-go checks this for Rekor v1, whose
// entries carry a time of their own, and not for v2
// (https://github.com/sigstore/sigstore-go/issues/496). It does not tell which
// of several entries it verified, so all of those in trusted logs are held to it.
func (r *Root) checkLogKeys(p *parsed, times []verify.TimestampVerificationResult) error {
	entries, err := p.bundle.TlogEntries()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLogEntry, err)
	}
	trusted := 0
	for _, entry := range entries {
		log, ok := r.material.RekorLogs()[fmt.Sprintf("%x", entry.LogKeyID())]
		if !ok {
			continue
		}
		trusted++
		if !inForce(log, times) {
			return fmt.Errorf("%w: %s: the trusted root has its key from %s to %s", ErrLogKey, log.BaseURL,
				log.ValidityPeriodStart.UTC().Format(time.RFC3339), end(log))
		}
	}
	if trusted == 0 {
		return ErrLogEntry
	}
	return nil
}

func inForce(log *root.TransparencyLog, times []verify.TimestampVerificationResult) bool {
	for _, t := range times {
		if t.Timestamp.Before(log.ValidityPeriodStart) ||
			!log.ValidityPeriodEnd.IsZero() && t.Timestamp.After(log.ValidityPeriodEnd) {
			return false
		}
	}
	return true
}

func end(log *root.TransparencyLog) string {
	if log.ValidityPeriodEnd.IsZero() {
		return "now"
	}
	return log.ValidityPeriodEnd.UTC().Format(time.RFC3339)
}
