// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// WithReferrers gives the registry the referrers API.
func (s *Store) WithReferrers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.referrers = true
}

// Writes lists what of Requests asked to write.
func (s *Store) Writes() []string {
	return slices.DeleteFunc(s.Requests(), func(r string) bool {
		return !strings.HasPrefix(r, http.MethodPut) && !strings.HasPrefix(r, http.MethodPost)
	})
}

// serveWrites takes blobs and manifests.
func (s *Store) serveWrites(w http.ResponseWriter, r *http.Request, name string) bool {
	switch r.Method {
	case http.MethodPost:
		w.Header().Set("Location", r.URL.Path+"upload")
		w.WriteHeader(http.StatusAccepted)
		return true
	case http.MethodPut:
	default:
		return false
	}
	data, err := io.ReadAll(r.Body)
	want := r.URL.Query().Get("digest")
	if err != nil || want != "" && want != digest.FromBytes(data).String() {
		w.WriteHeader(http.StatusBadRequest)
		return true
	}
	desc := s.Add(data, r.Header.Get("Content-Type"))
	if strings.Contains(r.URL.Path, "/manifests/") && !strings.HasPrefix(name, "sha256:") {
		s.Tag(name, desc.Digest)
	}
	w.Header().Set("Docker-Content-Digest", desc.Digest.String())
	w.WriteHeader(http.StatusCreated)
	return true
}

// serveReferrers lists the manifests that have a subject.
func (s *Store) serveReferrers(w http.ResponseWriter, r *http.Request, subject digest.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.Contains(r.URL.Path, "/referrers/") {
		return false
	}
	if !s.referrers {
		w.WriteHeader(http.StatusNotFound)
		return true
	}
	idx := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	for dgst, data := range s.blobs {
		var m ocispec.Manifest
		if json.Unmarshal(data, &m) == nil && m.Subject != nil && m.Subject.Digest == subject {
			idx.Manifests = append(idx.Manifests, ocispec.Descriptor{
				MediaType: m.MediaType, ArtifactType: m.ArtifactType, Annotations: m.Annotations, Digest: dgst, Size: int64(len(data)),
			})
		}
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	_ = json.NewEncoder(w).Encode(idx)
	return true
}
