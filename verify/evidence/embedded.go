// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/internal/document"
)

// Names that BuildKit gives its attestations
// (https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md).
const (
	annotationReferenceType   = "vnd.docker.reference.type"
	annotationReferenceDigest = "vnd.docker.reference.digest"
	attestationManifest       = "attestation-manifest"
	mediaTypeInToto           = "application/vnd.in-toto+json"
	annotationPredicateType   = "in-toto.io/predicate-type"

	// wrapperOverhead is room for the in-toto statement around an embedded
	// bundle: its header and its subjects.
	wrapperOverhead = 1 << 20
)

// ErrEmbedding reports that something stands where an embedded bundle belongs,
// and is not one.
var ErrEmbedding = errors.New("broken embedded bundle")

// Embedded finds the bundle that travels inside the image index: first in the
// annotation on the platform's descriptor, then in its attestation manifest.
// Both places are unsigned, so both are only hints where a bundle might be.
type Embedded struct {
	Store document.Store
}

var _ Source = Embedded{}

// Candidates implements Source.
func (e Embedded) Candidates(ctx context.Context, s Subject) iter.Seq2[Candidate, error] {
	return func(yield func(Candidate, error) bool) {
		if text, ok := s.Entry.Annotations[provenance.BundleAnnotation]; ok {
			if !yield(fromAnnotation(text)) {
				return
			}
		}
		for i, sibling := range s.attestations() {
			if i == maxAttestations {
				yield(tooMany("index", len(s.attestations()), i))
				return
			}
			if !e.fromAttestations(ctx, sibling.Digest, yield) {
				return
			}
		}
	}
}

// refersTo reports whether entry is an attestation manifest of the image
// manifest dgst.
func refersTo(entry ocispec.Descriptor, dgst digest.Digest) bool {
	return entry.Annotations[annotationReferenceType] == attestationManifest &&
		entry.Annotations[annotationReferenceDigest] == dgst.String()
}

func fromAnnotation(text string) (Candidate, error) {
	const where = "descriptor annotation " + provenance.BundleAnnotation
	if base64.StdEncoding.DecodedLen(len(text)) > provenance.MaxBundleSize {
		return Candidate{Where: where}, fmt.Errorf("%w: %s: %w", ErrEmbedding, where, limit.ErrTooLarge)
	}
	bundle, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return Candidate{Where: where}, fmt.Errorf("%w: %s: %w", ErrEmbedding, where, err)
	}
	return candidate(where, bundle), nil
}

// fromAttestations yields the bundles of one attestation manifest. It returns
// false when the caller wants no more.
func (e Embedded) fromAttestations(ctx context.Context, dgst digest.Digest, yield func(Candidate, error) bool) bool {
	where := "attestation manifest " + dgst.String()
	layers, err := e.bundleLayers(ctx, dgst)
	if err != nil {
		return yield(Candidate{Where: where}, err)
	}
	for _, layer := range layers {
		data, err := document.Fetch(ctx, e.Store, document.Blob, layer, provenance.MaxBundleSize+wrapperOverhead)
		if err != nil {
			if !yield(Candidate{Where: where}, err) {
				return false
			}
			continue
		}
		bundle, err := Unwrap(data)
		if err != nil {
			err = fmt.Errorf("%s: layer %s: %w", where, layer, err)
		}
		if !yield(candidate(where, bundle), err) {
			return false
		}
	}
	return true
}

// bundleLayers lists the layers of the attestation manifest dgst that say they
// hold an embedded bundle.
func (e Embedded) bundleLayers(ctx context.Context, dgst digest.Digest) ([]digest.Digest, error) {
	data, err := document.Fetch(ctx, e.Store, document.Manifest, dgst, document.MaxManifest)
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
	var layers []digest.Digest
	for _, l := range doc.Manifest.Layers {
		if l.MediaType == mediaTypeInToto && l.Annotations[annotationPredicateType] == provenance.PredicateEmbeddedBundle {
			layers = append(layers, l.Digest)
		}
	}
	return layers, nil
}

// wrapper is the unsigned in-toto statement around an embedded bundle. Its
// subjects say nothing that could be believed and are not looked at.
type wrapper struct {
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Unwrap takes the bundle out of the in-toto statement that carries it.
func Unwrap(data []byte) ([]byte, error) {
	var w wrapper
	if err := strictjson.UnmarshalOpen(data, &w); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEmbedding, err)
	}
	if w.PredicateType != provenance.PredicateEmbeddedBundle {
		return nil, fmt.Errorf("%w: its predicateType is %q, want %q", ErrEmbedding, w.PredicateType, provenance.PredicateEmbeddedBundle)
	}
	if len(w.Predicate) == 0 || w.Predicate[0] != '{' {
		return nil, fmt.Errorf("%w: its predicate is not an object", ErrEmbedding)
	}
	if len(w.Predicate) > provenance.MaxBundleSize {
		return nil, fmt.Errorf("%w: %w: more than %d bytes", ErrEmbedding, limit.ErrTooLarge, provenance.MaxBundleSize)
	}
	return w.Predicate, nil
}
