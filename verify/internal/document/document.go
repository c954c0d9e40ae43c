// SPDX-License-Identifier: Apache-2.0

// Package document reads the documents an image is made of: bounded, checked
// against their digest before they are parsed, and parsed so that nobody can
// read them in two ways.
//
// It follows the OCI image specification v1.1
// (https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md and
// image-index.md) and Docker's schema 2 of the same documents. It knows
// nothing of signatures.
package document

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

const (
	// MaxManifest bounds an index, a manifest or a config, in bytes (4 MiB:
	// what registries accept for a manifest, see the distribution
	// specification, "Pushing Manifests").
	MaxManifest = 4 << 20

	// MaxEntries bounds how many manifests one index may list.
	MaxEntries = 1024

	mediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeDockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
)

var (
	// ErrDigest reports bytes that do not hash to the digest they were asked
	// for by, or a digest in an algorithm other than SHA-256.
	ErrDigest = errors.New("digest mismatch")

	// ErrMalformed reports an image document that is broken, or that could
	// be read in two ways.
	ErrMalformed = errors.New("malformed image document")
)

// A Kind is where a registry keeps a document.
type Kind string

const (
	// Manifest is an index or a manifest.
	Manifest Kind = "manifest"
	// Blob is everything else.
	Blob Kind = "blob"
)

// A Store gives the bytes stored under a digest. What it gives is checked by
// Fetch; the store itself need not be trusted.
type Store interface {
	Open(ctx context.Context, kind Kind, dgst digest.Digest) (io.ReadCloser, error)
}

// Fetch reads the document dgst of at most max bytes from store. It returns
// the bytes only if they hash to dgst.
func Fetch(ctx context.Context, store Store, kind Kind, dgst digest.Digest, max int64) ([]byte, error) {
	if err := CheckDigest(dgst); err != nil {
		return nil, err
	}
	r, err := store.Open(ctx, kind, dgst)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := limit.ReadAll(r, max)
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", kind, dgst, err)
	}
	if got := Digest(data); got != dgst {
		return nil, fmt.Errorf("%w: asked for %s %s, got bytes of %s", ErrDigest, kind, dgst, got)
	}
	return data, nil
}

// Digest is the SHA-256 digest of data.
func Digest(data []byte) digest.Digest {
	sum := sha256.Sum256(data)
	return digest.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// CheckDigest refuses what is not a SHA-256 digest in its one spelling.
func CheckDigest(dgst digest.Digest) error {
	if err := dgst.Validate(); err != nil {
		return fmt.Errorf("%w: %q is not a digest: %w", ErrDigest, dgst, err)
	}
	if dgst.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%w: %s uses %s, only sha256 is accepted", ErrDigest, dgst, dgst.Algorithm())
	}
	return nil
}

// Parsed is an index or a manifest: exactly one of the two is set.
type Parsed struct {
	Index    *ocispec.Index
	Manifest *ocispec.Manifest
}

// shape tells which members a document has, whatever they hold.
type shape struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Manifests     json.RawMessage `json:"manifests"`
	Config        json.RawMessage `json:"config"`
	Layers        json.RawMessage `json:"layers"`
	FSLayers      json.RawMessage `json:"fsLayers"`
}

// Parse decides by the content alone whether data is an index or a manifest,
// and refuses a document that is both, neither, or that calls itself something
// else: the media type that came with it is the registry's word and counts for
// nothing.
func Parse(data []byte) (*Parsed, error) {
	var s shape
	if err := strictjson.UnmarshalOpen(data, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if s.SchemaVersion != 2 {
		return nil, fmt.Errorf("%w: schemaVersion is %d, want 2", ErrMalformed, s.SchemaVersion)
	}
	switch {
	case s.Manifests != nil && (s.Config != nil || s.Layers != nil || s.FSLayers != nil):
		return nil, fmt.Errorf("%w: it is both an index and a manifest", ErrMalformed)
	case s.Manifests != nil:
		return parseIndex(data, s.MediaType)
	case s.Config != nil && s.Layers != nil && s.FSLayers == nil:
		return parseManifest(data, s.MediaType)
	}
	return nil, fmt.Errorf("%w: it is neither an image index nor an image manifest", ErrMalformed)
}

func parseIndex(data []byte, mediaType string) (*Parsed, error) {
	if mediaType != "" && !IsIndexType(mediaType) {
		return nil, fmt.Errorf("%w: an index that calls itself %q", ErrMalformed, mediaType)
	}
	var idx ocispec.Index
	if err := strictjson.UnmarshalOpen(data, &idx); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if len(idx.Manifests) > MaxEntries {
		return nil, fmt.Errorf("%w: the index lists %d manifests, at most %d are accepted", ErrMalformed, len(idx.Manifests), MaxEntries)
	}
	for i, d := range idx.Manifests {
		if err := CheckDigest(d.Digest); err != nil {
			return nil, fmt.Errorf("%w: entry %d of the index: %w", ErrMalformed, i, err)
		}
	}
	return &Parsed{Index: &idx}, nil
}

func parseManifest(data []byte, mediaType string) (*Parsed, error) {
	if mediaType != "" && !IsManifestType(mediaType) {
		return nil, fmt.Errorf("%w: a manifest that calls itself %q", ErrMalformed, mediaType)
	}
	var m ocispec.Manifest
	if err := strictjson.UnmarshalOpen(data, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := CheckDigest(m.Config.Digest); err != nil {
		return nil, fmt.Errorf("%w: config: %w", ErrMalformed, err)
	}
	for i, d := range m.Layers {
		if err := CheckDigest(d.Digest); err != nil {
			return nil, fmt.Errorf("%w: layer %d: %w", ErrMalformed, i, err)
		}
	}
	return &Parsed{Manifest: &m}, nil
}

// IsIndexType reports whether a descriptor of that media type names an index.
func IsIndexType(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == mediaTypeDockerIndex
}

// IsManifestType reports whether a descriptor of that media type names an
// image manifest.
func IsManifestType(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == mediaTypeDockerManifest
}
