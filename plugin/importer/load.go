// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/evidence"
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
	var doc struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := a.document(parent, &doc); err != nil {
		return err
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

// runs tells that a container could be made of what lies beside an image as its
// evidence, which nobody has verified: it has layers of a file system, or cannot
// be looked into. seen are the documents that were.
func (a *archive) runs(dgst digest.Digest, seen map[digest.Digest]bool) bool {
	if seen[dgst] {
		return false
	}
	seen[dgst] = true
	if a.blobs[dgst] > maxDocument {
		return true
	}
	var doc struct {
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if a.document(dgst, &doc) != nil {
		return true
	}
	return slices.ContainsFunc(doc.Layers, func(d ocispec.Descriptor) bool { return images.IsLayerType(d.MediaType) }) ||
		slices.ContainsFunc(doc.Manifests, func(d ocispec.Descriptor) bool {
			_, there := a.blobs[d.Digest]
			return there && a.runs(d.Digest, seen)
		})
}

// document reads a manifest or an index.
func (a *archive) document(dgst digest.Digest, doc any) error {
	data, err := limit.ReadFile(filepath.Join(a.dir, ocispec.ImageBlobsDir, "sha256", dgst.Encoded()), maxDocument)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrArchive, err)
	}
	if err := strictjson.UnmarshalOpen(data, doc); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrArchive, dgst, err)
	}
	return nil
}

// load gives containerd an archive of the images that were chosen, of what they
// consist of, and of the signatures beside them; nothing else of the file.
func (a *archive) load(ctx context.Context, chosen []choice, load Loader) error {
	wanted := map[digest.Digest]bool{}
	entries := a.listed(chosen)
	for _, d := range entries {
		if err := a.reach(d, wanted); err != nil {
			return err
		}
	}
	lists, err := a.referrers(ctx, chosen, wanted)
	if err != nil {
		return err
	}
	made := map[string][]byte{ocispec.ImageLayoutFile: []byte(`{"imageLayoutVersion":"` + ocispec.ImageLayoutVersion + `"}`)}
	for name, list := range lists {
		dgst := digest.FromBytes(list)
		made["blobs/sha256/"+dgst.Encoded()] = list
		entries = append(entries, ocispec.Descriptor{
			MediaType: ocispec.MediaTypeImageIndex, Digest: dgst, Size: int64(len(list)),
			Annotations: map[string]string{annotationName: name},
		})
	}
	if made[ocispec.ImageIndexFile], err = indexOf(entries); err != nil {
		return err
	}
	in, out := io.Pipe()
	go func() { out.CloseWithError(a.write(ctx, out, made, wanted)) }()
	err = load(ctx, in)
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
			// A list of referrers is made anew: see referrers.
			if tag := tagOf(d); evidenceTag.MatchString(tag) && strings.Contains(tag, ".") && a.blobs[d.Digest] > 0 && isManifest(d.MediaType) && !a.runs(d.Digest, map[digest.Digest]bool{}) {
				add(d, reference.TrimNamed(named).String()+":"+tag)
			}
		}
	}
	return list
}

// referrers are lists of what refers to the images, by the names under which a
// registry without a referrers API would have them
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema):
// containerd's store knows names and nothing of subjects.
func (a *archive) referrers(ctx context.Context, chosen []choice, wanted map[digest.Digest]bool) (map[string][]byte, error) {
	lists := map[string][]byte{}
	for _, c := range chosen {
		location, err := a.location(c)
		if err != nil {
			return nil, err
		}
		named, err := reference.ParseNormalizedNamed(c.name)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrArchive, err)
		}
		subjects, err := a.subjects(c.desc)
		if err != nil {
			return nil, err
		}
		for _, subject := range subjects {
			name := reference.TrimNamed(named).String() + ":" + strings.Replace(subject.String(), ":", "-", 1)
			if lists[name], err = a.listOf(ctx, location, subject, wanted); err != nil {
				return nil, err
			}
			if lists[name] == nil {
				delete(lists, name)
			}
		}
	}
	return lists, nil
}

// subjects are the digests of an image that signatures are about.
func (a *archive) subjects(image ocispec.Descriptor) ([]digest.Digest, error) {
	var doc ocispec.Index
	if err := a.document(image.Digest, &doc); err != nil {
		return nil, err
	}
	list := []digest.Digest{image.Digest}
	for _, d := range doc.Manifests {
		if _, there := a.blobs[d.Digest]; there && isManifest(d.MediaType) {
			list = append(list, d.Digest)
		}
	}
	return list, nil
}

// listOf is a list of what the archive has that refers to a subject, or nil.
func (a *archive) listOf(ctx context.Context, location evidence.Location, subject digest.Digest, wanted map[digest.Digest]bool) ([]byte, error) {
	found, err := location.Referrers(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArchive, err)
	}
	var list []ocispec.Descriptor
	for _, d := range found {
		if _, there := a.blobs[d.Digest]; !there || !isManifest(d.MediaType) || a.runs(d.Digest, map[digest.Digest]bool{}) {
			continue
		}
		if err := a.reach(d, wanted); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return indexOf(list)
}

// indexOf is an index of entries.
func indexOf(entries []ocispec.Descriptor) ([]byte, error) {
	return json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: entries,
	})
}

// write copies what is wanted out of the file. It may have changed since it was
// read, so the digests are taken anew; containerd takes them a third time.
func (a *archive) write(ctx context.Context, out io.Writer, made map[string][]byte, wanted map[digest.Digest]bool) error {
	tw := tar.NewWriter(out)
	for name, data := range made {
		if err := put(tw, name, int64(len(data)), bytes.NewReader(data)); err != nil {
			return err
		}
	}
	copied := 0
	err := each(ctx, a.file, func(name string, size int64, content io.Reader) error {
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

// dialTimeout is how long a socket may take that is there. containerd's client
// waits ten seconds for one that is not.
const dialTimeout = time.Second

// Containerd loads into a namespace of the containerd at a socket. The image
// plugin of CRI sees what comes into k8s.io by itself.
func Containerd(address, namespace string) Loader {
	return func(ctx context.Context, archive io.Reader) error {
		c, err := client.New(address, client.WithDefaultNamespace(namespace), client.WithTimeout(dialTimeout))
		if err != nil {
			return fmt.Errorf("containerd at %s: %w; say where it is with --address", address, err)
		}
		defer c.Close()
		_, err = c.Import(ctx, archive, client.WithAllPlatforms(true), client.WithSkipMissing())
		return err
	}
}
