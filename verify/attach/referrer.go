// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/trust"
)

// A referrer is ready to be written.
type referrer struct {
	outcome  Outcome
	bundle   []byte
	manifest []byte
	desc     ocispec.Descriptor
}

// prepare finds the bundle about m and writes the manifest around it. The same
// bundle gives the same manifest.
func prepare(ctx context.Context, location evidence.Location, m image.Manifest) (referrer, error) {
	n := 0
	reason := errors.New("it carries no bundle")
	for c, err := range (evidence.Embedded{Store: location}).Candidates(ctx, evidence.Subject{Entry: m.Entry, Siblings: m.Siblings}) {
		if n++; n > evidence.MaxCandidates {
			break
		}
		var r referrer
		if err == nil {
			r, err = wrap(ctx, location, m, c)
		}
		if err == nil {
			return r, nil
		}
		reason = err
	}
	return referrer{}, fmt.Errorf("%w to %s (%s): %w", ErrNothing, m.Entry.Digest, platforms.Format(m.Platform), reason)
}

func wrap(ctx context.Context, location evidence.Location, m image.Manifest, c evidence.Candidate) (referrer, error) {
	claim, err := trust.DescribeUnverified(c.Bundle)
	if err != nil {
		return referrer{}, err
	}
	target := binding.Target{Manifest: m.Entry.Digest, Platform: m.Platform, Document: m.Manifest, EntryAnnotations: m.Entry.Annotations}
	st, err := binding.Check(claim.Payload, target)
	if err != nil {
		return referrer{}, err
	}
	subject, err := subjectOf(ctx, location, m)
	if err != nil {
		return referrer{}, err
	}
	r := referrer{bundle: c.Bundle, outcome: Outcome{
		Platform: platforms.Format(m.Platform), Manifest: m.Entry.Digest, Bundle: c.Digest,
		Named: slices.Contains(binding.Foretold(st, m.Platform), m.Entry.Digest),
	}}
	return r, r.encode(subject, st, claim.IssuedAt)
}

// subjectOf describes the manifest from its own bytes.
func subjectOf(ctx context.Context, location evidence.Location, m image.Manifest) (*ocispec.Descriptor, error) {
	data, err := document.Fetch(ctx, location, document.Manifest, m.Entry.Digest, document.MaxManifest)
	if err != nil {
		return nil, err
	}
	mediaType := m.Manifest.MediaType
	if mediaType == "" {
		mediaType = ocispec.MediaTypeImageManifest
	}
	return &ocispec.Descriptor{MediaType: mediaType, Digest: m.Entry.Digest, Size: int64(len(data))}, nil
}

func (r *referrer) encode(subject *ocispec.Descriptor, st *provenance.Statement, created time.Time) error {
	annotations := map[string]string{
		ocispec.AnnotationCreated: created.Format(time.RFC3339),
		annotationContent:         "dsse-envelope",
		annotationPredicateType:   st.PredicateType,
	}
	empty := ocispec.DescriptorEmptyJSON
	empty.Data = nil
	data, err := json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: ArtifactType,
		Config:       empty,
		Layers:       []ocispec.Descriptor{describe(ArtifactType, r.bundle)},
		Subject:      subject,
		Annotations:  annotations,
	})
	if err != nil {
		return err
	}
	r.manifest = data
	r.desc = describe(ocispec.MediaTypeImageManifest, data)
	r.desc.ArtifactType, r.desc.Annotations = ArtifactType, annotations
	r.outcome.Referrer = r.desc.Digest
	return nil
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: document.Digest(data), Size: int64(len(data))}
}
