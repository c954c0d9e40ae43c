// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
)

// A store has manifests by digest or, for a registry, by tag.
type store interface {
	get(t testing.TB, name string) []byte
}

// An image is a pushed or exported image, taken apart.
type image struct {
	digest   digest.Digest // of the index, or of the manifest where there is none
	index    *ocispecs.Index
	manifest digest.Digest // of linux/amd64, or of the only one
	config   digest.Digest
	// configDescriptor is the manifest's, for config.
	configDescriptor ocispecs.Descriptor
	layers           []ocispecs.Descriptor
	statement        *provenance.Statement // of the bundle in the annotation, or nil
	bundle           []byte
}

// open takes the image called name apart.
func open(t testing.TB, s store, name string) image {
	t.Helper()
	data := s.get(t, name)
	img := image{digest: digest.FromBytes(data), manifest: digest.FromBytes(data)}
	var index ocispecs.Index
	require.NoError(t, json.Unmarshal(data, &index))
	if len(index.Manifests) > 0 {
		img.index = &index
		d := index.Manifests[0]
		img.manifest = d.Digest
		if b64 := d.Annotations[provenance.BundleAnnotation]; b64 != "" {
			var err error
			img.bundle, err = base64.StdEncoding.DecodeString(b64)
			require.NoError(t, err)
			img.statement = statement(t, img.bundle)
		}
		data = s.get(t, d.Digest.String())
	}
	var m ocispecs.Manifest
	require.NoError(t, json.Unmarshal(data, &m))
	img.config, img.configDescriptor, img.layers = m.Config.Digest, m.Config, m.Layers
	return img
}

func statement(t testing.TB, bundle []byte) *provenance.Statement {
	t.Helper()
	var b struct {
		DSSE struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(bundle, &b))
	s, err := provenance.ParseStatement(b.DSSE.Payload)
	require.NoError(t, err)
	return s
}

// A registry is one repository of the stand's registry.
type registry struct{ tamper.Repository }

// repository takes a reference apart: host/repo:tag.
func repository(t testing.TB, ref string) (registry, string) {
	t.Helper()
	r, tag, err := tamper.Parse(ref)
	require.NoError(t, err)
	return registry{r}, tag
}

func pushed(t testing.TB, ref string) image {
	t.Helper()
	r, tag := repository(t, ref)
	return open(t, r, tag)
}

func (r registry) get(t testing.TB, name string) []byte {
	t.Helper()
	data, err := r.Manifest(t.Context(), name)
	require.NoError(t, err)
	return data
}

// A layout is an OCI layout in a tar file.
type layout map[string][]byte

func readLayout(t testing.TB, path string) layout {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	l := layout{}
	for tr := tar.NewReader(f); ; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return l
		}
		require.NoError(t, err)
		l[hdr.Name], err = io.ReadAll(tr)
		require.NoError(t, err)
	}
}

func (l layout) get(t testing.TB, name string) []byte {
	t.Helper()
	data, ok := l["blobs/sha256/"+strings.TrimPrefix(name, "sha256:")]
	require.True(t, ok, "the layout has no %s", name)
	return data
}

// exported takes apart the only image of an OCI layout.
func exported(t testing.TB, path string) image {
	t.Helper()
	l := readLayout(t, path)
	var index ocispecs.Index
	require.NoError(t, json.Unmarshal(l["index.json"], &index))
	require.Len(t, index.Manifests, 1)
	return open(t, l, index.Manifests[0].Digest.String())
}
