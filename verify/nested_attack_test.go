// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

// A signed index inside another vouches for what is in it, and not for what
// stands beside it in the index around both.
func TestSignedIndexBesideAStranger(t *testing.T) {
	s := newStand(t)
	good, evil := s.unsignedImage("good"), s.unsignedImage("evil")
	s.store.AttachBundle(t, good.Index, s.sigstore.Bundle(t, cosignStatement(t, good.Index), verifytest.BundleOptions{}))
	require.Equal(t, decision.Allow, s.verify(good.Index).Verdict)
	around := s.store.AddJSON(t, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{
			{MediaType: ocispec.MediaTypeImageIndex, Digest: good.Index, Size: int64(len(s.store.Get(good.Index)))},
			{
				MediaType: ocispec.MediaTypeImageManifest, Digest: evil.Manifests[0], Size: int64(len(s.store.Get(evil.Manifests[0]))),
				Platform: &ocispec.Platform{OS: "linux", Architecture: "amd64"},
			},
		},
	}, ocispec.MediaTypeImageIndex)
	refuse(t, s.verify(around.Digest), decision.Deny, "unsigned", "")
}
