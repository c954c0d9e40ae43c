// SPDX-License-Identifier: Apache-2.0

//go:build integration

package nri

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
)

// An image is busybox and a file that tells it from others.
type image struct {
	layer, config, manifest, index []byte
}

func newImage(t testing.TB, content string) image {
	t.Helper()
	path, err := exec.LookPath("busybox")
	require.NoError(t, err, "run hack/tools")
	busybox, err := os.ReadFile(path)
	require.NoError(t, err)
	var i image
	i.layer = archive(t, map[string][]byte{"bin/busybox": busybox, "content/name": []byte(content)})
	platform := ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	i.config = document(t, ocispec.Image{
		Platform: platform,
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/bin/busybox", "sleep", "1000000"}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(i.layer)}},
	})
	i.manifest = document(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: descriptor(ocispec.MediaTypeImageConfig, i.config),
		Layers: []ocispec.Descriptor{descriptor(ocispec.MediaTypeImageLayer, i.layer)},
	})
	entry := descriptor(ocispec.MediaTypeImageManifest, i.manifest)
	entry.Platform = &platform
	i.index = document(t, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{entry},
	})
	return i
}

// target is the digest that a pull of the image gives.
func (i image) target() digest.Digest { return digest.FromBytes(i.index) }

// save writes an OCI layout for ctr images import.
func (i image) save(t testing.TB, name string) string {
	t.Helper()
	entry := descriptor(ocispec.MediaTypeImageIndex, i.index)
	entry.Annotations = map[string]string{"io.containerd.image.name": name}
	files := map[string][]byte{
		ocispec.ImageLayoutFile: []byte(`{"imageLayoutVersion":"1.0.0"}`),
		ocispec.ImageIndexFile: document(t, ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{entry},
		}),
	}
	for _, data := range [][]byte{i.layer, i.config, i.manifest, i.index} {
		files["blobs/sha256/"+digest.FromBytes(data).Encoded()] = data
	}
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(path, archive(t, files), 0o644))
	return path
}

// push puts the image into the registry of the node.
func (i image) push(n *node, name string) string {
	n.t.Helper()
	r := tamper.Repository{Host: n.Registry, Name: name}
	for _, data := range [][]byte{i.layer, i.config} {
		_, err := r.PutBlob(n.t.Context(), data)
		require.NoError(n.t, err)
	}
	_, err := r.PutManifest(n.t.Context(), digest.FromBytes(i.manifest).String(), i.manifest)
	require.NoError(n.t, err)
	_, err = r.PutManifest(n.t.Context(), "1", i.index)
	require.NoError(n.t, err)
	return r.Ref("1")
}

// load imports the image into containerd as name.
func (i image) load(n *node, name string) string {
	n.t.Helper()
	n.ctr("images", "import", i.save(n.t, name))
	i.arrives(n, name)
	return name
}

// arrives waits until CRI, which is told in the background, knows the image by
// that name.
func (i image) arrives(n *node, name string) {
	n.t.Helper()
	n.eventually("CRI does not learn of "+name, func() bool {
		status, err := n.ImageStatus(n.t.Context(), name)
		return err == nil && status.GetId() == digest.FromBytes(i.config).String()
	})
}

func (n *node) ctr(args ...string) {
	n.t.Helper()
	out, err := harness.Output(n.t, n.Stand, "ctr", append([]string{"--address", n.ContainerdAddress, "--namespace", "k8s.io"}, args...)...)
	require.NoError(n.t, err, out)
}

func descriptor(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

func document(t testing.TB, v any) []byte {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

func archive(t testing.TB, files map[string][]byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, data := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data)), Format: tar.FormatUSTAR}))
		_, err := w.Write(data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}
