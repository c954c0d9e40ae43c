// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
)

// Platform is that of images unless a test says otherwise.
const Platform = "linux/amd64"

// ImageOptions say how an image looks. The zero value is an unsigned image for
// one platform.
type ImageOptions struct {
	// Content tells images apart.
	Content string
	// Platforms of the image, Platform by default.
	Platforms []string
	// Bundle makes the bundle for the subjects of the image; nil for none.
	Bundle func(subjects []provenance.Subject) []byte
	// Attestations are the statements beside the bundle, for each platform; nil
	// for an SBOM without a predicate.
	Attestations func(platform string) []Attestation
	// NoAnnotation and NoAttestation leave the bundle out of one of its two
	// places.
	NoAnnotation, NoAttestation bool
	// Manifest changes each platform manifest before it is stored.
	Manifest func(*ocispec.Manifest)
	// Index changes the index before it is stored.
	Index func(*ocispec.Index)
	// Wrapper changes the in-toto statement around the bundle.
	Wrapper func(map[string]any)
}

// An Image is what the store has of an image.
type Image struct {
	Index     digest.Digest
	Manifests []digest.Digest
	Configs   []digest.Digest
	Subjects  []provenance.Subject
}

// Image builds an image the way the frontend and BuildKit do and puts it into
// the store.
func (s *Store) Image(t testing.TB, opts ImageOptions) Image {
	t.Helper()
	if opts.Platforms == nil {
		opts.Platforms = []string{Platform}
	}
	var img Image
	idx := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, name := range opts.Platforms {
		p := platforms.MustParse(name)
		desc, config := s.manifest(t, p, opts)
		idx.Manifests = append(idx.Manifests, desc)
		img.Manifests = append(img.Manifests, desc.Digest)
		img.Configs = append(img.Configs, config)
		img.Subjects = append(img.Subjects, provenance.Subject{
			Name:        provenance.SubjectImageID,
			Digest:      map[string]string{"sha256": config.Encoded()},
			Annotations: map[string]string{provenance.AnnotationPlatform: name},
		})
	}
	if opts.Bundle != nil {
		s.embed(t, &idx, opts.Bundle(img.Subjects), opts)
	} else if opts.Attestations != nil {
		s.attest(t, &idx, nil, opts)
	}
	if opts.Index != nil {
		opts.Index(&idx)
	}
	img.Index = s.AddJSON(t, idx, ocispec.MediaTypeImageIndex).Digest
	return img
}

func (s *Store) manifest(t testing.TB, p ocispec.Platform, opts ImageOptions) (ocispec.Descriptor, digest.Digest) {
	t.Helper()
	layer := s.Add([]byte("layer of "+opts.Content), ocispec.MediaTypeImageLayerGzip)
	config := s.AddJSON(t, ocispec.Image{
		Platform: p,
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString(opts.Content)}},
	}, ocispec.MediaTypeImageConfig)
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    config,
		Layers:    []ocispec.Descriptor{layer},
	}
	if opts.Manifest != nil {
		opts.Manifest(&m)
	}
	desc := s.AddJSON(t, m, ocispec.MediaTypeImageManifest)
	desc.Platform = &p
	return desc, m.Config.Digest
}

// embed puts the bundle where the frontend puts it.
func (s *Store) embed(t testing.TB, idx *ocispec.Index, bundle []byte, opts ImageOptions) {
	t.Helper()
	for i := range idx.Manifests {
		subject := &idx.Manifests[i]
		if !opts.NoAnnotation {
			subject.Annotations = map[string]string{provenance.BundleAnnotation: base64.StdEncoding.EncodeToString(bundle)}
		}
	}
	if !opts.NoAttestation {
		s.attest(t, idx, bundle, opts)
	}
}

// attest gives each platform its attestation manifest.
func (s *Store) attest(t testing.TB, idx *ocispec.Index, bundle []byte, opts ImageOptions) {
	t.Helper()
	for _, subject := range idx.Manifests {
		idx.Manifests = append(idx.Manifests, s.attestation(t, subject, bundle, opts))
	}
}

