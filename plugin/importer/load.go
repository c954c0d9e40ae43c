// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
)

func isManifest(mediaType string) bool {
	return images.IsManifestType(mediaType) || images.IsIndexType(mediaType)
}

// reach finds what d consists of, as far as the archive has it: it may have been
// made without the other platforms.
func (a *archive) reach(d ocispec.Descriptor, found map[digest.Digest]bool) error {
	size, there := a.blobs[d.Digest]
	if !there || found[d.Digest] {
		return nil
	}
	found[d.Digest] = true
	if size > maxDocument || !isManifest(d.MediaType) {
		return nil
	}
	return a.children(d.Digest, found)
}

// children are what a document lists. What a manifest lists has to be there: an
// image without a layer would be found out when it is to run.
func (a *archive) children(parent digest.Digest, found map[digest.Digest]bool) error {
	data, err := limit.ReadFile(filepath.Join(a.dir, ocispec.ImageBlobsDir, "sha256", parent.Encoded()), maxDocument)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	var doc struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := strictjson.UnmarshalOpen(data, &doc); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrArchive, parent, err)
	}
	needed := doc.Layers
	if doc.Config != nil {
		needed = append(needed, *doc.Config)
	}
	for _, d := range needed {
		if _, there := a.blobs[d.Digest]; !there {
			return fmt.Errorf("%w: %s lists %s, which is not in it", ErrArchive, parent, d.Digest)
		}
		found[d.Digest] = true
	}
	for _, d := range doc.Manifests {
		if err := a.reach(d, found); err != nil {
			return err
		}
	}
	return nil
}

// load gives containerd an archive of the images that were chosen, of what they
// consist of, and of the signatures beside them; nothing else of the file.
func (a *archive) load(ctx context.Context, chosen []choice, load Loader) error {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	wanted := map[digest.Digest]bool{}
	for _, d := range a.listed(chosen) {
		if err := a.reach(d, wanted); err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, d)
	}
	in, out := io.Pipe()
	go func() { out.CloseWithError(a.write(ctx, out, index, wanted)) }()
	err := load(ctx, in)
	in.CloseWithError(errors.New("containerd has stopped reading"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLoad, err)
	}
	return nil
}

// listed are the entries for containerd: images by their names, and signatures
// under the tags that go with these.
func (a *archive) listed(chosen []choice) []ocispec.Descriptor {
	var list []ocispec.Descriptor
	add := func(d ocispec.Descriptor, name string) {
		list = append(list, ocispec.Descriptor{
			MediaType: d.MediaType, Digest: d.Digest, Size: d.Size,
			Annotations: map[string]string{annotationName: name},
		})
	}
	for _, c := range chosen {
		add(c.desc, c.name)
		named, err := reference.ParseNormalizedNamed(c.name)
		if err != nil {
			continue // images has checked it
		}
		for _, d := range a.index.Manifests {
			if tag := tagOf(d); evidenceTag.MatchString(tag) && a.blobs[d.Digest] > 0 && isManifest(d.MediaType) {
				add(d, reference.TrimNamed(named).String()+":"+tag)
			}
		}
	}
	return list
}

// write copies what is wanted out of the file. It may have changed since it was
// read, so the digests are taken anew; containerd takes them a third time.
func (a *archive) write(ctx context.Context, out io.Writer, index ocispec.Index, wanted map[digest.Digest]bool) error {
	tw := tar.NewWriter(out)
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		ocispec.ImageLayoutFile: []byte(`{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`), ocispec.ImageIndexFile: data,
	} {
		if err := put(tw, name, int64(len(data)), strings.NewReader(string(data))); err != nil {
			return err
		}
	}
	copied := 0
	err = each(ctx, a.file, func(name string, size int64, content io.Reader) error {
		m := blobShape.FindStringSubmatch(name)
		if m == nil || !wanted[digest.NewDigestFromEncoded(digest.SHA256, m[1])] {
			return nil
		}
		sum := sha256.New()
		if err := put(tw, name, size, io.TeeReader(content, sum)); err != nil {
			return err
		}
		if got := digest.NewDigest(digest.SHA256, sum); got.Encoded() != m[1] {
			return fmt.Errorf("%w: %s changed while it was imported", ErrArchive, name)
		}
		copied++
		return nil
	})
	if err == nil && copied != len(wanted) {
		err = fmt.Errorf("%w: it changed while it was imported", ErrArchive)
	}
	if err != nil {
		return err
	}
	return tw.Close()
}

func put(tw *tar.Writer, name string, size int64, content io.Reader) error {
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := io.Copy(tw, content)
	return err
}

// Containerd loads into a namespace of the containerd at a socket. The image
// plugin of CRI sees what comes into k8s.io by itself.
func Containerd(address, namespace string) Loader {
	return func(ctx context.Context, archive io.Reader) error {
		c, err := client.New(address, client.WithDefaultNamespace(namespace))
		if err != nil {
			return fmt.Errorf("containerd at %s: %w; say where it is with --address", address, err)
		}
		defer c.Close()
		_, err = c.Import(ctx, archive, client.WithAllPlatforms(true), client.WithSkipMissing())
		return err
	}
}
