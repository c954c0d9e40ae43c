// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/internal/document"
)

// A shelf is a store in memory.
type shelf map[digest.Digest][]byte

func (s shelf) Open(_ context.Context, _ document.Kind, d digest.Digest) (io.ReadCloser, error) {
	data, ok := s[d]
	if !ok {
		return nil, fmt.Errorf("no %s", d)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (s shelf) Referrers(context.Context, digest.Digest) ([]ocispec.Descriptor, error) {
	return nil, nil
}

func (s shelf) Tagged(context.Context, string) (digest.Digest, error) { return "", nil }

func (s shelf) Requests() int { return 0 }

func (s shelf) add(data []byte, mediaType string) ocispec.Descriptor {
	d := digest.FromBytes(data)
	s[d] = data
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
}

func (s shelf) json(t *testing.T, v any, mediaType string) ocispec.Descriptor {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return s.add(data, mediaType)
}

// A layer is its files; a header without a name gets the key.
type layer map[string]tar.Header

func file(text string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text)), Uname: text}
}

// tarball writes the files; content travels in Uname.
func (l layer) tarball(t *testing.T) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	var names []string
	for name := range l {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		hdr := l[name]
		text := hdr.Uname
		hdr.Name, hdr.Uname, hdr.Format = name, "", tar.FormatPAX
		if hdr.ModTime.IsZero() {
			hdr.ModTime = time.Unix(1000, 0)
		}
		require.NoError(t, w.WriteHeader(&hdr))
		if hdr.Typeflag == tar.TypeReg {
			_, err := io.WriteString(w, text)
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return buf.Bytes()
}

func gzipped(t *testing.T, data []byte, level int) []byte {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, level)
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

// A making is how an image is put into a shelf.
type making struct {
	layers      []layer
	env         string
	compress    func(data []byte) ([]byte, string)
	annotations map[string]string
}

func (m making) put(t *testing.T, s shelf) digest.Digest {
	if m.compress == nil {
		m.compress = func(data []byte) ([]byte, string) {
			return gzipped(t, data, gzip.DefaultCompression), ocispec.MediaTypeImageLayerGzip
		}
	}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, Config: ocispec.ImageConfig{Env: []string{m.env}}}
	doc := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Annotations: m.annotations}
	for i, l := range m.layers {
		data := l.tarball(t)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(data))
		config.History = append(config.History, ocispec.History{CreatedBy: fmt.Sprintf("RUN step %d", i)}, ocispec.History{CreatedBy: "ENV", EmptyLayer: true})
		packed, mediaType := m.compress(data)
		doc.Layers = append(doc.Layers, s.add(packed, mediaType))
	}
	doc.Config = s.json(t, config, ocispec.MediaTypeImageConfig)
	return s.json(t, doc, ocispec.MediaTypeImageManifest).Digest
}

// compared is the report on two images.
func compared(t *testing.T, a, b making) (*Report, error) {
	x, y := shelf{}, shelf{}
	return comparedIn(t, x, a.put(t, x), y, b.put(t, y))
}

func comparedIn(t *testing.T, x shelf, a digest.Digest, y shelf, b digest.Digest) (*Report, error) {
	var m ocispec.Manifest
	require.NoError(t, json.Unmarshal(x[a], &m))
	o := &Original{Manifest: image.Manifest{Entry: ocispec.Descriptor{Digest: a}, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, Manifest: &m}}
	r := &Report{Verdict: Undecided}
	return r, Compare(t.Context(), r, o, x, b, y)
}

var plainLayers = []layer{
	{"etc/": {Typeflag: tar.TypeDir, Mode: 0o755}, "etc/passwd": file("root")},
	{"app": file("program"), "link": {Typeflag: tar.TypeSymlink, Linkname: "app", Mode: 0o777}},
}

func TestCompareIdentical(t *testing.T) {
	r, err := compared(t, making{layers: plainLayers}, making{layers: plainLayers})
	require.NoError(t, err)
	require.Equal(t, Identical, r.Verdict)
	require.True(t, r.SameManifest && r.SameImageID)
	require.Empty(t, r.Manifest)
}

