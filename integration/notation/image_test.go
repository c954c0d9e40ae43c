// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
)

// An image is one in a registry: an index of one platform's manifest. No other
// image has the same content.
type image struct {
	repo            tamper.Repository
	index, manifest digest.Digest
}

// push pushes an image with the tag v1 to a repository of the test.
func push(t *testing.T, host string) image {
	t.Helper()
	return pushTo(t, tamper.Repository{Host: host, Name: "t/" + harness.Name(t)}, "v1")
}

func pushTo(t *testing.T, repo tamper.Repository, tag string) image {
	t.Helper()
	platform := platforms.Normalize(platforms.DefaultSpec())
	layer := layerOf(t, t.Name()+tag)
	config := putJSON(t, repo, ocispecs.MediaTypeImageConfig, ocispecs.Image{
		Platform: platform, RootFS: ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
	})
	_, err := repo.PutBlob(t.Context(), layer)
	require.NoError(t, err)
	manifest := putManifest(t, repo, "", ocispecs.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageManifest, Config: config,
		Layers: []ocispecs.Descriptor{{MediaType: ocispecs.MediaTypeImageLayer, Digest: digest.FromBytes(layer), Size: int64(len(layer))}},
	})
	manifest.Platform = &platform
	index := putManifest(t, repo, tag, ocispecs.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageIndex, Manifests: []ocispecs.Descriptor{manifest},
	})
	return image{repo, index.Digest, manifest.Digest}
}

// layerOf is a layer with one file.
func layerOf(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "greeting", Mode: 0o644, Size: int64(len(text))}))
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func putJSON(t *testing.T, repo tamper.Repository, mediaType string, v any) ocispecs.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	dgst, err := repo.PutBlob(t.Context(), data)
	require.NoError(t, err)
	return ocispecs.Descriptor{MediaType: mediaType, Digest: dgst, Size: int64(len(data))}
}

// putManifest pushes a manifest or index under a tag, or its digest.
func putManifest(t *testing.T, repo tamper.Repository, tag string, v any) ocispecs.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var m struct{ MediaType, ArtifactType string }
	require.NoError(t, json.Unmarshal(data, &m))
	dgst := digest.FromBytes(data)
	if tag == "" {
		tag = dgst.String()
	}
	_, err = repo.PutManifest(t.Context(), tag, data)
	require.NoError(t, err)
	return ocispecs.Descriptor{MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: dgst, Size: int64(len(data))}
}

// at is the name of the image, or of a part of it.
func (i image) at(d digest.Digest) string { return i.repo.Host + "/" + i.repo.Name + "@" + d.String() }

// ref is the name of the index by digest.
func (i image) ref() string { return i.at(i.index) }

// fallback is the tag that stands in for the referrers API.
func fallback(d digest.Digest) string { return strings.Replace(d.String(), ":", "-", 1) }

// untag takes the fallback tag away.
func (i image) untag(t *testing.T) {
	t.Helper()
	url := "http://" + i.repo.Host + "/v2/" + i.repo.Name + "/manifests/" + fallback(i.index)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, url, nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusAccepted, answer.StatusCode)
}

// signatures are the manifests that the registry lists for a part of the image.
func signatures(t *testing.T, i image, of digest.Digest) []ocispecs.Manifest {
	t.Helper()
	var data []byte
	if i.repo.Host == withAPI {
		data = listed(t, i, of)
	} else {
		var err error
		data, err = i.repo.Manifest(t.Context(), fallback(of))
		require.NoError(t, err)
	}
	var list ocispecs.Index
	require.NoError(t, json.Unmarshal(data, &list))
	var manifests []ocispecs.Manifest
	for _, d := range list.Manifests {
		data, err := i.repo.Manifest(t.Context(), d.Digest.String())
		require.NoError(t, err)
		var m ocispecs.Manifest
		require.NoError(t, json.Unmarshal(data, &m))
		manifests = append(manifests, m)
	}
	require.NotEmpty(t, manifests)
	return manifests
}

// listed is the answer of the referrers API.
func listed(t *testing.T, i image, of digest.Digest) []byte {
	t.Helper()
	answer, err := http.Get("http://" + i.repo.Host + "/v2/" + i.repo.Name + "/referrers/" + of.String())
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusOK, answer.StatusCode)
	data, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return data
}

// refer has the registry list these signatures for the image, and where it has
// no API no others. With the API it goes by their subjects.
func refer(t *testing.T, i image, list ...ocispecs.Manifest) {
	t.Helper()
	index := ocispecs.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageIndex}
	for _, m := range list {
		index.Manifests = append(index.Manifests, putManifest(t, i.repo, "", m))
	}
	if i.repo.Host != withAPI {
		putManifest(t, i.repo, fallback(i.index), index)
	}
}

// layout copies the image to an OCI layout, with its tag.
func (i image) layout(t *testing.T) string {
	t.Helper()
	dir := harness.Folder(t, map[string]string{ocispecs.ImageLayoutFile: `{"imageLayoutVersion":"1.0.0"}`})
	put := func(dgst digest.Digest, data []byte) {
		harness.Write(t, dir, "blobs/sha256/"+dgst.Encoded(), string(data))
	}
	index, err := i.repo.Manifest(t.Context(), i.index.String())
	require.NoError(t, err)
	manifest, err := i.repo.Manifest(t.Context(), i.manifest.String())
	require.NoError(t, err)
	put(i.index, index)
	put(i.manifest, manifest)
	var m ocispecs.Manifest
	require.NoError(t, json.Unmarshal(manifest, &m))
	for _, d := range append(m.Layers, m.Config) {
		data, err := i.repo.Blob(t.Context(), d.Digest)
		require.NoError(t, err)
		put(d.Digest, data)
	}
	list, err := json.Marshal(ocispecs.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispecs.Descriptor{{
		MediaType: ocispecs.MediaTypeImageIndex, Digest: i.index, Size: int64(len(index)),
		Annotations: map[string]string{ocispecs.AnnotationRefName: "v1"},
	}}})
	require.NoError(t, err)
	harness.Write(t, dir, ocispecs.ImageIndexFile, string(list))
	return dir
}
