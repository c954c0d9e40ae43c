// SPDX-License-Identifier: Apache-2.0

// Package evidence finds what could prove where an image comes from, and gets
// the bytes of it: one file per place where signatures can be (embedded.go,
// referrers.go, tags.go; sources.go has their order) and one per place where
// images can be (registry.go with listing.go, layout.go with layoutlist.go,
// offline.go). What other tools wrote in old forms leaves as a Sigstore bundle
// (legacy.go); Notary Project signatures leave as they are.
//
// Everything it returns is hostile until the trust step has verified it. It
// judges nothing: it only tells "there is nothing" from "I could not look".
package evidence

import (
	"context"
	"errors"
	"iter"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/internal/document"
)

// MaxCandidates bounds how many bundles are tried for one manifest.
const MaxCandidates = 64

var (
	// ErrUnreachable reports a registry that did not give an answer: no
	// connection, a server error, a broken transfer.
	ErrUnreachable = errors.New("registry unreachable")

	// ErrAccess reports a registry that wants other credentials.
	ErrAccess = errors.New("registry denies access")

	// ErrNotFound reports content that should be there and is not. A missing
	// signature is not an error; a document that an index lists and nobody
	// has is.
	ErrNotFound = errors.New("content not found")

	// ErrOffline reports that the network would be needed and is ruled out.
	ErrOffline = errors.New("offline")

	// ErrReference reports an image reference that cannot be understood.
	ErrReference = errors.New("invalid image reference")
)

// A Subject is the manifest that evidence is wanted for.
type Subject struct {
	// Entry is its descriptor in the index.
	Entry ocispec.Descriptor
	// Siblings are all entries of that index.
	Siblings []ocispec.Descriptor
	// Indexes are the indexes above the manifest, outermost first.
	Indexes []digest.Digest
}

// A Form is how a candidate is written.
type Form string

const (
	// Bundle is a Sigstore bundle as JSON.
	Bundle Form = "bundle"
	// Legacy is a cosign layer and its annotations, converted to a bundle.
	Legacy Form = "legacy"
	// JWS and COSE are signature envelopes of the Notary Project.
	JWS  Form = "application/jose+json"
	COSE Form = "application/cose"
)

// A Candidate is a signature that might be about the subject, unverified.
type Candidate struct {
	// Where says where it was found, for messages.
	Where string
	// Form says what Bundle is; empty means Bundle.
	Form Form
	// Digest is the SHA-256 of Bundle.
	Digest digest.Digest
	// Bundle is a Sigstore bundle as JSON, or a Notary Project envelope.
	Bundle []byte
	// Payload is the layer that a Legacy candidate was made of: the simple
	// signing document, which the bundle's message signature is over, or the
	// DSSE envelope as it was found, which a log may have by its hash.
	Payload []byte
	// Attestations is set if the candidate refers to an attestation manifest
	// of the subject, and not to the subject: Docker's chain.
	Attestations digest.Digest
}

// A Source is one place where bundles can be.
type Source interface {
	// Candidates yields, one by one so that the caller can stop early, the
	// bundles found and the errors met on the way. With an error only Where
	// is set. It yields nothing if the place is empty.
	Candidates(ctx context.Context, s Subject) iter.Seq2[Candidate, error]
}

// A Kind is where a registry keeps a document, for Locations of other packages.
type Kind = document.Kind

// A Location is where an image can be read from: what Verify needs.
type Location interface {
	document.Store
	// Referrers lists what says it refers to dgst: through the referrers API,
	// and where the registry has none through the fallback tag. Descriptors are
	// hints: media type, artifactType and annotations are not to be believed.
	Referrers(ctx context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error)
	// Tagged finds the digest a tag of the repository names, "" if there is no
	// such tag.
	Tagged(ctx context.Context, tag string) (digest.Digest, error)
	// Requests is how many requests have been answered so far.
	Requests() int
}

func candidate(where string, bundle []byte) Candidate {
	if bundle == nil {
		return Candidate{Where: where}
	}
	return Candidate{Where: where, Digest: document.Digest(bundle), Bundle: bundle}
}
