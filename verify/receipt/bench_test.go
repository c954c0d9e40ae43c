// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkAppend waits for the disk each time; side by side, calls share it.
func BenchmarkAppend(b *testing.B) {
	l, err := Open(filepath.Join(b.TempDir(), "receipts"), Options{})
	require.NoError(b, err)
	defer l.Close()
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.Append(context.Background(), example(0)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("side by side", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := l.Append(context.Background(), example(0)); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkOpen is what a verifier without an agent does for one receipt.
func BenchmarkOpen(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "receipts")
	for b.Loop() {
		l, err := Open(dir, Options{})
		require.NoError(b, err)
		_, err = l.Append(context.Background(), example(0))
		require.NoError(b, err)
		require.NoError(b, l.Close())
	}
}

// BenchmarkCheck reads a log.
func BenchmarkCheck(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "receipts")
	l, err := Open(dir, Options{})
	require.NoError(b, err)
	many := make([]*Receipt, 10_000)
	for i := range many {
		many[i] = example(i)
	}
	_, err = l.Append(context.Background(), many...)
	require.NoError(b, err)
	require.NoError(b, l.Close())
	for b.Loop() {
		r, err := CheckLog(dir)
		require.NoError(b, err)
		b.SetBytes(r.Bytes)
	}
}
