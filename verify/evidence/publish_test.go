// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/evidence"
)

// What a registry answers to a question for referrers tells whether it has the
// API, lacks it, or is out of order.
func TestReferrersStatus(t *testing.T) {
	for status, want := range map[int]error{
		200: nil, 404: nil, 400: nil, 405: nil, 406: nil, 501: nil,
		401: evidence.ErrAccess, 403: evidence.ErrAccess, 500: evidence.ErrUnreachable, 429: evidence.ErrUnreachable,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"schemaVersion":2,"manifests":[]}`))
		}))
		t.Cleanup(server.Close)
		p, err := evidence.NewPublisher(strings.TrimPrefix(server.URL, "http://")+"/app", evidence.RegistryOptions{})
		require.NoError(t, err)
		_, ok, err := p.Referrers(t.Context(), digest.FromString("x"))
		require.Equal(t, status == 200, ok, "%d", status)
		if want == nil {
			require.NoError(t, err, "%d", status)
		} else {
			require.ErrorIs(t, err, want, "%d", status)
		}
	}
}

func TestPublishIsDenied(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(server.Close)
	p, err := evidence.NewPublisher(strings.TrimPrefix(server.URL, "http://")+"/app", evidence.RegistryOptions{})
	require.NoError(t, err)
	data := []byte(`{}`)
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeEmptyJSON, Digest: digest.FromBytes(data), Size: 2}
	require.ErrorIs(t, p.Put(t.Context(), desc, data), evidence.ErrAccess)
	_, err = p.Tagged(t.Context(), "sha256-00")
	require.ErrorIs(t, err, evidence.ErrAccess)
	_, err = evidence.NewPublisher("not a name", evidence.RegistryOptions{})
	require.ErrorIs(t, err, evidence.ErrReference)
}
