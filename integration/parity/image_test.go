// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/provenance"
)

// A layout is an OCI layout with any number of images.
type layout struct{ dissect.Layout }

func openLayout(t testing.TB, path string) layout {
	t.Helper()
	return layout{dissect.ReadLayout(t, path)}
}

// requireSigned requires that the signature is about exactly the images that
// were exported.
func (l layout) requireSigned(t testing.TB) {
	t.Helper()
	var exported, foretold []string
	for _, d := range l.Index(t).Manifests {
		if d.Annotations["vnd.docker.reference.type"] != "" {
			continue
		}
		var m ocispecs.Manifest
		require.NoError(t, json.Unmarshal(l.Get(t, d.Digest.String()), &m))
		exported = append(exported, m.Config.Digest.Encoded())
		b := dissect.BundleOf(t, d)
		require.NotNil(t, b, "not signed")
		foretold = b.Subjects(provenance.SubjectImageID)
	}
	require.ElementsMatch(t, exported, foretold, "exported images and signed images")
}

// An image is one platform's, taken apart.
type image struct {
	config      map[string]any
	layers      []layer
	annotations map[string]string // of the manifest
	descriptor  map[string]string // of its descriptor, without the bundle and the time
}

type layer struct {
	diffID  digest.Digest
	entries []entry
}

// An entry is one header of a layer's tar.
type entry struct {
	name string
	time time.Time
	tar  *tar.Header
	node node
}

// images are those of the index that are no attestations, by platform.
func (l layout) images(t testing.TB) map[string]image {
	t.Helper()
	all := map[string]image{}
	for _, d := range l.Index(t).Manifests {
		if d.Annotations["vnd.docker.reference.type"] != "" {
			continue
		}
		var m ocispecs.Manifest
		require.NoError(t, json.Unmarshal(l.Get(t, d.Digest.String()), &m))
		img := image{annotations: m.Annotations, descriptor: map[string]string{}}
		for key, value := range d.Annotations {
			switch {
			case key == provenance.BundleAnnotation, key == ocispecs.AnnotationCreated:
			case strings.HasPrefix(key, "containerd.io/distribution.source."): // where the daemon pushed it before
			default:
				img.descriptor[key] = value
			}
		}
		require.NoError(t, json.Unmarshal(l.Get(t, m.Config.Digest.String()), &img.config))
		for _, layer := range m.Layers {
			img.layers = append(img.layers, readLayer(t, l.Get(t, layer.Digest.String())))
		}
		p := img.config
		name := strings.TrimSuffix(p["os"].(string)+"/"+p["architecture"].(string)+"/"+text(p["variant"]), "/")
		require.NotContains(t, all, name)
		all[name] = img
	}
	return all
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func readLayer(t testing.TB, data []byte) layer {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	plain, err := io.ReadAll(zr)
	require.NoError(t, err)
	l := layer{diffID: digest.FromBytes(plain)}
	for tr := tar.NewReader(bytes.NewReader(plain)); ; {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return l
		}
		require.NoError(t, err)
		content, err := io.ReadAll(tr)
		require.NoError(t, err)
		l.entries = append(l.entries, entry{name: hdr.Name, time: hdr.ModTime, tar: hdr, node: newNode(hdr, content)})
	}
}

// created is T, or SOURCE_DATE_EPOCH where that was given: no file of the
// build is later than either.
func (i image) created() time.Time {
	created, err := time.Parse(time.RFC3339Nano, text(i.config["created"]))
	if err != nil {
		return time.Time{} // every file is later
	}
	return created
}

// settled is the config without what is documented to differ: times, and the
// digests of layers, which depend on them.
func (i image) settled() map[string]any {
	config := map[string]any{}
	for key, value := range i.config {
		switch key {
		case "created":
		case "rootfs":
			ids, _ := value.(map[string]any)["diff_ids"].([]any)
			config["layers"] = len(ids)
		case "history":
			var list []any
			for _, h := range value.([]any) {
				kept := map[string]any{}
				for k, v := range h.(map[string]any) {
					if k != "created" {
						kept[k] = v
					}
				}
				list = append(list, kept)
			}
			config["history"] = list
		default:
			config[key] = value
		}
	}
	return config
}

func commonLayers(a, b image) int {
	n := 0
	for n < min(len(a.layers), len(b.layers)) && a.layers[n].diffID == b.layers[n].diffID {
		n++
	}
	return n
}
