// SPDX-License-Identifier: Apache-2.0

//go:build integration

package doctor

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// unsigned pushes an image that nobody signed and no policy admits, with content
// that containerd has not seen yet, and returns its name.
func unsigned(t *testing.T) string {
	t.Helper()
	noise := make([]byte, 64)
	_, err := rand.Read(noise)
	require.NoError(t, err)
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "evil", Mode: 0o755, Size: int64(len(noise)), Format: tar.FormatUSTAR}))
	_, err = w.Write(noise)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	config := marshal(t, ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer.Bytes())}},
	})
	repository := "attack/" + digest.FromBytes(noise).Encoded()[:12]
	manifest := marshal(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: blob(t, repository, ocispec.MediaTypeImageConfig, config),
		Layers: []ocispec.Descriptor{blob(t, repository, ocispec.MediaTypeImageLayer, layer.Bytes())},
	})
	send(t, http.MethodPut, "http://"+on.Registry+"/v2/"+repository+"/manifests/v1", ocispec.MediaTypeImageManifest, manifest, http.StatusCreated)
	return on.Registry + "/" + repository + ":v1"
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

// blob uploads in two requests (distribution specification, Pushing blobs).
func blob(t *testing.T, repository, mediaType string, data []byte) ocispec.Descriptor {
	t.Helper()
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	location := send(t, http.MethodPost, "http://"+on.Registry+"/v2/"+repository+"/blobs/uploads/", "", nil, http.StatusAccepted)
	if strings.HasPrefix(location, "/") {
		location = "http://" + on.Registry + location
	}
	u, err := url.Parse(location)
	require.NoError(t, err)
	q := u.Query()
	q.Set("digest", desc.Digest.String())
	u.RawQuery = q.Encode()
	send(t, http.MethodPut, u.String(), "application/octet-stream", data, http.StatusCreated)
	return desc
}

func send(t *testing.T, method, to, mediaType string, body []byte, want int) (location string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, bytes.NewReader(body))
	require.NoError(t, err)
	if mediaType != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, want, resp.StatusCode, to)
	return resp.Header.Get("Location")
}

// getsIn shows that the attack works: an unsigned image is really pulled.
func getsIn(t *testing.T) {
	t.Helper()
	k, name := kubelet(t), unsigned(t)
	_, err := k.PullImage(t.Context(), name)
	require.NoError(t, err, "the setting does not do what docs/doctor.md says")
	require.NoError(t, k.RemoveImage(t.Context(), name))
}

// staysOut shows that it does not any more.
func staysOut(t *testing.T) {
	t.Helper()
	_, err := kubelet(t).PullImage(t.Context(), unsigned(t))
	require.ErrorContains(t, err, "verifier plomb-verifier rejected image")
}
