// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"encoding/json"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/verifytest"
)

var amd64 = platforms.Only(platforms.MustParse("linux/amd64"))

// FuzzOpen: whatever stands at the top, what is found is there under its digest
// and for a platform that the node could run.
func FuzzOpen(f *testing.F) {
	store := verifytest.NewStore()
	img := store.Image(f, verifytest.ImageOptions{Platforms: []string{"linux/amd64", "linux/arm64"}})
	f.Add(store.Get(img.Index))
	f.Add(store.Get(img.Manifests[1]))
	for _, entry := range []string{
		`"mediaType":"` + ocispec.MediaTypeImageManifest + `"`, // silent about the platform: the config tells
		`"mediaType":"` + ocispec.MediaTypeImageIndex + `","platform":{"os":"linux","architecture":"amd64"}`,
		`"mediaType":"text/plain","platform":{"os":"linux","architecture":"x86_64"}`,
		`"mediaType":"` + ocispec.MediaTypeImageManifest + `","platform":{"os":"Linux","architecture":"amd64","variant":"v1"}`,
	} {
		f.Add([]byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[{"digest":"` + img.Manifests[0].String() + `","size":1,` + entry + `}]}`))
	}
	known := [][]byte{store.Get(img.Manifests[0]), store.Get(img.Manifests[1]), store.Get(img.Configs[0]), store.Get(img.Configs[1])}
	f.Fuzz(func(t *testing.T, top []byte) {
		store := verifytest.NewStore() // a common one would grow
		for _, data := range known {
			store.Add(data, "")
		}
		dgst := store.Add(top, ocispec.MediaTypeImageIndex).Digest
		found, err := image.Open(t.Context(), store, dgst, amd64, image.MaxForNode)
		if err != nil {
			return
		}
		require.NotEmpty(t, found.Manifests)
		require.LessOrEqual(t, len(found.Manifests), image.MaxForNode)
		for _, m := range found.Manifests {
			require.NotEmpty(t, store.Get(m.Entry.Digest))
			require.Equal(t, digest.FromBytes(store.Get(m.Entry.Digest)), m.Entry.Digest)
			require.True(t, len(m.Indexes) == 0 || amd64.Match(m.Platform), "%v", m.Platform)
			var plain ocispec.Manifest
			require.NoError(t, json.Unmarshal(store.Get(m.Entry.Digest), &plain))
			require.Equal(t, plain.Config.Digest, m.Manifest.Config.Digest, "as the runtime reads it")
		}
	})
}

// FuzzConfig: a config is read for its platform as the runtime reads it.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}`))
	f.Add([]byte(`{"os":"linux","architecture":"arm","variant":"v6"}`))
	f.Add([]byte(`{"OS":"linux","os":"windows"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, config []byte) {
		store := verifytest.NewStore()
		dgst := store.Add(config, ocispec.MediaTypeImageConfig).Digest
		manifest := store.Add([]byte(`{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageManifest+`","config":{"mediaType":"`+
			ocispec.MediaTypeImageConfig+`","digest":"`+dgst.String()+`","size":1},"layers":[]}`), ocispec.MediaTypeImageManifest)
		found, err := image.Open(t.Context(), store, manifest.Digest, amd64, image.MaxForNode)
		if err != nil {
			return
		}
		var plain ocispec.Image
		if json.Unmarshal(config, &plain) == nil {
			require.Equal(t, platforms.Normalize(plain.Platform), found.Manifests[0].Platform)
		}
	})
}
