// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Of cosign's old form of signatures
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
const (
	typeSimpleSigning   = "application/vnd.dev.cosign.simplesigning.v1+json"
	annotationSignature = "dev.cosignproject.cosign/signature"
)

// An image is one canary: some random bytes that nobody has verified before,
// and a program that is not there.
type image struct {
	// name is what it is pulled as.
	name string
	// repository is its name on the registry.
	repository string
	manifest   ocispec.Descriptor
	blobs      map[digest.Digest][]byte
	types      map[digest.Digest]string
	tags       map[string]digest.Digest
}

const canaryTag = "canary"

// newImage makes one with content of its own.
func newImage(host, repository string) (*image, error) {
	noise := make([]byte, 32)
	if _, err := rand.Read(noise); err != nil {
		return nil, err
	}
	layer, err := tarOf(file{"plomb-canary", noise})
	if err != nil {
		return nil, err
	}
	img := &image{
		name: host + "/" + repository + ":" + canaryTag, repository: repository,
		blobs: map[digest.Digest][]byte{}, types: map[digest.Digest]string{}, tags: map[string]digest.Digest{},
	}
	config, err := json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/plomb-canary"}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
	})
	if err != nil {
		return nil, err
	}
	img.manifest, err = img.addManifest(canaryTag, img.add(config, ocispec.MediaTypeImageConfig), img.add(layer, ocispec.MediaTypeImageLayer))
	return img, err
}

func (img *image) add(data []byte, mediaType string) ocispec.Descriptor {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	img.blobs[desc.Digest], img.types[desc.Digest] = data, mediaType
	return desc
}

func (img *image) addManifest(tag string, config, layer ocispec.Descriptor) (ocispec.Descriptor, error) {
	data, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer},
	})
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := img.add(data, ocispec.MediaTypeImageManifest)
	img.tags[tag] = desc.Digest
	return desc, nil
}

// signatureTag is where cosign's old form has the signatures of an image.
func (img *image) signatureTag() string {
	return strings.Replace(img.manifest.Digest.String(), ":", "-", 1) + ".sig"
}

// sign adds a signature in the oldest form that there is: it needs no log, no
// clock and no other party.
func (img *image) sign(key *ecdsa.PrivateKey) error {
	name, _, _ := strings.Cut(img.name, ":"+canaryTag)
	document := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, name, img.manifest.Digest)
	sum := sha256.Sum256(document)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return err
	}
	layer := img.add(document, typeSimpleSigning)
	layer.Annotations = map[string]string{annotationSignature: base64.StdEncoding.EncodeToString(sig)}
	config := img.add([]byte(`{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}`), ocispec.MediaTypeImageConfig)
	_, err = img.addManifest(img.signatureTag(), config, layer)
	return err
}

// archive is the image as an OCI layout in a tar (image-spec, image-layout.md),
// for putting it into containerd's store behind the verifier's back.
func (img *image) archive() ([]byte, error) {
	entry := img.manifest
	entry.Annotations = map[string]string{"io.containerd.image.name": img.name}
	index, err := json.Marshal(ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ocispec.Descriptor{entry}})
	if err != nil {
		return nil, err
	}
	files := []file{{ocispec.ImageLayoutFile, []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {ocispec.ImageIndexFile, index}}
	for dgst, data := range img.blobs {
		files = append(files, file{"blobs/sha256/" + dgst.Encoded(), data})
	}
	return tarOf(files...)
}

type file struct {
	name string
	data []byte
}

func tarOf(files ...file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), Format: tar.FormatUSTAR}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// throwaway makes a key pair that lives as long as this run.
func throwaway() (*ecdsa.PrivateKey, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, "", err
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// random is a name that no other run has.
func random() (string, error) {
	b := make([]byte, 8)
	_, err := rand.Read(b)
	return hex.EncodeToString(b), err
}
