// SPDX-License-Identifier: Apache-2.0

package byproducts_test

import (
	"bytes"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/byproducts"
)

// FuzzFind: attestation manifests and attestations are written by whoever may
// write to the registry. What counts as signed has the digest that the provenance
// names for the platform, and what is handed out is that predicate.
func FuzzFind(f *testing.F) {
	store, subject := stored(f, nil, good, other, build)
	blobs := [][]byte{store.Get(subject.Siblings[1].Digest)}
	entries, err := byproducts.List(f.Context(), store, subject)
	require.NoError(f, err)
	for _, e := range entries {
		blobs = append(blobs, store.Get(e.Layer))
		f.Add(blobs[0], store.Get(e.Layer))
	}
	f.Add(bytes.ReplaceAll(blobs[0], []byte("https://slsa.dev/provenance/v0.2"), []byte("https://spdx.dev/Document")), blobs[3])
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageManifest+`","config":{},"layers":null}`), []byte("{}"))
	f.Add(blobs[0], append(bytes.Clone(blobs[1]), blobs[2]...))
	f.Fuzz(func(t *testing.T, manifest, statement []byte) {
		store, subject := stored(t, nil, good) // with the image
		for _, data := range append(blobs, statement) {
			store.Add(data, "")
		}
		listed := bytes.Replace(manifest, []byte(entries[0].Layer), []byte(digest.FromBytes(statement)), 1)
		subject.Siblings[1].Digest = store.Add(listed, ocispec.MediaTypeImageManifest).Digest
		list, predicate, err := byproducts.Find(t.Context(), store, subject, provenance(), func(byproducts.Attestation) bool { return true })
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(list), byproducts.MaxAttestations+1)
		for _, a := range list {
			require.NotEmpty(t, a.Status)
			if a.Status == byproducts.Signed {
				require.Equal(t, digest.FromBytes(good.Predicate), a.Predicate)
				require.Equal(t, good.PredicateType, a.PredicateType)
			}
		}
		if predicate != nil {
			require.Equal(t, string(good.Predicate), string(predicate))
		}
	})
}
