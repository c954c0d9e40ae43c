// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"

	"github.com/plombproject/plomb/verify/claim"
)

// MaxSkew is how far the clock of this machine may be behind the clock that
// stamped the signature before we say that something is wrong with ours.
const MaxSkew = 5 * time.Minute

var (
	// ErrKeyed reports a bundle that was signed with a bare key, where a
	// certificate is wanted.
	ErrKeyed = errors.New("signed with a key, not with a certificate")

	// ErrKeyless reports a bundle that was signed with a certificate, where one
	// of the keys at hand is wanted.
	ErrKeyless = errors.New("signed with a certificate, not with a key")

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

	// ErrSignature reports a signature that does not fit what it is over, or
	// is of none of the keys.
	ErrSignature = errors.New("invalid signature")

	// ErrLogKey reports a log entry under a key that was not in force when
	// the signature was made.
	ErrLogKey = errors.New("log key not in force at the time of signing")

	// ErrClock reports a signature from the future, or a time before anything
	// trusted existed: this machine's clock is wrong, or the timestamp
	// authority's is.
	ErrClock = errors.New("signed in the future")
)

// A Signer is who the certificate or the key names.
type Signer = claim.Signer

// Input is what there is to verify.
type Input struct {
	// Bundle is a Sigstore bundle in JSON.
	Bundle []byte
	// Payload is, for a message signature, the message: cosign's simple signing
	// document. For an attestation in cosign's old form it is the envelope as
	// it was found, which the log may have by its hash.
	Payload []byte
	// Digests are those of which a message signature may be over one, if there
	// is no Payload.
	Digests []digest.Digest
}

// A Verified bundle was signed by Signer: with the private key of a certificate
// that was valid at the time, or with one of the keys.
type Verified struct {
	// Payload is what was signed: the envelope's statement, or Input.Payload;
	// nil where only Digest is known.
	Payload []byte
	// PayloadType is the envelope's; empty for a message signature.
	PayloadType string
	// Digest is that of the message: the one of Input.Digests, or the SHA-256
	// of Input.Payload. Empty for an envelope.
	Digest digest.Digest
	Signer Signer
	// SignedAt is the earliest trusted time of signing; zero for a keyed trust
	// under which there is none.
	SignedAt time.Time
	// SignedAfter is the beginning of the certificate's validity, before which
	// nothing was signed with it; zero for a bare key.
	SignedAfter time.Time
	// Logged: a trusted log that was asked for has the signature.
	Logged bool
}

// Verify checks everything about a bundle that needs neither the image nor a
// policy. now is the time on this machine's clock.
func (v *Verifier) Verify(in Input, now time.Time) (*Verified, error) {
	if now.Add(MaxSkew).Before(v.since) {
		return nil, fmt.Errorf("%w: this machine's clock says %s, and nothing of the trusted root is older than %s; set the clock",
			ErrClock, stamp(now), stamp(v.since))
	}
	p, err := parseBundle(in.Bundle)
	if err != nil {
		return nil, err
	}
	if v.keyed() {
		return v.verifyKeyed(p, in, now)
	}
	return v.verifyKeyless(p, in, now)
}

// verifyKeyed finds the key that has signed first: every other proof has to be
// about that key.
func (v *Verifier) verifyKeyed(p *parsed, in Input, now time.Time) (*Verified, error) {
	if p.certificate != nil {
		return nil, fmt.Errorf("%w: its certificate is issued by %q", ErrKeyless, short(p.certificate.Issuer.String()))
	}
	s, err := p.signed(in)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(v.keys, func(k Key) bool { return s.by(k, p.signature) })
	if i < 0 {
		return nil, v.otherKey(p.hint)
	}
	key := v.keys[i]
	proof, err := v.prove(p, signedBy{content: bareKey{key}, key: &key}, in.Payload, now)
	if err != nil {
		return nil, err
	}
	return proof.verified(s, Signer{Key: key.id}), nil
}

// maxNamed bounds how many of the trusted keys an error names.
const maxNamed = 3

