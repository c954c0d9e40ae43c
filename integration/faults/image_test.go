// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/verifytest"
)

const (
	signed   = true
	unsigned = false
)

// An image is busybox and a file that tells it from others.
type image struct {
	ref   string
	index digest.Digest
	store *verifytest.Store
	all   []digest.Digest // its documents and layers, the index last
}

// image makes one that the registry has. Each is another one.
func (n *node) image(sign bool) image {
	n.t.Helper()
	if !sign {
		return n.imageOf("app", nil)
	}
	return n.imageWith("app", verifytest.BundleOptions{})
}

// imageWith makes one that is signed in a way.
func (n *node) imageWith(repository string, how verifytest.BundleOptions) image {
	n.t.Helper()
	return n.imageOf(repository, func(subjects []provenance.Subject) []byte {
		return n.sigstore.Bundle(n.t, verifytest.Statement(n.t, subjects), how)
	})
}

func (n *node) imageOf(repository string, bundle func([]provenance.Subject) []byte) image {
	n.t.Helper()
	n.count++
	tag := fmt.Sprintf("v%d", n.count)
	i := image{ref: n.registry.addr + "/" + repository + ":" + tag, store: verifytest.NewStore()}
	base := n.layer("bin/busybox", busybox())
	own := n.layer("etc/name", []byte(tag))
	opts := verifytest.ImageOptions{
		Platforms: []string{"linux/" + runtime.GOARCH},
		Manifest: func(m *ocispec.Manifest) {
			m.Layers = []ocispec.Descriptor{i.store.Add(base, ocispec.MediaTypeImageLayer), i.store.Add(own, ocispec.MediaTypeImageLayer)}
			m.Config = i.store.AddJSON(n.t, ocispec.Image{
				Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
				Config:   ocispec.ImageConfig{Entrypoint: []string{"/bin/busybox", "sleep", "1000000"}},
				RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(base), digest.FromBytes(own)}},
			}, ocispec.MediaTypeImageConfig)
		},
	}
	opts.Bundle = bundle
	i.index = i.store.Image(n.t, opts).Index
	i.list(n, i.index)
	i.push(n, tamper.Repository{Host: n.registry.behind, Name: repository}, tag)
	return i
}

// list notes what an index leads to.
func (i *image) list(n *node, index digest.Digest) {
	var idx ocispec.Index
	require.NoError(n.t, json.Unmarshal(i.store.Get(index), &idx))
	for _, desc := range idx.Manifests {
		var m ocispec.Manifest
		require.NoError(n.t, json.Unmarshal(i.store.Get(desc.Digest), &m))
		for _, blob := range append(m.Layers, m.Config) {
			i.all = append(i.all, blob.Digest)
		}
		i.all = append(i.all, desc.Digest)
	}
	i.all = append(i.all, index)
}

func (i *image) push(n *node, to tamper.Repository, tag string) {
	for _, dgst := range i.all {
		data := i.store.Get(dgst)
		var m struct {
			MediaType string `json:"mediaType"`
		}
		_ = json.Unmarshal(data, &m)
		var err error
		switch {
		case dgst == i.index:
			_, err = to.PutManifest(n.t.Context(), tag, data)
		case m.MediaType == ocispec.MediaTypeImageManifest:
			_, err = to.PutManifest(n.t.Context(), dgst.String(), data)
		case !n.registry.pushed[to.Name+dgst.String()]:
			_, err = to.PutBlob(n.t.Context(), data)
			n.registry.pushed[to.Name+dgst.String()] = true
		}
		require.NoError(n.t, err)
	}
}

// importPast puts an image into containerd past every verifier.
func (n *node) importPast(i image) {
	n.t.Helper()
	files := map[string][]byte{
		ocispec.ImageLayoutFile: []byte(`{"imageLayoutVersion":"1.0.0"}`),
		ocispec.ImageIndexFile: n.document(ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2},
			Manifests: []ocispec.Descriptor{{
				MediaType: ocispec.MediaTypeImageIndex, Digest: i.index, Size: int64(len(i.store.Get(i.index))),
				Annotations: map[string]string{"io.containerd.image.name": i.ref},
			}},
		}),
	}
	for _, dgst := range i.all {
		files["blobs/sha256/"+dgst.Encoded()] = i.store.Get(dgst)
	}
	path := filepath.Join(n.t.TempDir(), "image.tar")
	require.NoError(n.t, os.WriteFile(path, n.archive(files), 0o600))
	out, err := harness.Output(n.t, n.Stand, "ctr", "--address", n.ContainerdAddress, "--namespace", "k8s.io", "images", "import", path)
	require.NoError(n.t, err, out)
	// CRI is told in the background.
	n.soon("CRI learns of "+i.ref, func() error {
		_, err := n.cri.ImageStatus(n.t.Context(), i.ref)
		return err
	})
}

func (n *node) layer(name string, data []byte) []byte {
	return n.archive(map[string][]byte{name: data})
}

func (n *node) document(v any) []byte {
	data, err := json.Marshal(v)
	require.NoError(n.t, err)
	return data
}

func (n *node) archive(files map[string][]byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, data := range files {
		require.NoError(n.t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data)), Format: tar.FormatUSTAR}))
		_, err := w.Write(data)
		require.NoError(n.t, err)
	}
	require.NoError(n.t, w.Close())
	return out.Bytes()
}

var busybox = sync.OnceValue(func() []byte {
	path, err := exec.LookPath("busybox")
	if err != nil {
		panic("busybox is not in PATH: run hack/tools")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return data
})
