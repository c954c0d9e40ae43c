// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/verifytest"
)

func TestTamperedDocuments(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true})
	var attestation ocispec.Descriptor
	var idx ocispec.Index
	require.NoError(t, json.Unmarshal(s.store.Get(img.Index), &idx))
	attestation = idx.Manifests[1]
	for name, dgst := range map[string]digest.Digest{"index": img.Index, "manifest": img.Manifests[0], "attestation manifest": attestation.Digest} {
		t.Run(name, func(t *testing.T) {
			good := s.store.Get(dgst)
			s.store.Lie(dgst, append([]byte(" "), good...))
			refuse(t, s.verify(img.Index), decision.Deny, "digest-mismatch", dgst.String())
			s.store.Lie(dgst, good)
		})
	}
}

func TestOversizedReplies(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	for _, dgst := range []digest.Digest{img.Manifests[0], img.Index} {
		s.store.Lie(dgst, bytes.Repeat([]byte(" "), 4<<20+1))
		refuse(t, s.verify(img.Index), decision.Deny, "too-large", dgst.String())
	}
}

func TestAmbiguousDocuments(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	index, manifest := s.store.Get(img.Index), s.store.Get(img.Manifests[0])
	both := bytes.Replace(index, []byte(`{`), append([]byte(`{"config":{},"layers":[],`), ' '), 1)
	for name, data := range map[string][]byte{
		"index and manifest":     both,
		"neither":                []byte(`{"schemaVersion":2}`),
		"schema 1":               []byte(`{"schemaVersion":1,"fsLayers":[]}`),
		"calls itself something": bytes.Replace(index, []byte("image.index"), []byte("image.manifest"), 1),
		"manifest as index":      bytes.Replace(manifest, []byte("image.manifest"), []byte("image.index"), 1),
		"twice a key":            bytes.Replace(index, []byte(`{`), []byte(`{"Manifests":[],`), 1),
		"two documents":          append(append([]byte{}, index...), index...),
		"an array":               []byte(`[]`),
	} {
		t.Run(name, func(t *testing.T) {
			d := s.store.Add(data, ocispec.MediaTypeImageIndex)
			refuse(t, s.verify(d.Digest), decision.Deny, "malformed-document", "")
		})
	}
}

func TestNestedIndexes(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	wrap := func(dgst digest.Digest, mediaType string) digest.Digest {
		return s.store.AddJSON(t, ocispec.Index{
			Versioned: specs.Versioned{SchemaVersion: 2},
			Manifests: []ocispec.Descriptor{{MediaType: mediaType, Digest: dgst}},
		}, ocispec.MediaTypeImageIndex).Digest
	}
	two := wrap(img.Index, ocispec.MediaTypeImageIndex)
	require.Equal(t, decision.Allow, s.verify(two).Verdict)
	refuse(t, s.verify(wrap(two, ocispec.MediaTypeImageIndex)), decision.Deny, "nested-too-deep", "")
	refuse(t, s.verify(wrap(img.Index, ocispec.MediaTypeImageManifest)), decision.Deny, "malformed-document", "which it is not")
	refuse(t, s.verify(wrap(img.Index, "application/json")), decision.Deny, "malformed-document", "application/json")
}

func TestNoManifestForThePlatform(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{Platforms: []string{"linux/s390x"}})
	refuse(t, s.verify(img.Index), decision.Deny, "no-platform", img.Index.String())
}

func TestTooManyManifests(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{Index: func(idx *ocispec.Index) {
		for range 20 {
			idx.Manifests = append(idx.Manifests, idx.Manifests[0])
		}
	}})
	refuse(t, s.verify(img.Index), decision.Deny, "too-many-manifests", "")
}

func TestTooManyBundles(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{
		Bundle: s.sign(verifytest.BundleOptions{Subject: "https://mallory.test"}),
		Index: func(idx *ocispec.Index) {
			for range 100 {
				idx.Manifests = append(idx.Manifests, idx.Manifests[1])
			}
		},
	})
	d := s.verify(img.Index)
	require.Equal(t, decision.Deny, d.Verdict, d.Line())
	require.Contains(t, codes(d), "too-many-referrers")
}

func TestWhatTheRegistryCannotSay(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true})
	for _, c := range []struct {
		status int
		code   string
	}{
		{http.StatusNotFound, "not-found"},
		{http.StatusUnauthorized, "access"},
		{http.StatusForbidden, "access"},
		{http.StatusBadGateway, "unreachable"},
	} {
		for _, dgst := range []digest.Digest{img.Index, img.Manifests[0]} {
			s.store.Fail(dgst, c.status)
			refuse(t, s.verify(img.Index), decision.Undecided, c.code, "")
			s.store.Fail(dgst, 0)
		}
	}
	require.Equal(t, decision.Allow, s.verify(img.Index).Verdict)
}

func TestAbsentRegistry(t *testing.T) {
	s := newStand(t)
	req := s.request(digest.FromString("x"))
	req.Location = evidence.NewRegistry("127.0.0.1:1/app:v1", evidence.RegistryOptions{})
	d := verify.Verify(context.Background(), req)
	refuse(t, d, decision.Undecided, "unreachable", "connection refused")
}

func TestHungRegistry(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	s.store.Delay(time.Minute)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	d := verify.Verify(ctx, s.request(img.Index))
	require.Less(t, time.Since(start), 5*time.Second)
	refuse(t, d, decision.Undecided, "timeout", "")
}

func TestOfflineAndIncompleteRequests(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	req := s.request(img.Index)
	req.Location = evidence.Offline{}
	refuse(t, verify.Verify(context.Background(), req), decision.Undecided, "offline", "oci-layout")

	req = s.request(img.Index)
	req.Policy = nil
	refuse(t, verify.Verify(context.Background(), req), decision.Undecided, "request", "policy")
	req = s.request("")
	refuse(t, verify.Verify(context.Background(), req), decision.Deny, "digest-mismatch", "not a digest")
	req = s.request("sha512:" + digest.Digest(strings.Repeat("a", 128)))
	refuse(t, verify.Verify(context.Background(), req), decision.Deny, "digest-mismatch", "only sha256")
	req = s.request(img.Index)
	req.Name = "not a name"
	refuse(t, verify.Verify(context.Background(), req), decision.Deny, "name", "not a name")
	req.Name = s.registry + "/app@" + img.Manifests[0].String()
	refuse(t, verify.Verify(context.Background(), req), decision.Deny, "name", "that would run")
	refuse(t, verify.Verify(context.Background(), verify.Request{}), decision.Undecided, "request", "")
}
