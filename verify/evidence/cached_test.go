// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/verifytest"
)

func TestCached(t *testing.T) {
	store := verifytest.NewStore()
	data := []byte(`{"schemaVersion":2}`)
	manifest, blob := store.Add(data, "application/json").Digest, store.Add([]byte("blob"), "text/plain").Digest
	lie := digest.FromString("lie")
	store.Lie(lie, []byte("other"))
	c := evidence.Cached(evidence.NewRegistry(store.Serve(t)+"/app:v1", evidence.RegistryOptions{}))

	for range 3 {
		got, err := document.Fetch(t.Context(), c, document.Manifest, manifest, document.MaxManifest)
		require.NoError(t, err)
		require.Equal(t, data, got)
	}
	require.Equal(t, 1, c.Requests())
	for range 2 {
		_, err := document.Fetch(t.Context(), c, document.Blob, blob, 10)
		require.NoError(t, err)
		_, err = document.Fetch(t.Context(), c, document.Manifest, lie, 10)
		require.ErrorIs(t, err, document.ErrDigest)
	}
	require.Equal(t, 5, c.Requests(), "blobs and lies are not kept")
}