// The same files, packed otherwise.
func TestCompareSameImageID(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	for says, other := range map[string]making{
		"layer 0: the same content, compressed otherwise": {compress: func(data []byte) ([]byte, string) {
			return gzipped(t, data, gzip.BestSpeed), ocispec.MediaTypeImageLayerGzip
		}},
		"layer 1: application/vnd.oci.image.layer.v1.tar+gzip, rebuilt as application/vnd.oci.image.layer.v1.tar+zstd": {compress: func(data []byte) ([]byte, string) {
			return encoder.EncodeAll(data, nil), ocispec.MediaTypeImageLayerZstd
		}},
		"rebuilt with map[a:b]": {annotations: map[string]string{"a": "b"}},
	} {
		other.layers = plainLayers
		r, err := compared(t, making{layers: plainLayers}, other)
		require.NoError(t, err)
		require.Equal(t, Identical, r.Verdict)
		require.True(t, r.SameImageID)
		require.False(t, r.SameManifest)
		require.Contains(t, strings.Join(r.Manifest, "\n"), says)
		require.Contains(t, r.Reason, "the manifest is not")
	}
}

func TestCompareDiffers(t *testing.T) {
	changedLayers := []layer{plainLayers[0], {
		"app":  {Typeflag: tar.TypeReg, Mode: 0o755, Uid: 5, Size: 7, Uname: "program", ModTime: time.Unix(1001, 0)},
		"link": {Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd", Mode: 0o777},
		"caps": {Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}},
	}}
	uncompressed := func(data []byte) ([]byte, string) { return data, ocispec.MediaTypeImageLayer }
	r, err := compared(t, making{layers: plainLayers}, making{layers: changedLayers, env: "A=b", compress: uncompressed})
	require.NoError(t, err)
	require.Equal(t, Differs, r.Verdict)
	require.Equal(t, []Member{{Name: "config.Env", Original: `[""]`, Rebuilt: `["A=b"]`}}, r.Config)
	require.Len(t, r.Layers, 1)
	l := r.Layers[0]
	require.Equal(t, 1, l.Index)
	require.Equal(t, "RUN step 1", l.Instruction)
	require.Equal(t, 3, l.Differences)
	require.Equal(t, "/app", l.Files[0].Path)
	require.Equal(t, []string{"mode", "owner", "mtime"}, l.Files[0].Differs)
	require.Equal(t, Source, l.Files[0].Cause)
	require.Equal(t, onlyRebuilt, l.Files[1].Change)
	require.Equal(t, []string{"link"}, l.Files[2].Differs)
	require.Contains(t, r.Reason, "3 files in 1 layers differ")
}

func TestCompareConfigOnly(t *testing.T) {
	r, err := compared(t, making{layers: plainLayers}, making{layers: plainLayers, env: "A=b"})
	require.NoError(t, err)
	require.Equal(t, Differs, r.Verdict)
	require.Empty(t, r.Layers)
	require.Contains(t, r.Reason, "the image config differs")
}

func TestCompareLayerCount(t *testing.T) {
	r, err := compared(t, making{layers: plainLayers[:1]}, making{layers: plainLayers})
	require.NoError(t, err)
	require.Len(t, r.Layers, 1)
	require.Equal(t, "only one of the images has this layer", r.Layers[0].Note)
	require.Equal(t, "RUN step 1", r.Layers[0].Instruction)
}

// What a list holds is bounded; what is counted is not.
func TestCompareManyFiles(t *testing.T) {
	many := func(text string) layer {
		l := layer{}
		for i := range maxListed + 5 {
			l[fmt.Sprintf("f%05d", i)] = file(text)
		}
		return l
	}
	r, err := compared(t, making{layers: []layer{many("2026-11-22")}}, making{layers: []layer{many("2026-11-23")}})
	require.NoError(t, err)
	require.Equal(t, maxListed+5, r.Layers[0].Differences)
	require.Len(t, r.Layers[0].Files, maxListed)
	require.Equal(t, Time, r.Layers[0].Files[maxRead-1].Cause)
	require.Equal(t, Unknown, r.Layers[0].Files[maxRead].Cause, "not looked into")
}

