// SPDX-License-Identifier: Apache-2.0

// Package claim has the words in which verified evidence is put to a policy:
// who said what about which image. It is plain data, made by the steps that
// verify (trust, notation, binding) and judged by the one that does not
// (policy). A claim exists only once its signature has been verified and it is
// known to be about the image in question.
package claim

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// Kind is what a claim amounts to. The zero value amounts to nothing.
type Kind string

const (
	// Signature says "this image is mine": a cosign signature, a Notary
	// Project signature, or SLSA provenance, whose signer says "I built it".
	Signature Kind = "signature"
	// Attestation says something about the image, such as a scan: it is no
	// approval. Provenance is one as well, see Claim.IsSignature.
	Attestation Kind = "attestation"
)

// Format is how the claim was written down.
type Format string

const (
	// Bundle is a Sigstore bundle: signature and proof in one document.
	Bundle Format = "bundle"
	// Legacy is a cosign `.sig` or `.att` layer with its annotations.
	Legacy Format = "legacy"
	// Notation is a Notary Project signature envelope.
	Notation Format = "notation"
)

// Scope is by which digest a claim is bound to the image.
type Scope string

const (
	// Index: the claim names the index the manifest stands in.
	Index Scope = "index"
	// Manifest: it names the manifest.
	Manifest Scope = "manifest"
	// ImageID: it names the config, and so the content of every layer.
	ImageID Scope = "image-id"
	// Chain: it names an attestation manifest, which names the manifest.
	Chain Scope = "chain"
	// Artifact: it names an artifact that is no image.
	Artifact Scope = "artifact"
	// Byproduct: provenance with one of the other scopes names it by digest.
	Byproduct Scope = "byproduct"
)

// A Claim is one verified statement about one manifest.
type Claim struct {
	Kind   Kind
	Format Format
	Scope  Scope
	// Subject is the digest that Scope speaks of.
	Subject digest.Digest
	// Platform is the platform that was signed along with Subject, as
	// os/architecture[/variant]; empty if none was.
	Platform string
	// PredicateType is that of the in-toto statement, empty if there is none.
	PredicateType string
	// Statement is the in-toto statement as it was signed, nil if there is
	// none; Predicate is the part of it that is the predicate.
	Statement []byte
	Predicate []byte
	// Names are the image names that the signer put down, as they stand there
	// (cosign's critical.identity.docker-reference, an in-toto subject name,
	// plomb's repository). None: the signer named none.
	Names []string
	// Annotations are the signed key-value pairs of simple signing and of
	// Notary Project signatures.
	Annotations map[string]string
	// Signer is who made the claim.
	Signer Signer
	// SignedAt is the earliest trusted time at which the signature was seen;
	// zero if no log and no timestamp authority vouches for one. Anybody can
	// have an old signature seen anew, so it proves no youth: see Age.
	SignedAt time.Time
	// SignedAfter is the time before which the signature was not made: the
	// beginning of the certificate's validity, or what the signer of a Notary
	// Project signature signed along. Zero: nobody knows, as with a bare key.
	SignedAfter time.Time
	// Logged reports that a trusted transparency log has the claim.
	Logged bool
	// Evidence is the SHA-256 of the bundle or envelope, and Where the place
	// it was found in.
	Evidence digest.Digest
	Where    string
}

// IsSignature reports whether the claim counts where a policy asks for a
// signature alone.
func (c Claim) IsSignature() bool { return c.Kind == Signature }

// shortLived is how long a certificate may be valid before the time of signing
// for the two to be taken for one: Fulcio's live ten minutes.
const shortLived = time.Hour

// Age is the time that the age of the signature counts from; zero if it cannot
// be known. A timestamp on an old signature by a key, or by a certificate that
// lives for years, can be renewed by whoever reaches a timestamp authority; one
// by a short-lived certificate cannot.
func (c Claim) Age() time.Time {
	switch {
	case c.SignedAt.IsZero() || c.SignedAfter.IsZero():
		return time.Time{}
	case c.Format != Notation && c.SignedAt.Sub(c.SignedAfter) <= shortLived:
		return c.SignedAt
	}
	return c.SignedAfter
}

// A Signer is who the certificate or the key names.
type Signer struct {
	// Issuer and Subject are those of a Fulcio certificate: the OpenID Connect
	// issuer that vouched for the signer, and the subject alternative name.
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Extensions are the claims of the identity token that Fulcio wrote into
	// the certificate, by the names of
	// https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md in lower
	// camel case, such as sourceRepositoryURI and runnerEnvironment.
	Extensions map[string]string `json:"extensions,omitempty"`
	// Serial is the certificate's serial number, in lower-case hexadecimal.
	Serial string `json:"serial,omitempty"`
	// Authorities are the URIs of the certificate authorities that the
	// certificate leads to, as the trusted root names them.
	Authorities []string `json:"authorities,omitempty"`
	// Key is the SHA-256 of the public key's SubjectPublicKeyInfo, for a
	// signature by a bare key.
	Key digest.Digest `json:"key,omitempty"`
	// X509 is the distinguished name of a Notary Project certificate
	// (RFC 4514), and TrustStore the store (ca:NAME) it leads to.
	X509       string `json:"x509,omitempty"`
	TrustStore string `json:"trustStore,omitempty"`
}

// String names the signer on one line.
func (s Signer) String() string {
	switch {
	case s.Key != "":
		return "key " + s.Key.String()
	case s.X509 != "":
		return s.X509
	}
	return s.Subject + " (issuer " + s.Issuer + ")"
}
