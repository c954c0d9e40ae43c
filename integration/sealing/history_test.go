// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sealing

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// A base whose history does not tell of its layers: which of the history's
// entries are ours cannot be known, so what we build becomes one layer.
func TestOneLayerWhereHistoryDoesNotMatch(t *testing.T) {
	dir := sources{dockerfile: "FROM " + base(t, "busybox") + "\nRUN echo below > /below\n"}.build(t, overlayfs).dir
	withoutHistory(t, dir)
	src := sources{dockerfile: "FROM odd\nRUN echo 1 > /one && echo gone > /gone\nRUN rm /gone && echo 2 > /two\n"}
	img := src.same(t, "--build-context", "odd=oci-layout://"+dir)
	require.Contains(t, img.log, "[plomb] OneLayer")
	require.Len(t, img.layers, 2+1)
	entries := img.entries(t, -1)
	require.Len(t, entries, 2)
	require.Equal(t, "1\n", entries["one"].content)
	require.Equal(t, "2\n", entries["two"].content)
}

// withoutHistory takes the history out of the config of the image in an OCI layout.
func withoutHistory(t *testing.T, dir string) {
	t.Helper()
	img := image{dir: dir}
	img.manifest = manifestOf(t, img)
	var manifest ocispecs.Manifest
	img.json(t, img.manifest, &manifest)
	var config map[string]json.RawMessage
	img.json(t, manifest.Config.Digest, &config)
	delete(config, "history")
	manifest.Config = put(t, img, manifest.Config.MediaType, config)
	index := ocispecs.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageIndex,
		Manifests: []ocispecs.Descriptor{put(t, img, manifest.MediaType, manifest)}}
	index.Manifests[0].Annotations = map[string]string{ocispecs.AnnotationRefName: "latest"}
	data, err := json.Marshal(index)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), data, 0o644))
}

func put(t *testing.T, img image, mediaType string, v any) ocispecs.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	d := ocispecs.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	require.NoError(t, os.WriteFile(img.path(d.Digest), data, 0o644))
	return d
}
