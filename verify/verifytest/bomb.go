// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// Blanks is a reply that never ends.
type Blanks struct{}

// Read implements io.Reader.
func (Blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// Bomb is size bytes of blanks, packed a thousandfold.
func Bomb(t testing.TB, size int64) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.CopyN(w, Blanks{}, size)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return packed.Bytes()
}
