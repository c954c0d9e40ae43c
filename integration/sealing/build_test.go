// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sealing

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
)

// An image is what a build exported as an OCI layout, with layers that are not
// compressed.
type image struct {
	dir      string
	log      string
	manifest digest.Digest
	layers   []digest.Digest
}

// sources are a Dockerfile without its syntax line, and other files.
type sources struct {
	dockerfile string
	files      map[string]string
}

// build builds with the plomb frontend on s.
func (src sources) build(t *testing.T, s *stand.Stand, args ...string) image {
	t.Helper()
	dest := filepath.Join(t.TempDir(), "image")
	log := src.run(t, s, "# syntax="+overlayfs.Frontend+"\n", append(args, "--build-arg", "PLOMB_SIGN=off", "--output", "type=oci,tar=false,compression=uncompressed,force-compression=true,dest="+dest)...)
	img := image{dir: dest, log: log}
	img.manifest = manifestOf(t, img)
	var manifest ocispecs.Manifest
	img.json(t, img.manifest, &manifest)
	for _, l := range manifest.Layers {
		img.layers = append(img.layers, l.Digest)
	}
	return img
}

// manifestOf follows the layout's indexes to the first platform's manifest.
func manifestOf(t *testing.T, img image) digest.Digest {
	t.Helper()
	var index ocispecs.Index
	img.blob(t, filepath.Join(img.dir, "index.json"), &index)
	for {
		d := index.Manifests[0].Digest
		index.Manifests = nil
		if img.json(t, d, &index); index.Manifests == nil {
			return d
		}
	}
}

// stock builds a base image with BuildKit's own frontend, and pushes it. Its
// creation time is that of the other bases; the times in it stay as they are.
func (src sources) stock(t *testing.T, name string) string {
	t.Helper()
	ref := overlayfs.Registry + "/sealing/" + name
	src.run(t, overlayfs, "", "--build-arg", "SOURCE_DATE_EPOCH="+strconv.FormatInt(created.Unix(), 10),
		"--output", "type=image,push=true,name="+ref)
	return ref
}

func (src sources) run(t *testing.T, s *stand.Stand, syntax string, args ...string) (log string) {
	t.Helper()
	dir := harness.Folder(t, src.files)
	harness.Write(t, dir, "Dockerfile", syntax+src.dockerfile)
	args = append([]string{"build", "--progress=plain", "--provenance=false"}, args...)
	return harness.Command{On: s, Args: append(args, dir)}.Must(t).All
}

// same builds on both daemons, twice without cache on the first, and returns
// the image that all builds made.
func (src sources) same(t *testing.T, args ...string) image {
	t.Helper()
	first := src.build(t, overlayfs, append(args, "--no-cache")...)
	again := src.build(t, overlayfs, append(args, "--no-cache")...)
	other := src.build(t, native, args...)
	require.Equal(t, first.layers, again.layers, "a second build without cache")
	require.Equal(t, first.manifest, again.manifest, "a second build without cache")
	require.Equal(t, first.layers, other.layers, "the native snapshotter")
	require.Equal(t, first.manifest, other.manifest, "the native snapshotter")
	return first
}

func (img image) path(d digest.Digest) string {
	return filepath.Join(img.dir, "blobs", "sha256", d.Encoded())
}

func (img image) json(t *testing.T, d digest.Digest, into any) {
	t.Helper()
	img.blob(t, img.path(d), into)
}

func (img image) blob(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, into))
}

// An entry is one of a layer's tar.
type entry struct {
	*tar.Header
	content string // unless it is large
}

// entries are those of layer i, by name; negative i counts from the top.
func (img image) entries(t *testing.T, i int) map[string]entry {
	t.Helper()
	if i < 0 {
		i += len(img.layers)
	}
	f, err := os.Open(img.path(img.layers[i]))
	require.NoError(t, err)
	defer f.Close()
	found := map[string]entry{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return found
		}
		require.NoError(t, err)
		e := entry{Header: h}
		if h.Size < 1<<20 {
			data, err := io.ReadAll(r)
			require.NoError(t, err)
			e.content = string(data)
		}
		found[h.Name] = e
	}
}

// base makes one of hack/base's images and returns its reference.
func base(t *testing.T, name string) string { return harness.Base(t, overlayfs, name) }
