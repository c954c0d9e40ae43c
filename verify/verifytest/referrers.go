// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of what refers to an image.
const (
	TypeBundle   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	TypeNotation = "application/vnd.cncf.notary.signature"
	TypeJWS      = "application/jose+json"
	TypeCOSE     = "application/cose"
)

// WithReferrers gives the registry the referrers API. Do it before anything is
// attached.
func (s *Store) WithReferrers() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.referrers = true
}

// A Referrer is a manifest with a subject.
type Referrer struct {
	ArtifactType string
	// ConfigType is the empty document's by default.
	ConfigType string
	Layers     []ocispec.Descriptor
	// Subject takes the place of that it is attached to.
	Subject *ocispec.Descriptor
}

// Attach stores a manifest that refers to subject, and lists it where the
// registry lists such things: on one without the API under the fallback tag.
func (s *Store) Attach(t testing.TB, subject digest.Digest, r Referrer) ocispec.Descriptor {
	t.Helper()
	config := s.Add([]byte("{}"), ocispec.MediaTypeEmptyJSON)
	if r.ConfigType != "" {
		config.MediaType = r.ConfigType
	}
	if r.Subject == nil {
		r.Subject = &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: subject, Size: int64(len(s.Get(subject)))}
	}
	desc := s.AddJSON(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: r.ArtifactType,
		Config: config, Layers: r.Layers, Subject: r.Subject,
	}, ocispec.MediaTypeImageManifest)
	desc.ArtifactType = r.ArtifactType
	if !s.referrers || r.Subject.Digest != subject {
		s.List(t, subject, append(s.listed(subject), desc))
	}
	return desc
}

// AttachBundle attaches a Sigstore bundle as cosign does.
func (s *Store) AttachBundle(t testing.TB, subject digest.Digest, bundle []byte) ocispec.Descriptor {
	t.Helper()
	return s.Attach(t, subject, Referrer{ArtifactType: TypeBundle, Layers: []ocispec.Descriptor{s.Add(bundle, TypeBundle)}})
}

// AttachNotation attaches a Notary Project signature; mediaType is TypeJWS or
// TypeCOSE.
func (s *Store) AttachNotation(t testing.TB, subject digest.Digest, envelope []byte, mediaType string) ocispec.Descriptor {
	t.Helper()
	return s.Attach(t, subject, Referrer{ArtifactType: TypeNotation, Layers: []ocispec.Descriptor{s.Add(envelope, mediaType)}})
}

// List makes the registry say that these refer to subject, true or not: through
// the API, or under the fallback tag.
func (s *Store) List(t testing.TB, subject digest.Digest, list []ocispec.Descriptor) {
	t.Helper()
	s.mu.Lock()
	s.lists[subject] = list
	api := s.referrers
	s.mu.Unlock()
	if !api {
		s.Tag(strings.Replace(subject.String(), ":", "-", 1), s.AddJSON(t, listOf(list), ocispec.MediaTypeImageIndex).Digest)
	}
}

// listed is what the registry says refers to subject.
func (s *Store) listed(subject digest.Digest) []ocispec.Descriptor {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list, ok := s.lists[subject]; ok || !s.referrers {
		return list
	}
	list := []ocispec.Descriptor{}
	for _, dgst := range s.order {
		var m ocispec.Manifest
		data := s.blobs[dgst]
		if json.Unmarshal(data, &m) == nil && m.Subject != nil && m.Subject.Digest == subject {
			list = append(list, ocispec.Descriptor{
				MediaType: m.MediaType, ArtifactType: m.ArtifactType, Annotations: m.Annotations, Digest: dgst, Size: int64(len(data)),
			})
		}
	}
	return list
}

func listOf(list []ocispec.Descriptor) ocispec.Index {
	return ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: list}
}

// serveReferrers is the referrers API.
func (s *Store) serveReferrers(w http.ResponseWriter, r *http.Request, subject digest.Digest) bool {
	if !strings.HasSuffix(r.URL.Path, "/referrers/"+subject.String()) {
		return false
	}
	if !s.referrers {
		w.WriteHeader(http.StatusNotFound)
		return true
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
	_ = json.NewEncoder(w).Encode(listOf(s.listed(subject)))
	return true
}
