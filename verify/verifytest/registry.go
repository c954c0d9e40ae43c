// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/internal/document"
)

// A Store holds documents by digest and serves them as a registry or as a
// folder. It can lie about each.
type Store struct {
	mu       sync.Mutex
	blobs    map[digest.Digest][]byte
	types    map[digest.Digest]string
	tags     map[string]digest.Digest
	lies     map[digest.Digest][]byte
	status   map[digest.Digest]int
	delay    time.Duration
	requests []string
	// order is that in which the blobs came.
	order []digest.Digest
	// referrers is whether the registry has the referrers API, lists are what
	// it says instead of the truth.
	referrers bool
	lists     map[digest.Digest][]ocispec.Descriptor
}

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{
		blobs: map[digest.Digest][]byte{}, types: map[digest.Digest]string{}, tags: map[string]digest.Digest{},
		lies: map[digest.Digest][]byte{}, status: map[digest.Digest]int{}, lists: map[digest.Digest][]ocispec.Descriptor{},
	}
}

// Add stores data and describes it.
func (s *Store) Add(data []byte, mediaType string) ocispec.Descriptor {
	s.mu.Lock()
	defer s.mu.Unlock()
	dgst := digest.FromBytes(data)
	if _, known := s.blobs[dgst]; !known {
		s.order = append(s.order, dgst)
	}
	s.blobs[dgst], s.types[dgst] = data, mediaType
	return ocispec.Descriptor{MediaType: mediaType, Digest: dgst, Size: int64(len(data))}
}

// AddJSON is Add for a document.
func (s *Store) AddJSON(t testing.TB, v any, mediaType string) ocispec.Descriptor {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return s.Add(data, mediaType)
}

// Get returns what was stored.
func (s *Store) Get(dgst digest.Digest) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blobs[dgst]
}

// Tag names a digest.
func (s *Store) Tag(tag string, dgst digest.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags[tag] = dgst
}

// Lie serves other bytes under a digest.
func (s *Store) Lie(dgst digest.Digest, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lies[dgst] = data
}

// Fail answers requests for a digest with an HTTP status.
func (s *Store) Fail(dgst digest.Digest, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status[dgst] = status
}

// Delay makes every answer wait.
func (s *Store) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Requests lists method and path of what was asked for.
func (s *Store) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.requests...)
}

// Open implements the store that the steps of verify read from.
func (s *Store) Open(_ context.Context, _ document.Kind, dgst digest.Digest) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, "OPEN "+dgst.String())
	data, known := s.blobs[dgst]
	if lie, ok := s.lies[dgst]; ok {
		data, known = lie, true
	}
	if !known || s.status[dgst] != 0 {
		return nil, fmt.Errorf("%s: %w", dgst, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Serve starts a registry on loopback and returns its host:port.
func (s *Store) Serve(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// ServeHTTP is a registry that answers the same for every repository.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	delay := s.delay
	parts := strings.Split(r.URL.Path, "/")
	name := parts[len(parts)-1]
	dgst, tagged := s.tags[name]
	if !tagged {
		dgst = digest.Digest(name)
	}
	data, known := s.blobs[dgst]
	if lie, ok := s.lies[dgst]; ok {
		data, known = lie, true
	}
	status, mediaType := s.status[dgst], s.types[dgst]
	s.mu.Unlock()
	if s.serveWrites(w, r, name) || s.serveReferrers(w, r, digest.Digest(name)) {
		return
	}

	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return
	}
	switch {
	case status != 0:
		w.WriteHeader(status)
	case !known:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", mediaType)
		w.Header().Set("Docker-Content-Digest", dgst.String())
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(data)
		}
	}
}

// Layout writes the store as an OCI image layout with one image.
func (s *Store) Layout(t testing.TB, dir, tag string, index digest.Digest) {
	t.Helper()
	blobs := filepath.Join(dir, "blobs", "sha256")
	require.NoError(t, os.MkdirAll(blobs, 0o755))
	s.mu.Lock()
	defer s.mu.Unlock()
	for dgst, data := range s.blobs {
		if lie, ok := s.lies[dgst]; ok {
			data = lie
		}
		require.NoError(t, os.WriteFile(filepath.Join(blobs, dgst.Encoded()), data, 0o644))
	}
	top, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		Manifests: []ocispec.Descriptor{{
			MediaType: s.types[index], Digest: index, Size: int64(len(s.blobs[index])),
			Annotations: map[string]string{ocispec.AnnotationRefName: tag},
		}},
	})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), top, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
}
