// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// FuzzVerify: an index is signed by nobody. Whatever one says, all that it gets
// allowed is the image that was signed.
func FuzzVerify(f *testing.F) {
	store, authority := verifytest.NewStore(), verifytest.NewSigstore(f)
	signed := store.Image(f, verifytest.ImageOptions{Content: "signed", Bundle: func(subjects []provenance.Subject) []byte {
		return authority.Bundle(f, verifytest.Statement(f, subjects), verifytest.BundleOptions{})
	}})
	evil := store.Image(f, verifytest.ImageOptions{Content: "evil"})
	root, err := trust.Parse(authority.TrustedRoot(f, verifytest.RootOptions{}))
	require.NoError(f, err)
	file := filepath.Join(f.TempDir(), "policy.yaml")
	require.NoError(f, os.WriteFile(file, []byte(keyless(verifytest.Issuer, verifytest.Subject)), 0o600))
	set, err := policy.Load(file)
	require.NoError(f, err)

	good := store.Get(signed.Index)
	f.Add(good)
	f.Add(store.Get(evil.Index))
	f.Add(bytes.ReplaceAll(good, []byte(signed.Manifests[0]), []byte(evil.Manifests[0])))
	f.Add(bytes.ReplaceAll(good, []byte(`"amd64"`), []byte(`"arm64"`)))
	f.Add(bytes.Replace(good, []byte(`"manifests":[`), []byte(`"manifests":[{"mediaType":"`+ocispec.MediaTypeImageManifest+`","digest":"`+evil.Manifests[0].String()+`","size":1},`), 1))
	f.Add(bytes.Replace(good, []byte(`"digest"`), []byte(`"Digest":"`+evil.Manifests[0].String()+`","digest"`), 1))
	f.Fuzz(func(t *testing.T, index []byte) {
		desc := store.Add(index, ocispec.MediaTypeImageIndex)
		d := verify.Verify(t.Context(), verify.Request{
			Name: "registry.example/app:v1", Descriptor: ocispec.Descriptor{Digest: desc.Digest},
			Policy: set, Location: inMemory{store}, Platform: platforms.Only(platforms.MustParse(verifytest.Platform)),
			Trust: verify.OneRoot(func() (*trust.Root, error) { return root, nil }),
		})
		require.NotEmpty(t, d.Reason)
		if d.Verdict != decision.Allow {
			require.NotEmpty(t, d.Code)
			return
		}
		require.NotEmpty(t, d.Manifests)
		for _, m := range d.Manifests {
			require.Equal(t, signed.Configs[0], m.Config)
		}
	})
}
