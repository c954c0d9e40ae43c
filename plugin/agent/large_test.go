// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/evidence"
)

type blob struct {
	evidence.Location
	size int
}

func (b blob) Open(context.Context, evidence.Kind, digest.Digest) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(make([]byte, b.size))), nil
}

func read(ctx context.Context, size int) error {
	body, err := weigh(blob{size: size}).Open(ctx, "blob", "")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	return err
}

// TestLargeEvidenceTakesTurns: somebody has many images verified at once whose
// evidence is as large as it may be.
func TestLargeEvidenceTakesTurns(t *testing.T) {
	l := newLarge()
	first, end := l.begin(t.Context())
	require.NoError(t, read(first, maxModest))
	require.NoError(t, read(first, 1), "its turn")
	require.NoError(t, read(first, 8*maxModest), "and it keeps it")

	modest, done := l.begin(t.Context())
	require.NoError(t, read(modest, maxModest), "others do not wait for it")
	done()

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	second, done := l.begin(ctx)
	for range 3 { // in small pieces as well
		if err := read(second, maxModest/2); err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
	}
	require.ErrorIs(t, read(second, 1), context.DeadlineExceeded)
	done()

	end()
	third, done := l.begin(t.Context())
	require.NoError(t, read(third, 2*maxModest), "the turn was given back")
	done()
	done() // twice does no harm
	require.Empty(t, l.turn)
}

func TestWhatNobodyCountsIsRead(t *testing.T) {
	require.NoError(t, read(t.Context(), 4*maxModest))
}
