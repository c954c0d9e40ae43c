// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto"
	"crypto/x509"
	"errors"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// material is the part of a root that one step of sigstore-go gets to see.
type material struct {
	root.BaseTrustedMaterial
	logs, ctLogs map[string]*root.TransparencyLog
	key          *Key
}

func (m *material) RekorLogs() map[string]*root.TransparencyLog { return m.logs }
func (m *material) CTLogs() map[string]*root.TransparencyLog    { return m.ctLogs }

// PublicKeyVerifier is the key that has been found to have signed, whatever the
// bundle's hint says.
func (m *material) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	if m.key == nil {
		return nil, errors.New("not a key's signature")
	}
	return m.key.verifier, nil
}

// entity is a bundle with one log entry, as sigstore-go's steps see it. What
// has been parsed is not parsed again.
type entity struct {
	verify.BaseSignedEntity
	entry     *tlog.Entry
	signature verify.SignatureContent
	signer    verify.VerificationContent
}

func (e *entity) TlogEntries() ([]*tlog.Entry, error)                { return []*tlog.Entry{e.entry}, nil }
func (e *entity) SignatureContent() (verify.SignatureContent, error) { return e.signature, nil }
func (e *entity) VerificationContent() (verify.VerificationContent, error) {
	return e.signer, nil
}

// signedBy is who has signed, or claims to: a certificate or a key.
type signedBy struct {
	content verify.VerificationContent
	key     *Key
}

// bareKey is a key as sigstore-go's steps see it.
type bareKey struct{ Key }

// CompareKey reports whether a log entry is under the key.
func (k bareKey) CompareKey(other any, _ root.TrustedMaterial) bool {
	own, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(other)
}

func (bareKey) ValidAtTime(time.Time, root.TrustedMaterial) bool { return true }
func (bareKey) Certificate() *x509.Certificate                   { return nil }
func (bareKey) Intermediates() []*x509.Certificate               { return nil }
func (k bareKey) PublicKey() verify.PublicKeyProvider            { return k }
func (k bareKey) Hint() string                                   { return k.id.String() }
