// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/internal/document"
)

// padded is a location whose manifests are as large as they may be, and that
// counts how often it is asked.
type padded struct {
	Location
	blobs map[digest.Digest][]byte
	asked int
}

func (p *padded) Open(_ context.Context, _ document.Kind, dgst digest.Digest) (io.ReadCloser, error) {
	p.asked++
	return io.NopCloser(bytes.NewReader(p.blobs[dgst])), nil
}

// Whoever may write beside an image can pad every manifest there to the largest
// size. What one flow keeps of them must not add up to the memory of a node's
// agent, which has several at a time.
func TestKeptManifestsAreBoundedInBytes(t *testing.T) {
	p := &padded{blobs: map[digest.Digest][]byte{}}
	var all []digest.Digest
	for i := range 2 * maxCached {
		data := fmt.Appendf(nil, `{"pad":"%s","n":%d}`, bytes.Repeat([]byte("x"), document.MaxManifest/8), i)
		dgst := digest.FromBytes(data)
		p.blobs[dgst] = data
		all = append(all, dgst)
	}
	small := []byte(`{"small":true}`)
	p.blobs[digest.FromBytes(small)] = small
	all = append(all, digest.FromBytes(small))
	c, ok := Cached(p).(*cached)
	require.True(t, ok)
	for range 2 {
		for _, dgst := range all {
			r, err := c.Open(t.Context(), document.Manifest, dgst)
			require.NoError(t, err)
			data, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, dgst, digest.FromBytes(data), "what is not kept is read again")
		}
	}
	kept := 0
	for _, data := range c.manifests {
		kept += cap(data)
	}
	require.LessOrEqual(t, kept, document.MaxManifest)
	require.Less(t, p.asked, 2*len(all), "something is kept")
}
