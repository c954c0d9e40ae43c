// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

// A disk that hangs must not have the agent keep, in memory, a receipt of
// everything that is asked meanwhile: who creates pods asks as often as he likes.
func TestHungDiskBoundsWhatWaits(t *testing.T) {
	l, err := Open(t.TempDir(), Options{})
	require.NoError(t, err)
	entered, hang := make(chan struct{}, maxWaiting+10), make(chan struct{})
	l.sync = func(*os.File) error { entered <- struct{}{}; <-hang; return nil }
	go func() { _, _ = l.Append(context.Background(), example(0)) }()
	<-entered
	refused := 0
	for i := range maxWaiting + 10 {
		ctx, cancel := context.WithCancel(t.Context())
		cancelled := make(chan error, 1)
		go func() { _, err := l.Append(ctx, example(i)); cancelled <- err }()
		for waits := false; !waits; {
			l.mu.Lock()
			waits = len(l.waiting) == min(i+1, maxWaiting)
			l.mu.Unlock()
		}
		if i >= maxWaiting { // it does not wait at all
			require.ErrorIs(t, <-cancelled, ErrLog)
			refused++
			cancel()
			continue
		}
		cancel()
		require.ErrorIs(t, <-cancelled, ErrLog)
	}
	require.Equal(t, 10, refused)
	close(hang)
	require.NoError(t, l.Close())
}

// A refusal can be had again and again by whoever creates pods, and how long it
// is, by who makes the image. Together they must not fill the disk soon: without
// room for receipts a node that enforces admits nothing.
func TestRefusalsAreShort(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, Options{})
	require.NoError(t, err)
	defer l.Close()
	long := example(1)
	long.Admitted, long.Verdict = false, decision.Deny
	long.Reason = strings.Repeat("r", 2<<10)
	for range 500 {
		long.Signers = append(long.Signers, decision.Signer{Issuer: "https://issuer.example", Subject: strings.Repeat("s", 100)})
	}
	_, err = l.Append(t.Context(), long)
	require.NoError(t, err)
	for e, err := range Entries(dir) {
		require.NoError(t, err)
		require.LessOrEqual(t, len(e.Text), maxRefusal)
		require.True(t, e.Receipt.Abridged)
		require.Equal(t, long.Reason, e.Receipt.Reason)
		require.Equal(t, long.Digest, e.Receipt.Digest)
	}

	// What was admitted says by whom, as long as that may be.
	long.Admitted, long.Verdict = true, decision.Allow
	_, err = l.Append(t.Context(), long)
	require.NoError(t, err)
	whole := 0
	for e, err := range Entries(dir) {
		require.NoError(t, err)
		if e.Receipt.Admitted {
			whole++
			require.False(t, e.Receipt.Abridged)
			require.Len(t, e.Receipt.Signers, 500)
		}
	}
	require.Equal(t, 1, whole)
}