// otherKey says who seems to have signed, and whose signature was wanted. The
// hint is whatever the bundle says.
func (v *Verifier) otherKey(hint string) error {
	var names []string
	for _, k := range v.keys[:min(len(v.keys), maxNamed)] {
		names = append(names, k.id.String())
	}
	if more := len(v.keys) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("or one of %d more", more))
	}
	wanted := strings.Join(names, ", ")
	signer := hinted(hint)
	switch {
	case slices.ContainsFunc(v.keys, func(k Key) bool { return k.id == signer }):
		return fmt.Errorf("%w: key %s did not make it, though the bundle says so", ErrSignature, signer)
	case signer != "":
		return fmt.Errorf("%w: signed by key %s, as the bundle says; wanted %s", ErrSignature, signer, wanted)
	case hint != "":
		return fmt.Errorf("%w: none of the trusted keys made it (the bundle hints at %q); wanted %s", ErrSignature, short(hint), wanted)
	}
	return fmt.Errorf("%w: none of the trusted keys made it; wanted %s", ErrSignature, wanted)
}

// verifyKeyless takes the client specification's order: log, time, certificate
// at that time, signature.
func (v *Verifier) verifyKeyless(p *parsed, in Input, now time.Time) (*Verified, error) {
	if p.certificate == nil {
		return nil, fmt.Errorf("%w: the trust wants a certificate", ErrKeyed)
	}
	s, err := p.signed(in)
	if err != nil {
		return nil, err
	}
	key, err := newKey(p.certificate.PublicKey, "")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	signer, err := signerOf(p.certificate)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	proof, err := v.prove(p, signedBy{content: bundle.NewCertificate(p.certificate)}, in.Payload, now)
	if err != nil {
		return nil, err
	}
	if signer.Authorities, err = v.checkCertificate(p.certificate, proof.times); err != nil {
		return nil, err
	}
	if !s.by(key, p.signature) {
		return nil, fmt.Errorf("%w: the certificate's key did not make it", ErrSignature)
	}
	out := proof.verified(s, signer)
	out.SignedAfter = p.certificate.NotBefore.UTC()
	return out, nil
}

// proof is what logs and timestamp authorities say about a signature.
type proof struct {
	entries []logged
	times   []witness
}

// prove verifies log entries and timestamps, and that there are as many as were
// asked for.
func (v *Verifier) prove(p *parsed, by signedBy, envelope []byte, now time.Time) (*proof, error) {
	entries, err := v.entries(p, by, envelope)
	if err != nil {
		return nil, err
	}
	var logs, times []witness
	for _, e := range entries {
		logs = append(logs, e.witness)
		if !e.time.IsZero() {
			times = append(times, e.witness)
		}
	}
	if n := operators(logs); n < v.logsAsked {
		return nil, fmt.Errorf("%w: not enough verified log entries: %d operators have one in a log that the root trusts, want %d", ErrLogEntry, n, v.logsAsked)
	}
	stamps, reasons, err := v.timestamped(p)
	if err != nil {
		return nil, err
	}
	times = append(times, stamps...)
	switch n := operators(stamps); {
	case n < v.timestampsAsked:
		return nil, fmt.Errorf("%w: %d operators of trusted timestamp authorities have signed one, want %d%s", ErrTimestamp, n, v.timestampsAsked, because(reasons))
	// Without a time nobody knows whether the certificate, or the key of the
	// log, was in force.
	case len(times) == 0 && (!v.keyed() || v.logsAsked > 0):
		return nil, fmt.Errorf("%w: neither a log nor a trusted timestamp authority has signed one%s", ErrTimestamp, because(reasons))
	}
	for _, t := range times {
		if t.time.After(now.Add(MaxSkew)) {
			return nil, fmt.Errorf("%w: at %s, and this machine's clock says %s; set the clock", ErrClock, stamp(t.time), stamp(now))
		}
	}
	return &proof{entries, times}, checkLogKeys(entries, times)
}

// because are the first of the reasons.
func because(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return ": " + strings.Join(reasons[:min(len(reasons), 3)], "; ")
}

func (p *proof) verified(s *signed, signer Signer) *Verified {
	return &Verified{
		Payload: s.payload, PayloadType: s.payloadType, Digest: s.digest, Signer: signer,
		SignedAt: earliest(p.times), Logged: len(p.entries) > 0,
	}
}
