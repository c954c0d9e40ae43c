// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/internal/document"
)

// maxCached bounds how many manifests are kept, each of MaxManifest at most.
const maxCached = 64

// Cached keeps the manifests of a location, for flows that look at an image
// several times. What it gives is checked again each time.
func Cached(next Location) Location {
	return &cached{Location: next, manifests: map[digest.Digest][]byte{}}
}

type cached struct {
	Location
	mu        sync.Mutex
	manifests map[digest.Digest][]byte
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
	if len(c.manifests) < maxCached && document.Digest(data) == dgst {
		c.manifests[dgst] = data
	}
}
