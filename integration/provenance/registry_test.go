// SPDX-License-Identifier: Apache-2.0

//go:build integration

package provenance

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"regexp"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
)

// requireNowhere looks for a secret in everything that was pushed: index,
// manifests, configs, layers and attestations, unpacked.
func requireNowhere(t *testing.T, ref, secret string) {
	t.Helper()
	repo, tag := dissect.Registry(t, ref)
	data, err := repo.Manifest(t.Context(), tag)
	require.NoError(t, err)
	requireHidden(t, "index", data, secret)
	var index ocispecs.Index
	require.NoError(t, json.Unmarshal(data, &index))
	require.Len(t, index.Manifests, 2, "the image and its attestations")
	for _, entry := range index.Manifests {
		data, err := repo.Manifest(t.Context(), entry.Digest.String())
		require.NoError(t, err)
		requireHidden(t, "manifest", data, secret)
		var m ocispecs.Manifest
		require.NoError(t, json.Unmarshal(data, &m))
		for _, d := range append(m.Layers, m.Config) {
			data, err := repo.Blob(t.Context(), d.Digest)
			require.NoError(t, err)
			requireHidden(t, d.MediaType+" "+d.Annotations["in-toto.io/predicate-type"], data, secret)
		}
	}
}

var encoded = regexp.MustCompile(`[A-Za-z0-9+/]{40,}={0,2}`)

// requireHidden looks into compressed data, and into what is written in
// base64, as envelopes and annotations are.
func requireHidden(t *testing.T, where string, data []byte, secret string) {
	t.Helper()
	if r, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		data, err = io.ReadAll(r)
		require.NoError(t, err)
	}
	require.False(t, bytes.Contains(data, []byte(secret)), "%s holds %q", where, secret)
	if len(data) > 1<<20 {
		return // layers of the base
	}
	for _, text := range encoded.FindAll(data, -1) {
		inner, err := base64.StdEncoding.DecodeString(string(text))
		if err == nil {
			requireHidden(t, "what is encoded in "+where, inner, secret)
		}
	}
}
