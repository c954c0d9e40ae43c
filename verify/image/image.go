// SPDX-License-Identifier: Apache-2.0

// Package image answers the first question of a verification: which manifests
// behind this digest could a node choose to run? Every one of them has to pass.
//
// It follows what containerd does when it pulls: an entry of an index counts
// when its platform matches or when it names none, and an index inside an
// index is followed. Where containerd takes the best match, this package keeps
// all of them, because another client may order them differently.
//
// It does not look at signatures, and it never resolves a name.
package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/internal/document"
)

const (
	// MaxDepth is how deeply indexes may nest: an index, and an index in it.
	MaxDepth = 2

	// MaxForNode bounds how many manifests of one image may match a node's
	// platform. A signed image has one; the bound keeps a hostile index from
	// making a node fetch a thousand documents.
	MaxForNode = 16

	// MaxForPerson is the bound for somebody who wants to see all platforms.
	MaxForPerson = 128
)

// Media type and reference type of BuildKit's attestation manifests
// (https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md).
const (
	AnnotationReferenceType   = "vnd.docker.reference.type"
	AnnotationReferenceDigest = "vnd.docker.reference.digest"
	AttestationManifest       = "attestation-manifest"
)

var (
	// ErrNesting reports an index nested deeper than MaxDepth.
	ErrNesting = errors.New("indexes nested too deep")

	// ErrTooMany reports more manifests for one platform than anybody needs.
	ErrTooMany = errors.New("too many manifests")

	// ErrNoPlatform reports an index without a manifest for the platform.
	ErrNoPlatform = errors.New("no manifest for this platform")
)

// An Image is a digest and the manifests behind it that could be run.
type Image struct {
	// Digest is what the runtime was asked to run.
	Digest digest.Digest
	// Indexes are the digests of the indexes that were read, outermost first;
	// none if Digest names a manifest.
	Indexes []digest.Digest
	// Manifests are those that could be run, at least one.
	Manifests []Manifest
}

// A Manifest is one of the manifests that could be run.
type Manifest struct {
	// Entry is the descriptor in the index that led here. At the top, where
	// there is no index, only its digest is set.
	Entry ocispec.Descriptor
	// Siblings are all entries of the index that Entry stands in.
	Siblings []ocispec.Descriptor
	// Indexes are the digests of the indexes that lead to it, outermost first.
	// Other indexes of the image say nothing about it.
	Indexes []digest.Digest
	// Platform is what the index says, or the config if the index is silent.
	Platform ocispec.Platform
	// Manifest is the parsed document.
	Manifest *ocispec.Manifest
}

// Open reads the image dgst from store and finds the manifests that matcher
// could choose, at most max.
func Open(ctx context.Context, store document.Store, dgst digest.Digest, matcher platforms.Matcher, max int) (*Image, error) {
	w := &walk{store: store, matcher: matcher, max: max, image: &Image{Digest: dgst}}
	if err := w.visit(ctx, ocispec.Descriptor{Digest: dgst}, nil, nil); err != nil {
		return nil, err
	}
	if len(w.image.Manifests) == 0 {
		return nil, w.none()
	}
	return w.image, nil
}

type walk struct {
	store   document.Store
	matcher platforms.Matcher
	max     int
	image   *Image
	// others are platforms that an index has and that are not wanted.
	others []string
}

// visit reads the document entry names; above are the indexes that led to it. At
// the top there is no entry: the descriptor came from outside and its media type
// counts for nothing.
func (w *walk) visit(ctx context.Context, entry ocispec.Descriptor, siblings []ocispec.Descriptor, above []digest.Digest) error {
	data, err := document.Fetch(ctx, w.store, document.Manifest, entry.Digest, document.MaxManifest)
	if err != nil {
		return err
	}
	doc, err := document.Parse(data)
	if err != nil {
		return fmt.Errorf("%s: %w", entry.Digest, err)
	}
	if len(above) > 0 && document.IsIndexType(entry.MediaType) != (doc.Index != nil) {
		return fmt.Errorf("%w: an index lists %s as %q, which it is not", document.ErrMalformed, entry.Digest, entry.MediaType)
	}
	if doc.Index != nil {
		return w.index(ctx, entry.Digest, doc.Index, above)
	}
	return w.manifest(ctx, entry, siblings, doc.Manifest, above)
}

func (w *walk) index(ctx context.Context, dgst digest.Digest, idx *ocispec.Index, above []digest.Digest) error {
	depth := len(above) + 1
	if depth > MaxDepth {
		return fmt.Errorf("%w: %s is at depth %d, at most %d is accepted", ErrNesting, dgst, depth, MaxDepth)
	}
	w.image.Indexes = append(w.image.Indexes, dgst)
	if len(w.image.Indexes) > w.max {
		return fmt.Errorf("%w: %s holds more than %d indexes", ErrTooMany, w.image.Digest, w.max)
	}
	above = append(slices.Clone(above), dgst)
	for i, entry := range idx.Manifests {
		if !w.couldRun(entry) {
			w.another(*entry.Platform)
			continue
		}
		// An entry of another type that matches the platform is an image to
		// some client or other, and nothing we could read.
		if !document.IsIndexType(entry.MediaType) && !document.IsManifestType(entry.MediaType) {
			return fmt.Errorf("%w: entry %d of index %s has media type %q", document.ErrMalformed, i, dgst, entry.MediaType)
		}
		if err := w.visit(ctx, entry, idx.Manifests, above); err != nil {
			return err
		}
	}
	return nil
}

// couldRun reports whether a node could follow the entry. Attestation
// manifests say platform unknown/unknown, which no node is.
func (w *walk) couldRun(entry ocispec.Descriptor) bool {
	return entry.Platform == nil || w.matcher.Match(*entry.Platform)
}

func (w *walk) manifest(ctx context.Context, entry ocispec.Descriptor, siblings []ocispec.Descriptor, m *ocispec.Manifest, above []digest.Digest) error {
	found := Manifest{Entry: entry, Siblings: siblings, Indexes: above, Manifest: m}
	if entry.Platform != nil {
		found.Platform = platforms.Normalize(*entry.Platform)
	} else {
		p, err := w.configPlatform(ctx, m.Config.Digest)
		if err != nil {
			return err
		}
		// containerd drops such an entry of an index if the config is for
		// another platform; a manifest at the top is run whatever it says.
		if len(above) > 0 && !w.matcher.Match(p) {
			w.another(p)
			return nil
		}
		found.Platform = p
	}
	w.image.Manifests = append(w.image.Manifests, found)
	if len(w.image.Manifests) > w.max {
		return fmt.Errorf("%w: %s has more than %d for one platform", ErrTooMany, w.image.Digest, w.max)
	}
	return nil
}

// configPlatform reads the platform that an image config declares.
func (w *walk) configPlatform(ctx context.Context, dgst digest.Digest) (ocispec.Platform, error) {
	data, err := document.Fetch(ctx, w.store, document.Blob, dgst, document.MaxManifest)
	if err != nil {
		return ocispec.Platform{}, err
	}
	if err := strictjson.Check(data); err != nil {
		return ocispec.Platform{}, fmt.Errorf("%w: config %s: %w", document.ErrMalformed, dgst, err)
	}
	var p ocispec.Platform
	if err := json.Unmarshal(data, &p); err != nil {
		return ocispec.Platform{}, fmt.Errorf("%w: config %s: %w", document.ErrMalformed, dgst, err)
	}
	return platforms.Normalize(p), nil
}
