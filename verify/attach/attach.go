// SPDX-License-Identifier: Apache-2.0

// Package attach publishes the bundle that an image carries a second time, as
// an OCI 1.1 referrer of each platform's manifest, for tools that look only
// there. Nothing is signed, so no identity is needed, and the image stays as it
// is.
//
// It follows the OCI distribution specification v1.1, "Pushing Manifests with
// Subject", and what cosign v3 looks for (cosign's pkg/oci/remote/write.go,
// WriteAttestationNewBundleFormat). It judges no signature: whoever reads the
// referrer does.
package attach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
)

const (
	// ArtifactType is the media type of a Sigstore bundle v0.3, of the layer
	// and of the whole.
	ArtifactType = "application/vnd.dev.sigstore.bundle.v0.3+json"

	// The annotations of cosign and of Sigstore's other clients.
	annotationContent       = "dev.sigstore.bundle.content"
	annotationPredicateType = "dev.sigstore.bundle.predicateType"

	// maxBundles bounds all bundles of an image together, in bytes. A signed
	// image has one.
	maxBundles = 2 * provenance.MaxBundleSize

	// attempts bounds how often the list under a fallback tag is written, when
	// somebody else writes it at the same time.
	attempts = 5
)

var (
	// ErrNothing reports an image without a bundle about one of its platforms.
	ErrNothing = errors.New("nothing to attach")

	// ErrContended reports a fallback tag that others kept overwriting.
	ErrContended = errors.New("the list of referrers was overwritten by somebody else; try again")
)

// A Repository is where referrers are written.
type Repository interface {
	// Referrers lists what refers to a manifest; ok is false without the
	// referrers API.
	Referrers(ctx context.Context, dgst digest.Digest) (list []ocispec.Descriptor, ok bool, err error)
	// Tagged reads the index under a tag, nil for none.
	Tagged(ctx context.Context, tag string) (*ocispec.Index, error)
	Put(ctx context.Context, desc ocispec.Descriptor, data []byte) error
	PutTag(ctx context.Context, tag string, desc ocispec.Descriptor, data []byte) error
}

// An Outcome is what became of one platform.
type Outcome struct {
	Platform string        `json:"platform"`
	Manifest digest.Digest `json:"manifest"`
	Bundle   digest.Digest `json:"bundle"`
	// Referrer is the manifest that holds the bundle.
	Referrer digest.Digest `json:"referrer"`
	// Tag is the fallback tag, empty on a registry with the referrers API.
	Tag string `json:"tag,omitempty"`
	// Status is attached, present (it was there already) or would-attach.
	Status string `json:"status"`
	// Named reports whether the statement names the manifest's digest. cosign
	// verifies nothing else.
	Named bool `json:"named"`
}

// Values of Outcome.Status.
const (
	Attached    = "attached"
	Present     = "present"
	WouldAttach = "would-attach"
)

// Attach publishes the bundle of every platform that matcher takes; dry only
// looks. What was done before an error is in the list.
func Attach(ctx context.Context, location evidence.Location, dgst digest.Digest, matcher platforms.Matcher, repo Repository, dry bool) ([]Outcome, error) {
	img, err := image.Open(ctx, location, dgst, matcher, image.MaxForPerson)
	if err != nil {
		return nil, err
	}
	// All that can be said against it, before anything is written.
	referrers, err := prepareAll(ctx, location, img)
	if err != nil {
		return nil, err
	}
	var done []Outcome
	for _, r := range referrers {
		o, err := r.publish(ctx, repo, dry)
		if err != nil {
			return done, fmt.Errorf("%s: %w", r.outcome.Platform, err)
		}
		done = append(done, o)
	}
	return done, nil
}

// prepareAll keeps one copy of each bundle.
func prepareAll(ctx context.Context, location evidence.Location, img *image.Image) ([]referrer, error) {
	var list []referrer
	bundles, total := map[digest.Digest][]byte{}, 0
	for _, m := range img.Manifests {
		r, err := prepare(ctx, location, m)
		if err != nil {
			return nil, err
		}
		if known, ok := bundles[r.outcome.Bundle]; ok {
			r.bundle = known
		} else if total += len(r.bundle); total > maxBundles {
			return nil, fmt.Errorf("%w: the bundles of %s have more than %d bytes", limit.ErrTooLarge, img.Digest, maxBundles)
		}
		bundles[r.outcome.Bundle] = r.bundle
		list = append(list, r)
	}
	return list, nil
}

// AnyPlatform matches every platform that some machine could be.
type AnyPlatform struct{}

// Match implements platforms.Matcher.
func (AnyPlatform) Match(p ocispec.Platform) bool {
	return p.OS != "unknown" && p.Architecture != "unknown"
}

// publish writes the referrer unless it is there.
func (r referrer) publish(ctx context.Context, repo Repository, dry bool) (Outcome, error) {
	o := r.outcome
	list, api, err := repo.Referrers(ctx, o.Manifest)
	if err != nil {
		return o, err
	}
	if !api {
		// Distribution specification: "the digest of the subject, with : replaced
		// by -".
		o.Tag = strings.Replace(o.Manifest.String(), ":", "-", 1)
		idx, err := repo.Tagged(ctx, o.Tag)
		if err != nil {
			return o, err
		}
		if idx != nil {
			list = idx.Manifests
		}
	}
	switch {
	case lists(list, o.Referrer):
		o.Status = Present
		return o, nil
	case dry:
		o.Status = WouldAttach
		return o, nil
	}
	if err := r.put(ctx, repo); err != nil {
		return o, err
	}
	if !api {
		if err := r.list(ctx, repo, o.Tag); err != nil {
			return o, err
		}
	}
	o.Status = Attached
	return o, nil
}

func lists(list []ocispec.Descriptor, dgst digest.Digest) bool {
	return slices.ContainsFunc(list, func(d ocispec.Descriptor) bool { return d.Digest == dgst })
}

// put writes blobs before the manifest that names them.
func (r referrer) put(ctx context.Context, repo Repository) error {
	if err := repo.Put(ctx, ocispec.DescriptorEmptyJSON, ocispec.DescriptorEmptyJSON.Data); err != nil {
		return err
	}
	if err := repo.Put(ctx, describe(ArtifactType, r.bundle), r.bundle); err != nil {
		return err
	}
	return repo.Put(ctx, r.desc, r.manifest)
}

// list adds the referrer to the index under the fallback tag. Two who write it
// at once overwrite each other, so it is read again afterwards.
func (r referrer) list(ctx context.Context, repo Repository, tag string) error {
	for range attempts {
		idx, err := repo.Tagged(ctx, tag)
		if err != nil {
			return err
		}
		if idx == nil {
			idx = &ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
		}
		if lists(idx.Manifests, r.desc.Digest) {
			return nil
		}
		idx.Manifests = append(idx.Manifests, r.desc)
		data, err := json.Marshal(idx)
		if err != nil {
			return err
		}
		if len(data) > document.MaxManifest {
			return fmt.Errorf("the list of referrers under tag %s would have %d bytes, registries take %d", tag, len(data), document.MaxManifest)
		}
		if err := repo.PutTag(ctx, tag, describe(ocispec.MediaTypeImageIndex, data), data); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: tag %s", ErrContended, tag)
}
