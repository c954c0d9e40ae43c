// SPDX-License-Identifier: Apache-2.0

//go:build integration

package private

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/verifytest"
)

const policyText = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: private}
spec:
  images: [{glob: "**"}]
  authorities:
  - name: release
    keyless: {identities: [{issuer: "` + verifytest.Issuer + `", subject: "` + verifytest.Subject + `"}]}
`

// images are what one push put into all registries.
type images struct {
	// repository has the tags signed and unsigned.
	repository       string
	signed, unsigned digest.Digest
	// policy is a folder, root a file: they admit what is signed.
	policy, root string
}

// push pushes a signed and an unsigned image.
func push(t *testing.T) images {
	t.Helper()
	store, sigstore := verifytest.NewStore(), verifytest.NewSigstore(t)
	dir := t.TempDir()
	i := images{repository: "t/" + harness.Name(t), policy: filepath.Join(dir, "policy"), root: filepath.Join(dir, "root.json")}
	write(t, filepath.Join(i.policy, "policy.yaml"), policyText)
	require.NoError(t, os.WriteFile(i.root, sigstore.TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	bundle := func(subjects []provenance.Subject) []byte {
		return sigstore.Bundle(t, verifytest.Statement(t, subjects), verifytest.BundleOptions{})
	}
	i.signed = image(t, store, "signed", bundle)
	i.unsigned = image(t, store, "unsigned", nil)
	repo := tamper.Repository{Host: on.Registry, Name: i.repository}
	upload(t, repo, store, i.signed, "signed")
	upload(t, repo, store, i.unsigned, "unsigned")
	return i
}

// image makes one that containerd can unpack.
func image(t *testing.T, store *verifytest.Store, content string, bundle func([]provenance.Subject) []byte) digest.Digest {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	text := t.Name() + " " + content
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "greeting", Mode: 0o644, Size: int64(len(text))}))
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	platform := platforms.Normalize(platforms.DefaultSpec())
	return store.Image(t, verifytest.ImageOptions{
		Content: text, Platforms: []string{platforms.Format(platform)}, Bundle: bundle,
		Manifest: func(m *ocispec.Manifest) {
			m.Layers = []ocispec.Descriptor{store.Add(layer.Bytes(), ocispec.MediaTypeImageLayer)}
			m.Config = store.AddJSON(t, ocispec.Image{
				Platform: platform,
				RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer.Bytes())}},
			}, ocispec.MediaTypeImageConfig)
		},
	}).Index
}

// upload puts an index and all below it into the open registry of the stand.
func upload(t *testing.T, repo tamper.Repository, store *verifytest.Store, dgst digest.Digest, tag string) {
	t.Helper()
	data := store.Get(dgst)
	var m struct {
		Config            ocispec.Descriptor
		Layers, Manifests []ocispec.Descriptor
	}
	require.NoError(t, json.Unmarshal(data, &m))
	for _, blob := range append(m.Layers, m.Config) {
		if blob.Digest != "" {
			_, err := repo.PutBlob(t.Context(), store.Get(blob.Digest))
			require.NoError(t, err)
		}
	}
	for _, part := range m.Manifests {
		upload(t, repo, store, part.Digest, part.Digest.String())
	}
	_, err := repo.PutManifest(t.Context(), tag, data)
	require.NoError(t, err)
}
