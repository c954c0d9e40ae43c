// SPDX-License-Identifier: Apache-2.0

package binding

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/internal/document"
)

// Predicate types that make a statement a signature: its signer says "this is
// mine". Every other statement is an attestation, which approves of nothing.
const (
	predicateCosignSign = "https://sigstore.dev/cosign/sign/v1"
	predicateSLSA02     = "https://slsa.dev/provenance/v0.2"
)

// Statement types of in-toto that are read.
var statementTypes = []string{provenance.StatementType, "https://in-toto.io/Statement/v0.1"}

// ErrPayload reports a signed payload of a kind that says nothing of images.
var ErrPayload = errors.New("unknown signed payload")

// Signed is what the trust or the notation step has verified: somebody signed
// these bytes, or this digest.
type Signed struct {
	Format claim.Format
	// PayloadType is the DSSE payload type; empty for a signature over a
	// message.
	PayloadType string
	// Payload is what was signed: a statement, a simple signing document, or
	// nil where only Digest was.
	Payload []byte
	// Digest is what a signature over a bare digest, or a Notary Project
	// signature, names.
	Digest digest.Digest
	// Annotations are key-value pairs that were signed along.
	Annotations map[string]string

	Signer claim.Signer
	// SignedAt and SignedAfter are as in claim.Claim.
	SignedAt, SignedAfter time.Time

	Logged   bool
	Evidence digest.Digest
	Where    string
}

// Bind makes a claim of what was signed, if it is about target. Errors wrap
// ErrSubject, ErrPlatform, ErrLazyLayer, ErrPayload, ErrSimpleSigning or
// document.ErrStatement.
func Bind(s Signed, target Target) (*claim.Claim, error) {
	c := &claim.Claim{
		Kind: claim.Signature, Format: s.Format, Annotations: s.Annotations,
		Signer: s.Signer, SignedAt: s.SignedAt, SignedAfter: s.SignedAfter, Logged: s.Logged, Evidence: s.Evidence, Where: s.Where,
	}
	switch {
	case s.PayloadType == provenance.PayloadType:
		return c, bindStatement(c, s.Payload, target)
	case s.PayloadType != "":
		return nil, fmt.Errorf("%w: its type is %q", ErrPayload, s.PayloadType)
	case s.Payload != nil:
		return c, bindSimpleSigning(c, s.Payload, target)
	case s.Digest != "":
		return c, bindDigest(c, s.Digest, target)
	}
	return nil, fmt.Errorf("%w: there is none", ErrPayload)
}

// bindDigest accepts a signature over the digest itself.
func bindDigest(c *claim.Claim, dgst digest.Digest, target Target) error {
	scope, ok := target.scope(dgst)
	if !ok {
		return fmt.Errorf("%w: it names %s, the manifest is %s", ErrSubject, dgst, target.subject())
	}
	c.Scope, c.Subject = scope, dgst
	return nil
}

func bindStatement(c *claim.Claim, payload []byte, target Target) error {
	st, err := document.ParseStatement(payload)
	if err != nil {
		return err
	}
	if !slices.Contains(statementTypes, st.Type) {
		return fmt.Errorf("%w: its _type is %q, want %s", document.ErrStatement, st.Type, provenance.StatementType)
	}
	c.Statement, c.Predicate, c.PredicateType = payload, st.Predicate, st.PredicateType
	c.Kind = kindOf(c.Format, st.PredicateType)
	return bindSubjects(c, st.Subjects, target)
}

// kindOf tells a signature from an attestation. Provenance is a signature only
// in a bundle: in cosign's old form signatures have a place of their own.
func kindOf(format claim.Format, predicateType string) claim.Kind {
	switch predicateType {
	case predicateCosignSign:
		return claim.Signature
	case provenance.PredicateSLSA1, predicateSLSA02:
		if format == claim.Bundle {
			return claim.Signature
		}
	}
	return claim.Attestation
}

// bindSubjects looks for one subject that binds. The reason given is that of
// the subject that came closest.
func bindSubjects(c *claim.Claim, subjects []document.Subject, target Target) error {
	reason := fmt.Errorf("%w: no subject has manifest %s", ErrSubject, target.subject())
	if target.Attestations == "" {
		reason = fmt.Errorf("%w or image-id %s", reason, target.Document.Config.Digest)
	}
	for _, s := range subjects {
		scope, dgst, err := target.match(s)
		if err == nil {
			c.Scope, c.Subject = scope, dgst
			if ours(s) {
				c.Platform = s.Annotations[provenance.AnnotationPlatform]
			} else if s.Name != "" {
				c.Names = append(c.Names, s.Name)
			}
			return nil
		}
		if !errors.Is(err, ErrSubject) {
			reason = err
		}
	}
	return reason
}

// ours reports whether a subject is named in plomb's way.
func ours(s document.Subject) bool {
	return s.Name == provenance.SubjectManifest || s.Name == provenance.SubjectImageID
}

// match says by which digest a subject binds. A digest counts only under the
// name of its kind, and a config's only where the name says that it is one.
func (t Target) match(s document.Subject) (claim.Scope, digest.Digest, error) {
	if t.Attestations == "" && ours(s) {
		own := provenance.Subject{Name: s.Name, Digest: s.Digest, Annotations: s.Annotations}
		return t.matchOurs(own)
	}
	dgst := digest.NewDigestFromEncoded(digest.SHA256, s.Digest["sha256"])
	if document.CheckDigest(dgst) != nil {
		return "", "", ErrSubject
	}
	scope, ok := t.scope(dgst)
	if !ok {
		return "", "", ErrSubject
	}
	return scope, dgst, nil
}

func (t Target) matchOurs(s provenance.Subject) (claim.Scope, digest.Digest, error) {
	switch {
	case s.Name == provenance.SubjectManifest && names(s, t.Manifest):
		return claim.Manifest, t.Manifest, checkPlatform(s, t.Platform)
	case s.Name == provenance.SubjectImageID && names(s, t.Document.Config.Digest):
		if err := checkPlatform(s, t.Platform); err != nil {
			return "", "", err
		}
		return claim.ImageID, t.Document.Config.Digest, checkEager(t)
	}
	return "", "", ErrSubject
}

// scope says what of the target has the digest.
func (t Target) scope(dgst digest.Digest) (claim.Scope, bool) {
	switch {
	case dgst == "":
		return "", false
	case t.Attestations != "":
		return claim.Chain, dgst == t.Attestations
	case dgst == t.Manifest:
		return claim.Manifest, true
	case slices.Contains(t.Indexes, dgst):
		return claim.Index, true
	}
	return "", false
}

// subject is what has to be named, for messages.
func (t Target) subject() digest.Digest {
	if t.Attestations != "" {
		return t.Attestations
	}
	return t.Manifest
}

// Digests are the digests that a signature over a bare digest may be over.
func (t Target) Digests() []digest.Digest {
	if t.Blob != nil {
		return t.Blob
	}
	if t.Attestations != "" {
		return []digest.Digest{t.Attestations}
	}
	return append([]digest.Digest{t.Manifest}, t.Indexes...)
}

// Lazy reports whether a snapshotter could mount a layer of the target without
// comparing it with the config.
func Lazy(t Target) bool { return checkEager(t) != nil }