// Layers come from a registry: bytes that are not what was asked for, that go
// on for ever, or that are no layer, are an error and never a difference.
func TestLayersOfALiar(t *testing.T) {
	x, y := shelf{}, shelf{}
	a := making{layers: plainLayers}.put(t, x)
	b := making{layers: []layer{plainLayers[0], {"app": file("other")}}}.put(t, y)
	var m ocispec.Manifest
	require.NoError(t, json.Unmarshal(x[a], &m))
	victim := m.Layers[1]
	good := x[victim.Digest]
	for name, tc := range map[string]struct {
		data []byte
		is   error
	}{
		"another layer":    {layer{"app": file("evil")}.tarball(t), nil},
		"the right one":    {good, nil},
		"other bytes":      {gzipped(t, layer{"app": file("evil")}.tarball(t), 1), nil},
		"more bytes":       {append(slices.Clone(good), make([]byte, 100)...), limit.ErrTooLarge},
		"no gzip":          {[]byte("hello"), ErrLayer},
		"half of it":       {good[:len(good)/2], nil},
		"nothing":          {nil, ErrLayer},
		"gzip, but no tar": {gzipped(t, bytes.Repeat([]byte("x"), 600), 1), ErrLayer},
	} {
		t.Run(name, func(t *testing.T) {
			x[victim.Digest] = tc.data
			r, err := comparedIn(t, x, a, y, b)
			if name == "the right one" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			require.Empty(t, r.Layers)
		})
	}
	// The manifest is not signed: it may name a layer that is not the one of
	// the config, with a digest that fits.
	swapped := m
	swapped.Layers = slices.Clone(m.Layers)
	swapped.Layers[1] = x.add(gzipped(t, layer{"app": file("evil")}.tarball(t), 1), ocispec.MediaTypeImageLayerGzip)
	x[victim.Digest] = good
	o := &Original{Manifest: image.Manifest{Entry: ocispec.Descriptor{Digest: a}, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}, Manifest: &swapped}}
	o.Manifest.Entry.Digest = digest.FromString("swapped")
	require.ErrorIs(t, Compare(t.Context(), &Report{}, o, x, b, y), document.ErrDigest)

	// Nor is it the same image then, though the config is.
	same := shelf{}
	again := making{layers: plainLayers}.put(t, same)
	require.ErrorIs(t, Compare(t.Context(), &Report{}, o, x, again, same), document.ErrDigest)

	m.Layers[1].MediaType = "application/vnd.oci.image.layer.v1.tar+lz4"
	o.Manifest.Manifest = &m
	require.ErrorIs(t, Compare(t.Context(), &Report{}, o, x, b, y), ErrLayer)

	m.Layers[1].MediaType = ocispec.MediaTypeImageLayerGzip
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Compare(ctx, &Report{}, o, x, b, y), context.Canceled)
}

func TestMembers(t *testing.T) {
	got, err := members([]byte(`{"config":{"Labels":{"a":"1"},"Env":["x"]},"history":[{"created_by":"a"},{"created_by":"b"}],"created":"1"}`),
		[]byte(`{"config":{"Labels":{"a":"2"},"Env":["x"]},"history":[{"created_by":"a"},{"created_by":"c"}],"rootfs":{"diff_ids":["x"]}}`))
	require.NoError(t, err)
	require.Equal(t, []Member{
		{"config.Labels.a", `"1"`, `"2"`}, {"created", `"1"`, ""}, {"history[1]", `{"created_by":"b"}`, `{"created_by":"c"}`},
	}, got)
	require.Len(t, short(strings.Repeat("x", maxValue+1)), maxValue+len("…"))
}