// attestation is BuildKit's attestation manifest with the attestations and the
// bundle, if there is one.
func (s *Store) attestation(t testing.TB, subject ocispec.Descriptor, bundle []byte, opts ImageOptions) ocispec.Descriptor {
	t.Helper()
	list := []Attestation{{PredicateType: PredicateSPDX, Statement: []byte(`{"predicateType":"https://spdx.dev/Document"}`)}}
	if opts.Attestations != nil {
		list = opts.Attestations(platforms.Format(*subject.Platform))
	}
	layers := []ocispec.Descriptor{}
	for _, a := range list {
		layers = append(layers, s.layer(a.statement(t, subject.Digest), a.mediaType(), a.PredicateType))
	}
	if bundle != nil {
		layers = append(layers, s.layer(wrap(t, subject.Digest, bundle, opts), mediaTypeInToto, provenance.PredicateEmbeddedBundle))
	}
	desc := s.AddJSON(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    s.Add([]byte(`{"architecture":"unknown","os":"unknown"}`), ocispec.MediaTypeImageConfig),
		Layers:    layers,
	}, ocispec.MediaTypeImageManifest)
	desc.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	desc.Annotations = map[string]string{
		"vnd.docker.reference.type":   "attestation-manifest",
		"vnd.docker.reference.digest": subject.Digest.String(),
	}
	return desc
}

func (s *Store) layer(data []byte, mediaType, predicateType string) ocispec.Descriptor {
	d := s.Add(data, mediaType)
	d.Annotations = map[string]string{"in-toto.io/predicate-type": predicateType}
	return d
}

// wrap is the in-toto statement around the bundle.
func wrap(t testing.TB, subject digest.Digest, bundle []byte, opts ImageOptions) []byte {
	t.Helper()
	wrapper := map[string]any{
		"_type":         "https://in-toto.io/Statement/v0.1",
		"subject":       []any{map[string]any{"name": "pkg:docker/app", "digest": map[string]string{"sha256": subject.Encoded()}}},
		"predicateType": provenance.PredicateEmbeddedBundle,
		"predicate":     json.RawMessage(bundle),
	}
	if !json.Valid(bundle) {
		wrapper["predicate"] = string(bundle)
	}
	if opts.Wrapper != nil {
		opts.Wrapper(wrapper)
	}
	data, err := json.Marshal(wrapper)
	require.NoError(t, err)
	return data
}

// Provenance is what Statement says of the build.
func Provenance() slsa.Provenance {
	return slsa.Provenance{
		BuildDefinition: slsa.BuildDefinition{
			BuildType: slsa.BuildType,
			ExternalParameters: slsa.ExternalParameters{
				Dockerfile: slsa.Dockerfile{Name: "Dockerfile", SHA256: "d0c0"},
				Source:     &slsa.Source{Repository: "https://github.com/plombproject/demo", Revision: "abc"},
			},
			InternalParameters: slsa.InternalParameters{
				Completeness: &slsa.Completeness{Gaps: []slsa.Gap{
					{Kind: slsa.GapNetwork, Name: "sandbox", Steps: []slsa.Step{{Name: "[2/2] RUN", File: "Dockerfile", Line: 3}}},
				}},
			},
			ResolvedDependencies: []slsa.ResourceDescriptor{{URI: "docker-image://debian", Digest: map[string]string{"sha256": "de"}}},
		},
	}
}

// Statement is a SLSA provenance statement about subjects.
func Statement(t testing.TB, subjects []provenance.Subject, byproducts ...slsa.ResourceDescriptor) []byte {
	t.Helper()
	p := Provenance()
	p.RunDetails.Byproducts = byproducts
	return StatementOf(t, subjects, p)
}

// StatementOf is a statement with a predicate of one's own.
func StatementOf(t testing.TB, subjects []provenance.Subject, p slsa.Provenance) []byte {
	t.Helper()
	predicate, err := json.Marshal(p)
	require.NoError(t, err)
	data, err := json.Marshal(provenance.Statement{
		Type: provenance.StatementType, Subject: subjects, PredicateType: provenance.PredicateSLSA1, Predicate: predicate,
	})
	require.NoError(t, err)
	return data
}
