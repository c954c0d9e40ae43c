// SPDX-License-Identifier: Apache-2.0

// Package attach writes the one statement of a build, and puts the signed
// bundle where it travels with the image: into the attestation manifest of
// each platform, and as a short cut onto the platform's descriptor in the
// image index.
package attach

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/result"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
)

// bundlePath is the name under which BuildKit's local and tar exporters write
// the statement around the bundle, next to the files.
const bundlePath = "plomb.sigstore.json"

// An Image is one platform of the build.
type Image struct {
	ID       string // the key of the platform in the result
	Platform ocispecs.Platform
	// Config is the digest that the image config will have.
	Config digest.Digest
	// Manifests are what the manifest could be, where that was foretold.
	Manifests []Manifest
}

// A Manifest is one that the image could get, by its media type.
type Manifest struct {
	MediaType string
	Digest    digest.Digest
}

// Statement returns the bytes to sign: p about every image.
func Statement(images []Image, p slsa.Provenance) ([]byte, error) {
	predicate, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	s := provenance.Statement{
		Type:          provenance.StatementType,
		PredicateType: provenance.PredicateSLSA1,
		Predicate:     predicate,
	}
	for _, img := range images {
		platform := platforms.Format(img.Platform)
		s.Subject = append(s.Subject, provenance.Subject{
			Name:        provenance.SubjectImageID,
			Digest:      digestSet(img.Config),
			Annotations: map[string]string{provenance.AnnotationPlatform: platform},
		})
		for _, m := range img.Manifests {
			s.Subject = append(s.Subject, provenance.Subject{
				Name:   provenance.SubjectManifest,
				Digest: digestSet(m.Digest),
				Annotations: map[string]string{
					provenance.AnnotationPlatform:  platform,
					provenance.AnnotationMediaType: m.MediaType,
				},
			})
		}
	}
	return json.Marshal(s)
}

func digestSet(d digest.Digest) map[string]string {
	return map[string]string{d.Algorithm().String(): d.Encoded()}
}

// Bundle adds the signed bundle to the result for every image. multi tells
// that the result has a map of platforms and not a single reference.
func Bundle(ctx context.Context, c client.Client, res *client.Result, images []Image, multi bool, bundle []byte) error {
	ref, err := File(ctx, c, bundlePath, "[plomb] embed signature", bundle)
	if err != nil {
		return fmt.Errorf("put the bundle into the build: %w", err)
	}
	for _, img := range images {
		res.AddAttestation(img.ID, client.Attestation{
			Kind: gwpb.AttestationKind_InToto,
			Ref:  ref,
			Path: bundlePath,
			InToto: result.InTotoAttestation{
				PredicateType: provenance.PredicateEmbeddedBundle,
				Subjects: []result.InTotoSubject{
					{Kind: gwpb.InTotoSubjectKind_Self},
					{Kind: gwpb.InTotoSubjectKind_Raw, Name: provenance.SubjectImageID, Digest: []digest.Digest{img.Config}},
				},
			},
		})
		var scope *ocispecs.Platform
		if multi {
			scope = &img.Platform
		}
		res.AddMeta(exptypes.AnnotationManifestDescriptorKey(scope, provenance.BundleAnnotation),
			[]byte(base64.StdEncoding.EncodeToString(bundle)))
	}
	return nil
}

// MaxFile is how many bytes File can take: BuildKit's messages have 16 MiB, and
// there is more in them.
const MaxFile = 15 << 20

// File makes a build result with one file, of MaxFile at most: attestations
// reach the exporter only by reference. step is what the progress display calls
// it.
func File(ctx context.Context, c client.Client, name, step string, data []byte) (client.Reference, error) {
	state := llb.Scratch().File(llb.Mkfile("/"+name, 0o644, data), llb.WithCustomName(step))
	def, err := state.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	res, err := c.Solve(ctx, client.SolveRequest{Definition: def.ToPB()})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}
