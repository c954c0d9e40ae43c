// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/internal/document"
)

const (
	// maxCached bounds how many manifests are kept.
	maxCached = 64
	// maxKept bounds all of them, in bytes: real ones have some kilobytes each,
	// and whoever may write beside an image can pad them.
	maxKept = document.MaxManifest
)

// maxListings bounds how many lists of referrers, and how many tags, are kept.
const maxListings = 256

// Cached keeps the manifests of a location, its lists of referrers and what
// its tags name, for one flow that looks at an image several times: whatever
// is asked twice gets one answer. What it gives is checked again each time.
// Errors are not kept.
func Cached(next Location) Location {
	if c, ok := next.(*cached); ok {
		return c
	}
	return &cached{
		Location: next, manifests: map[digest.Digest][]byte{},
		referrers: map[digest.Digest][]ocispec.Descriptor{}, tags: map[string]digest.Digest{},
	}
}

type cached struct {
	Location
	mu        sync.Mutex
	manifests map[digest.Digest][]byte
	kept      int // bytes of manifests
	referrers map[digest.Digest][]ocispec.Descriptor
	tags      map[string]digest.Digest
}

// Open implements document.Store.
func (c *cached) Open(ctx context.Context, kind document.Kind, dgst digest.Digest) (io.ReadCloser, error) {
	if kind != document.Manifest {
		return c.Location.Open(ctx, kind, dgst)
	}
	c.mu.Lock()
	data, ok := c.manifests[dgst]
	c.mu.Unlock()
	if ok {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	body, err := c.Location.Open(ctx, kind, dgst)
	if err != nil {
		return nil, err
	}
	return &keeping{ReadCloser: body, cache: c, digest: dgst}, nil
}

// keeping puts what is read into the cache once it has been read to its end.
type keeping struct {
	io.ReadCloser
	cache  *cached
	digest digest.Digest
	read   bytes.Buffer
}

// Read implements io.Reader.
func (k *keeping) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	if k.read.Len() <= document.MaxManifest {
		k.read.Write(p[:n])
	}
	if err == io.EOF && k.read.Len() <= document.MaxManifest {
		k.cache.keep(k.digest, k.read.Bytes())
	}
	return n, err
}

func (c *cached) keep(dgst digest.Digest, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.manifests[dgst]; there || len(c.manifests) >= maxCached || c.kept+len(data) > maxKept || document.Digest(data) != dgst {
		return
	}
	c.manifests[dgst] = slices.Clip(slices.Clone(data)) // what it was read into has room for twice as much
	c.kept += len(data)
}

// Referrers implements Location.
func (c *cached) Referrers(ctx context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error) {
	return ask(ctx, c, c.referrers, dgst, c.Location.Referrers)
}

// Tagged implements Location.
func (c *cached) Tagged(ctx context.Context, tag string) (digest.Digest, error) {
	return ask(ctx, c, c.tags, tag, c.Location.Tagged)
}

func ask[K comparable, V any](ctx context.Context, c *cached, known map[K]V, key K, next func(context.Context, K) (V, error)) (V, error) {
	c.mu.Lock()
	answer, ok := known[key]
	c.mu.Unlock()
	if ok {
		return answer, nil
	}
	answer, err := next(ctx, key)
	if err != nil {
		return answer, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(known) < maxListings {
		known[key] = answer
	}
	return answer, nil
}
