// SPDX-License-Identifier: Apache-2.0

//go:build integration

package node

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// unsigned imports an image that nobody signed, and returns its name. Each name
// is another image.
func (m *machine) unsigned(name string) string {
	m.t.Helper()
	path, err := exec.LookPath("busybox")
	require.NoError(m.t, err, "run hack/tools")
	busybox, err := os.ReadFile(path)
	require.NoError(m.t, err)
	layer := m.archive(map[string][]byte{"bin/busybox": busybox, "etc/name": []byte(name)})
	platform := ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}
	config := m.document(ocispec.Image{
		Platform: platform, Config: ocispec.ImageConfig{Entrypoint: []string{"/bin/busybox", "sleep", "1000000"}},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
	})
	manifest := m.document(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: describe(ocispec.MediaTypeImageConfig, config), Layers: []ocispec.Descriptor{describe(ocispec.MediaTypeImageLayer, layer)},
	})
	ref := m.Registry + "/test/" + name + ":v1"
	entry := describe(ocispec.MediaTypeImageManifest, manifest)
	entry.Platform, entry.Annotations = &platform, map[string]string{"io.containerd.image.name": ref}
	files := map[string][]byte{
		ocispec.ImageLayoutFile: []byte(`{"imageLayoutVersion":"1.0.0"}`),
		ocispec.ImageIndexFile: m.document(ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{entry},
		}),
	}
	for _, data := range [][]byte{layer, config, manifest} {
		files["blobs/sha256/"+digest.FromBytes(data).Encoded()] = data
	}
	file := filepath.Join(harness.Dir(m.t), "image.tar")
	require.NoError(m.t, os.WriteFile(file, m.archive(files), 0o600))
	out, err := harness.Output(m.t, m.Stand, "ctr", "--address", m.ContainerdAddress, "--namespace", "k8s.io", "images", "import", file)
	require.NoError(m.t, err, out)
	// CRI is told in the background.
	m.eventually("CRI learns of "+ref, func() error {
		_, err := m.ImageStatus(m.t.Context(), ref)
		return err
	})
	return ref
}

func describe(mediaType string, data []byte) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

func (m *machine) document(v any) []byte {
	data, err := json.Marshal(v)
	require.NoError(m.t, err)
	return data
}

func (m *machine) archive(files map[string][]byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, data := range files {
		require.NoError(m.t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data)), Format: tar.FormatPAX}))
		_, err := w.Write(data)
		require.NoError(m.t, err)
	}
	require.NoError(m.t, w.Close())
	return out.Bytes()
}
