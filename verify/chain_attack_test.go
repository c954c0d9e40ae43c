// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

// sign attaches what cosign signs, or another statement, about a digest.
func (s *stand) signDigest(predicateType string, dgst digest.Digest) {
	s.store.AttachBundle(s.t, dgst, s.sigstore.Bundle(s.t, statementOf(s.t, predicateType, dgst), verifytest.BundleOptions{}))
}

const cosignSign = "https://sigstore.dev/cosign/sign/v1"

func unsignedProvenance(string) []verifytest.Attestation {
	return []verifytest.Attestation{{PredicateType: provenance.PredicateSLSA1, Predicate: []byte(`{}`)}}
}

func TestAScanOfTheAttestationManifestSignsNothing(t *testing.T) {
	s := newStand(t)
	img := s.unsignedImage("app")
	s.signDigest("https://cosign.sigstore.dev/attestation/vuln/v1", s.attestations(img))
	refuse(t, s.verify(img.Index), decision.Deny, "no-signature", "")
	s.signDigest(cosignSign, s.attestations(img))
	require.Equal(t, decision.Allow, s.verify(img.Index).Verdict)
}

// A signed attestation manifest of one image is put beside another one.
func TestChainToAnotherImage(t *testing.T) {
	s := newStand(t)
	good := s.unsignedImage("good")
	s.signDigest(cosignSign, s.attestations(good))
	require.Equal(t, decision.Allow, s.verify(good.Index).Verdict)

	evil := s.store.Image(t, verifytest.ImageOptions{Content: "evil", Attestations: unsignedProvenance, Index: func(idx *ocispec.Index) {
		idx.Manifests[1].Digest = s.attestations(good)
		idx.Manifests[1].Size = int64(len(s.store.Get(s.attestations(good))))
	}})
	refuse(t, s.verify(evil.Index), decision.Deny, "subject", "does not name manifest")
}

// A signed attestation manifest without provenance says nothing about who built
// the image.
func TestChainWithoutProvenance(t *testing.T) {
	s := newStand(t)
	img := s.store.Image(t, verifytest.ImageOptions{Attestations: func(string) []verifytest.Attestation {
		return []verifytest.Attestation{verifytest.SBOM(`{}`)}
	}})
	s.signDigest(cosignSign, s.attestations(img))
	refuse(t, s.verify(img.Index), decision.Deny, "subject", "holds no provenance")
}

// The index says amd64 of an arm64 image whose manifest is signed, or whose
// attestation manifest is.
func TestLyingPlatform(t *testing.T) {
	for _, chain := range []bool{false, true} {
		s := newStand(t)
		img := s.store.Image(t, verifytest.ImageOptions{
			Platforms: []string{"linux/arm64"}, Attestations: unsignedProvenance,
			Index: func(idx *ocispec.Index) { idx.Manifests[0].Platform.Architecture = "amd64" },
		})
		signed := img.Manifests[0]
		if chain {
			signed = s.attestations(img)
		}
		s.signDigest(cosignSign, signed)
		refuse(t, s.verify(img.Index), decision.Deny, "platform", "its config is for linux/arm64")
		// Who signs the index signs what it says.
		s.signDigest(cosignSign, img.Index)
		require.Equal(t, decision.Allow, s.verify(img.Index).Verdict)
	}
}
