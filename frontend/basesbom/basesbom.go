// SPDX-License-Identifier: Apache-2.0

// Package basesbom finds the SBOM that a base image brings in its own index,
// so that the SBOM of what is built on it can refer to it. It follows BuildKit's
// attestation storage
// (https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md).
//
// It verifies no signature: a reference says which document is meant, by
// checksum, and not that it is true.
//
// BuildKit hands no manifests to frontends, so a helper in a build container
// asks the registry (step.go): BuildKit keeps its answer, and a base image that
// stays the same is asked about once per builder.
package basesbom

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	annotationReferenceType   = "vnd.docker.reference.type"
	annotationReferenceDigest = "vnd.docker.reference.digest"
	annotationPredicateType   = "in-toto.io/predicate-type"

	maxManifest  = 4 << 20  // bytes
	maxStatement = 64 << 20 // bytes
)

// ErrMalformed reports a document in the base image's index that is not what
// its place says.
var ErrMalformed = errors.New("malformed base image")

// ErrDenied is what a Reader returns for a registry that wants credentials.
var ErrDenied = errors.New("the registry wants credentials, which a build container does not have")

// A Kind says under which address a registry has something.
type Kind string

// The kinds of content.
const (
	Manifest Kind = "manifests" // manifests and indexes
	Blob     Kind = "blobs"
)

// A Reader returns the content dgst of the base image's repository, which may
// have limit bytes at most.
type Reader func(ctx context.Context, kind Kind, dgst digest.Digest, limit int64) ([]byte, error)

// Find returns the SPDX document that the index root has for platform, nil if
// there is none.
func Find(ctx context.Context, read Reader, root digest.Digest, platform ocispecs.Platform) (*sbom.Document, error) {
	index, err := fetch[ocispecs.Index](ctx, read, root)
	if err != nil || len(index.Manifests) == 0 {
		return nil, err // an image that is no index brings nothing
	}
	attestations := attestationsOf(index, platform)
	if attestations == "" {
		return nil, nil
	}
	manifest, err := fetch[ocispecs.Manifest](ctx, read, attestations)
	if err != nil {
		return nil, err
	}
	for _, layer := range manifest.Layers {
		if layer.Annotations[annotationPredicateType] == provenance.PredicateSPDX {
			return document(ctx, read, layer.Digest)
		}
	}
	return nil, nil
}

// attestationsOf is the attestation manifest of the image for platform, "" if
// the index has none.
func attestationsOf(index *ocispecs.Index, platform ocispecs.Platform) digest.Digest {
	matches := platforms.OnlyStrict(platform)
	for _, image := range index.Manifests {
		if image.Platform == nil || !matches.Match(*image.Platform) {
			continue
		}
		for _, m := range index.Manifests {
			if m.Annotations[annotationReferenceType] == "attestation-manifest" &&
				m.Annotations[annotationReferenceDigest] == image.Digest.String() {
				return m.Digest
			}
		}
	}
	return ""
}

// document describes the SPDX document inside the in-toto statement dgst.
func document(ctx context.Context, read Reader, dgst digest.Digest) (*sbom.Document, error) {
	data, err := get(ctx, read, Blob, dgst, maxStatement)
	if err != nil {
		return nil, err
	}
	var statement struct {
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}
	if err := strictjson.UnmarshalOpen(data, &statement); err != nil {
		return nil, fmt.Errorf("%w: statement %s: %w", ErrMalformed, dgst, err)
	}
	var spdx struct {
		Namespace string `json:"documentNamespace"`
	}
	if err := json.Unmarshal(statement.Predicate, &spdx); err != nil {
		return nil, fmt.Errorf("%w: statement %s: %w", ErrMalformed, dgst, err)
	}
	if statement.PredicateType != provenance.PredicateSPDX || !isNamespace(spdx.Namespace) {
		return nil, fmt.Errorf("%w: statement %s has no SPDX document with a namespace", ErrMalformed, dgst)
	}
	sum := sha1.Sum(statement.Predicate) // the checksum that SPDX wants
	return &sbom.Document{Namespace: spdx.Namespace, SHA1: hex.EncodeToString(sum[:])}, nil
}

// isNamespace tells what a document may be called, and another may repeat:
// "a unique absolute Uniform Resource Identifier (URI) as specified in RFC-3986",
// without "the # character" (SPDX 2.3, 6.5).
func isNamespace(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && len(s) <= sbom.MaxText &&
		!strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' })
}

func fetch[T any](ctx context.Context, read Reader, dgst digest.Digest) (*T, error) {
	data, err := get(ctx, read, Manifest, dgst, maxManifest)
	if err != nil {
		return nil, err
	}
	var out T
	if err := strictjson.UnmarshalOpen(data, &out); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMalformed, dgst, err)
	}
	return &out, nil
}

// get checks the digest before anybody parses.
func get(ctx context.Context, read Reader, kind Kind, dgst digest.Digest, limit int64) ([]byte, error) {
	if err := dgst.Validate(); err != nil {
		return nil, fmt.Errorf("%w: digest %q: %w", ErrMalformed, dgst, err)
	}
	data, err := read(ctx, kind, dgst, limit)
	if err != nil {
		return nil, err
	}
	if got := dgst.Algorithm().FromBytes(data); got != dgst {
		return nil, fmt.Errorf("%w: asked for %s and got %s", ErrMalformed, dgst, got)
	}
	return data, nil
}
