// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/evidence"
)

const (
	// maxList bounds a list of referrers, in bytes: what registries accept for
	// a manifest.
	maxList = 4 << 20
	// maxEntries bounds how many referrers it may name.
	maxEntries = 1024
)

// At gives the images of the node as those of one repository, for instance
// registry.example/shop; a tag or a digest after that does not count.
//
// A node has the signatures inside an index, and those that somebody imported
// under their tags. It has no list of what refers to an image but the one under
// the fallback tag
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema).
func (s *Store) At(repository string) evidence.Location {
	return &location{store: s, repository: repository}
}

type location struct {
	store      *Store
	repository string
}

// Open implements evidence.Location.
func (l *location) Open(ctx context.Context, kind evidence.Kind, dgst digest.Digest) (io.ReadCloser, error) {
	ra, err := l.store.content.ReaderAt(ctx, ocispec.Descriptor{Digest: dgst})
	if err != nil {
		return nil, failed(fmt.Sprintf("%s %s", kind, dgst), err)
	}
	return &blob{Reader: content.NewReader(ra), Closer: ra, what: dgst}, nil
}

// blob names the errors of a blob that is read.
type blob struct {
	io.Reader
	io.Closer
	what digest.Digest
}

func (b *blob) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = failed(b.what.String(), err)
	}
	return n, err
}

// Tagged implements evidence.Location.
func (l *location) Tagged(ctx context.Context, tag string) (digest.Digest, error) {
	if l.repository == "" {
		return "", nil
	}
	named, err := reference.ParseNormalizedNamed(l.repository)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", evidence.ErrReference, l.repository, err)
	}
	named, err = reference.WithTag(reference.TrimNamed(named), tag)
	if err != nil {
		return "", fmt.Errorf("%w: tag %q: %w", evidence.ErrReference, tag, err)
	}
	i, err := l.store.images.Get(ctx, named.String())
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", failed(named.String(), err)
	}
	return i.Target.Digest, nil
}

// Referrers implements evidence.Location.
func (l *location) Referrers(ctx context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error) {
	list, err := l.Tagged(ctx, strings.Replace(dgst.String(), ":", "-", 1))
	if err != nil || list == "" {
		return nil, err
	}
	r, err := l.Open(ctx, "manifest", list)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := limit.ReadAll(r, maxList)
	if err != nil {
		return nil, fmt.Errorf("list of referrers %s: %w", list, err)
	}
	if got := digest.FromBytes(data); got != list {
		return nil, fmt.Errorf("list of referrers %s: %w: its bytes are %s", list, ErrContainerd, got)
	}
	return parseList(data)
}

// parseList reads a list of referrers, whose entries are hints.
func parseList(data []byte) ([]ocispec.Descriptor, error) {
	var index struct {
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := strictjson.UnmarshalOpen(data, &index); err != nil {
		return nil, fmt.Errorf("list of referrers: %w", err)
	}
	if len(index.Manifests) > maxEntries {
		return nil, fmt.Errorf("%w: a list of %d referrers, at most %d are looked at", limit.ErrTooLarge, len(index.Manifests), maxEntries)
	}
	return index.Manifests, nil
}

// Requests is always 0: no registry is asked.
func (l *location) Requests() int { return 0 }
