// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/verifytest"
)

// Who asks for a platform that is not there learns which are.
func TestNoPlatformSaysWhich(t *testing.T) {
	store := verifytest.NewStore()
	img := store.Image(t, verifytest.ImageOptions{Platforms: []string{"linux/amd64", "linux/arm64"}})
	for _, want := range []string{"linux/s390x", "linux/arm/v7", "linux/riscv64"} {
		for _, matcher := range []platforms.Matcher{platforms.OnlyStrict(platforms.MustParse(want)), platforms.NewMatcher(platforms.MustParse(want))} {
			_, err := image.Open(t.Context(), store, img.Index, matcher, image.MaxForNode)
			require.ErrorIs(t, err, image.ErrNoPlatform)
			require.ErrorContains(t, err, "no manifest for this platform, wanted "+want)
			require.ErrorContains(t, err, "has linux/amd64, linux/arm64")
			require.NotContains(t, err.Error(), "unknown", "attestations are for no platform")
		}
	}
	empty := store.Add([]byte(`{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageIndex+`","manifests":[]}`), ocispec.MediaTypeImageIndex)
	_, err := image.Open(t.Context(), store, empty.Digest, amd64, image.MaxForNode)
	require.ErrorContains(t, err, "wanted linux/amd64: index "+empty.Digest.String()+" has no platform at all")
}

// An index can list a thousand platforms with long names: the message stays short.
func TestNoPlatformIsBounded(t *testing.T) {
	var entries []string
	for i := range 1000 {
		entries = append(entries, fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%064d","size":1,"platform":{"os":"os%d","architecture":%q}}`,
			ocispec.MediaTypeImageManifest, i, i, strings.Repeat("x", 100)))
	}
	store := verifytest.NewStore()
	index := store.Add([]byte(`{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageIndex+`","manifests":[`+strings.Join(entries, ",")+`]}`), ocispec.MediaTypeImageIndex)
	_, err := image.Open(t.Context(), store, index.Digest, amd64, image.MaxForNode)
	require.ErrorIs(t, err, image.ErrNoPlatform)
	require.ErrorContains(t, err, "and others")
	require.Less(t, len(err.Error()), 600)
}
