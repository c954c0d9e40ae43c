// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"crypto"
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// smuggle puts an unsigned image beside a signed one, as its signature: under
// the tag of one, or as a referrer.
func smuggle(t *testing.T, s *stand, signer crypto.Signer, how func(subject digest.Digest, stranger ocispec.Descriptor) []ocispec.Descriptor) (files map[string][]byte, stranger digest.Digest) {
	t.Helper()
	files = s.layout(signer, named(name))
	var idx ocispec.Index
	require.NoError(t, json.Unmarshal(files[ocispec.ImageIndexFile], &idx))
	add := func(data []byte, mediaType string) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		files["blobs/sha256/"+d.Digest.Encoded()] = data
		return d
	}
	layer := add([]byte("malware"), ocispec.MediaTypeImageLayer)
	config := add([]byte(`{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["`+layer.Digest.String()+`"]}}`), ocispec.MediaTypeImageConfig)
	manifest, err := json.Marshal(ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{layer}, Subject: &idx.Manifests[0]})
	require.NoError(t, err)
	image := add(manifest, ocispec.MediaTypeImageManifest)
	nested, err := json.Marshal(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{image}})
	require.NoError(t, err)
	add(nested, ocispec.MediaTypeImageIndex)
	files[ocispec.ImageIndexFile] = index(t, append(idx.Manifests, how(idx.Manifests[0].Digest, image)...)...)
	return files, image.Digest
}

// An image that was signed brings its signatures along into containerd's store.
// What is called a signature and could be run is not among them: a pod could
// name it, and where containers are not looked at when they are created, start it.
func TestImagesAreNoSignatures(t *testing.T) {
	tag := func(d ocispec.Descriptor, tag string) ocispec.Descriptor {
		d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
		return d
	}
	for title, how := range map[string]func(subject digest.Digest, stranger ocispec.Descriptor) []ocispec.Descriptor{
		"under the tag of a signature": func(subject digest.Digest, stranger ocispec.Descriptor) []ocispec.Descriptor {
			return []ocispec.Descriptor{tag(stranger, "sha256-"+subject.Encoded()+".sig")}
		},
		"under the tag of an SBOM of nothing": func(_ digest.Digest, stranger ocispec.Descriptor) []ocispec.Descriptor {
			return []ocispec.Descriptor{tag(stranger, "sha256-"+strings.Repeat("0", 64)+".sbom")}
		},
		"in an index": func(subject digest.Digest, stranger ocispec.Descriptor) []ocispec.Descriptor {
			nested, err := json.Marshal(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{stranger}})
			require.NoError(t, err)
			return []ocispec.Descriptor{tag(ocispec.Descriptor{
				MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(nested), Size: int64(len(nested)),
			}, "sha256-"+subject.Encoded()+".att")}
		},
		"as a referrer": func(_ digest.Digest, stranger ocispec.Descriptor) []ocispec.Descriptor {
			stranger.ArtifactType = "application/vnd.dev.sigstore.bundle.v0.3+json"
			return []ocispec.Descriptor{stranger}
		},
	} {
		t.Run(title, func(t *testing.T) {
			s := newStand(t)
			files, stranger := smuggle(t, s, s.key, how)
			report, err := Import(t.Context(), s.request(pack(t, files)))
			require.NoError(t, err)
			require.True(t, report.Loaded, report.Images)
			for _, blob := range []digest.Digest{stranger, digest.FromString("malware")} {
				_, loaded := s.loaded["blobs/sha256/"+blob.Encoded()]
				require.False(t, loaded, blob)
			}
		})
	}
}
