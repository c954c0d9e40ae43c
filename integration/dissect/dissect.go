// SPDX-License-Identifier: Apache-2.0

// Package dissect takes images apart for tests: index, manifest, attestations,
// and the statement in the bundle, from a registry of a stand or an OCI layout.
// It verifies nothing.
package dissect

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
)

// reference is on an attestation manifest's descriptor: the digest of the
// platform's manifest that it is about (docs.docker.com, attestation storage).
const reference = "vnd.docker.reference.digest"

// A source has manifests by digest or, a registry, by tag.
type source interface {
	Get(t testing.TB, name string) []byte
}

// An Image is what a name stands for, taken apart.
type Image struct {
	Digest         digest.Digest   // of the index, or of the manifest where there is none
	MediaType      string          // of the same
	Index          *ocispecs.Index // nil where there is none
	ManifestDigest digest.Digest   // of the first platform's manifest
	Manifest       ocispecs.Manifest
	Bundle         *Bundle // of the first platform, nil for one that is not signed

	source source
}

// open takes the image called name apart.
func open(t testing.TB, s source, name string) Image {
	t.Helper()
	data := s.Get(t, name)
	i := Image{Digest: digest.FromBytes(data), ManifestDigest: digest.FromBytes(data), source: s}
	var index ocispecs.Index
	require.NoError(t, json.Unmarshal(data, &index))
	i.MediaType = index.MediaType
	if len(index.Manifests) > 0 {
		i.Index, i.ManifestDigest = &index, index.Manifests[0].Digest
		i.Bundle = BundleOf(t, index.Manifests[0])
		data = s.Get(t, i.ManifestDigest.String())
	}
	require.NoError(t, json.Unmarshal(data, &i.Manifest))
	return i
}

// Pull takes an image apart that is in a registry.
func Pull(t testing.TB, ref string) Image {
	t.Helper()
	r, tag := Registry(t, ref)
	return open(t, repository{r}, tag)
}

// Registry takes a reference apart: host/repository:tag.
func Registry(t testing.TB, ref string) (tamper.Repository, string) {
	t.Helper()
	r, tag, err := tamper.Parse(ref)
	require.NoError(t, err)
	return r, tag
}

type repository struct{ tamper.Repository }

func (r repository) Get(t testing.TB, name string) []byte {
	t.Helper()
	data, err := r.Manifest(t.Context(), name)
	require.NoError(t, err)
	return data
}

// ID is the image ID: the digest of the first platform's config.
func (i Image) ID() digest.Digest { return i.Manifest.Config.Digest }

// Layers are the digests of the first platform's layers, from the lowest on.
func (i Image) Layers() []digest.Digest {
	var layers []digest.Digest
	for _, l := range i.Manifest.Layers {
		layers = append(layers, l.Digest)
	}
	return layers
}

// Attestation is the attestation manifest of the first platform, or nil.
func (i Image) Attestation(t testing.TB) *ocispecs.Manifest {
	t.Helper()
	if i.Index == nil {
		return nil
	}
	for _, d := range i.Index.Manifests {
		if d.Annotations[reference] == i.ManifestDigest.String() {
			var m ocispecs.Manifest
			require.NoError(t, json.Unmarshal(i.source.Get(t, d.Digest.String()), &m))
			return &m
		}
	}
	return nil
}

// A Bundle is the Sigstore bundle that travels with an image, as far as tests
// look at it.
type Bundle struct {
	Raw         []byte
	Certificate []byte // DER
	Payload     []byte // the statement, as it was signed
	Statement   *provenance.Statement
}

// BundleOf reads the bundle on a platform's descriptor; without one it is nil.
func BundleOf(t testing.TB, d ocispecs.Descriptor) *Bundle {
	t.Helper()
	annotation := d.Annotations[provenance.BundleAnnotation]
	if annotation == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(annotation)
	require.NoError(t, err)
	var b struct {
		VerificationMaterial struct {
			Certificate struct {
				RawBytes []byte `json:"rawBytes"`
			} `json:"certificate"`
		} `json:"verificationMaterial"`
		DSSE struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(raw, &b))
	s, err := provenance.ParseStatement(b.DSSE.Payload)
	require.NoError(t, err)
	return &Bundle{Raw: raw, Certificate: b.VerificationMaterial.Certificate.RawBytes, Payload: b.DSSE.Payload, Statement: s}
}

// Provenance is the statement's predicate.
func (b *Bundle) Provenance(t testing.TB) *slsa.Provenance {
	t.Helper()
	var p slsa.Provenance
	require.NoError(t, json.Unmarshal(b.Statement.Predicate, &p))
	return &p
}

// Subjects are the SHA-256 of what was signed under that name.
func (b *Bundle) Subjects(name string) []string {
	var digests []string
	for _, s := range b.Statement.Subject {
		if s.Name == name {
			digests = append(digests, s.Digest["sha256"])
		}
	}
	return digests
}
