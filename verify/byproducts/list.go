// SPDX-License-Identifier: Apache-2.0

package byproducts

import (
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/internal/document"
)

// An Entry is an attestation that an attestation manifest lists, unread.
type Entry struct {
	// PredicateType and MediaType are what the descriptor says.
	PredicateType, MediaType string
	Layer                    digest.Digest
	Size                     int64
}

// acceptable refuses what need not be fetched.
func (e Entry) acceptable() error {
	if e.MediaType != mediaTypeInToto {
		return fmt.Errorf("%w: its media type is %q, want %q", ErrStatement, e.MediaType, mediaTypeInToto)
	}
	if e.Size > MaxStatement {
		return fmt.Errorf("%w: %d bytes, at most %d are read", limit.ErrTooLarge, e.Size, MaxStatement)
	}
	return nil
}

// unnamed says why no byproduct could be the attestation.
func (e Entry) unnamed() string {
	if strings.HasPrefix(e.PredicateType, "https://slsa.dev/provenance/") {
		return "BuildKit's own provenance is never signed: that of plomb is in its bundle"
	}
	return "the provenance names no attestation of this type for this platform"
}

// List reads the attestation manifests of an image manifest, and no attestation.
func List(ctx context.Context, store document.Store, s Subject) ([]Entry, error) {
	list := []Entry{}
	manifests := 0
	for _, sibling := range s.Siblings {
		if sibling.Annotations[annotationReferenceType] != attestationManifest ||
			sibling.Annotations[annotationReferenceDigest] != s.Manifest.String() {
			continue
		}
		if manifests++; manifests > MaxManifests {
			return nil, fmt.Errorf("%w: %s has more than %d attestation manifests", ErrTooMany, s.Manifest, MaxManifests)
		}
		entries, err := ListIn(ctx, store, sibling.Digest)
		if err != nil {
			return nil, err
		}
		if list = append(list, entries...); len(list) > MaxAttestations {
			return nil, fmt.Errorf("%w: %s has more than %d", ErrTooMany, s.Manifest, MaxAttestations)
		}
	}
	return list, nil
}

// ListIn reads one attestation manifest, and no attestation. Embedded bundles
// are left out: they are signatures.
func ListIn(ctx context.Context, store document.Store, dgst digest.Digest) ([]Entry, error) {
	data, err := document.Fetch(ctx, store, document.Manifest, dgst, document.MaxManifest)
	if err != nil {
		return nil, err
	}
	doc, err := document.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("attestation manifest %s: %w", dgst, err)
	}
	if doc.Manifest == nil {
		return nil, fmt.Errorf("%w: attestation manifest %s is an index", document.ErrMalformed, dgst)
	}
	list := []Entry{}
	for _, l := range doc.Manifest.Layers {
		e := Entry{PredicateType: l.Annotations[annotationPredicateType], MediaType: l.MediaType, Layer: l.Digest, Size: l.Size}
		if e.PredicateType == provenance.PredicateEmbeddedBundle {
			continue
		}
		if list = append(list, e); len(list) > MaxAttestations {
			return nil, fmt.Errorf("%w: attestation manifest %s has more than %d", ErrTooMany, dgst, MaxAttestations)
		}
	}
	return list, nil
}
