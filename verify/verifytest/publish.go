// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

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
