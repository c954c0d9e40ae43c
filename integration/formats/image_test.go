// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
)

const dockerReference = "vnd.docker.reference.digest"

// An image is a copy that belongs to one case: nobody else's signatures are in
// its repository.
type image struct {
	repo tamper.Repository
	// index, manifest and attestation are its parts; index and attestation are
	// empty for a bare manifest.
	index, manifest, attestation digest.Digest
}

// top is what the tag names.
func (i image) top() digest.Digest {
	if i.index == "" {
		return i.manifest
	}
	return i.index
}

// tagged is its name, as users write it.
func (i image) tagged() string { return i.repo.Ref("v1") }

// at is the name of one of its parts.
func (i image) at(d digest.Digest) string { return i.repo.Host + "/" + i.repo.Name + "@" + d.String() }

// clone copies the image to a repository of the test on the registry host.
func clone(t *testing.T, from, host string) image {
	t.Helper()
	return cloneTo(t, from, tamper.Repository{Host: host, Name: "t/" + harness.Name(t)})
}

func cloneTo(t *testing.T, from string, to tamper.Repository) image {
	t.Helper()
	source, tag := dissect.Registry(t, from)
	top := dissect.Pull(t, from)
	i := image{repo: to, manifest: top.ManifestDigest}
	if top.Index != nil {
		i.index = top.Digest
		for _, d := range top.Index.Manifests {
			copyManifest(t, source, to, d.Digest)
			if d.Annotations[dockerReference] == i.manifest.String() {
				i.attestation = d.Digest
			}
		}
	} else {
		copyManifest(t, source, to, top.Digest)
	}
	data, err := source.Manifest(t.Context(), tag)
	require.NoError(t, err)
	_, err = to.PutManifest(t.Context(), "v1", data)
	require.NoError(t, err)
	return i
}

// bareIn copies the platform's manifest alone.
func bareIn(t *testing.T, from string, to tamper.Repository) image {
	t.Helper()
	source, _ := dissect.Registry(t, from)
	manifest := dissect.Pull(t, from).ManifestDigest
	copyManifest(t, source, to, manifest)
	data, err := source.Manifest(t.Context(), manifest.String())
	require.NoError(t, err)
	_, err = to.PutManifest(t.Context(), "v1", data)
	require.NoError(t, err)
	return image{repo: to, manifest: manifest}
}

// copyManifest copies a manifest and its blobs, under its digest.
func copyManifest(t *testing.T, from, to tamper.Repository, dgst digest.Digest) {
	t.Helper()
	data, err := from.Manifest(t.Context(), dgst.String())
	require.NoError(t, err)
	var m ocispecs.Manifest
	require.NoError(t, json.Unmarshal(data, &m))
	for _, d := range append(m.Layers, m.Config) {
		blob, err := from.Blob(t.Context(), d.Digest)
		require.NoError(t, err)
		_, err = to.PutBlob(t.Context(), blob)
		require.NoError(t, err)
	}
	_, err = to.PutManifest(t.Context(), dgst.String(), data)
	require.NoError(t, err)
}

// embed writes a bundle on the platform's entry in the index, as plomb does,
// and returns the image with that index.
func embed(t *testing.T, i image, bundle []byte) image {
	t.Helper()
	require.NoError(t, i.repo.Index(t.Context(), "v1", "v1", func(idx *ocispecs.Index) error {
		idx.Manifests[0].Annotations = map[string]string{
			provenance.BundleAnnotation: base64.StdEncoding.EncodeToString(bundle),
		}
		return nil
	}))
	data, err := i.repo.Manifest(t.Context(), "v1")
	require.NoError(t, err)
	i.index = digest.FromBytes(data)
	return i
}
