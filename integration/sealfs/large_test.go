// SPDX-License-Identifier: Apache-2.0

//go:build integration

package sealfs_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/frontend/seal"
)

// dirsOf makes what one seal works on, and the empty tree below the layer.
func dirsOf(t *testing.T) (seal.Dirs, string) {
	require.Zero(t, os.Getuid(), "run as root")
	return seal.Dirs{Lower: t.TempDir(), Upper: t.TempDir(), Out: t.TempDir()}, t.TempDir()
}

// sealed seals and holds the report against the differ of the exporter. It
// returns how many bytes the seal allocated.
func sealed(t *testing.T, d seal.Dirs, parent string) (*seal.Report, uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	report, err := seal.Layer(context.Background(), d, seal.Rules{Time: clamp, Scrub: true}, nil)
	require.NoError(t, err)
	runtime.ReadMemStats(&after)

	digester := digest.SHA256.Digester()
	require.NoError(t, archive.WriteDiff(context.Background(), digester.Hash(), parent, d.Out))
	require.Equal(t, digester.Digest(), report.DiffID)
	return report, after.TotalAlloc - before.TotalAlloc
}

// Two gigabytes pass through in constant memory, and what is between the
// holes arrives.
func TestSparseTwoGigabytes(t *testing.T) {
	const size = 2 << 30
	d, parent := dirsOf(t)
	f, err := os.Create(filepath.Join(d.Upper, "sparse"))
	require.NoError(t, err)
	for _, at := range []int64{0, 1<<30 + 12345, size - 4} {
		_, err := f.WriteAt([]byte("data"), at)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())

	report, allocated := sealed(t, d, parent)
	require.Greater(t, report.Size, int64(size))
	require.Less(t, allocated, uint64(16<<20), "bytes allocated for a file of %d", int64(size))

	out, err := os.Open(filepath.Join(d.Out, "sparse"))
	require.NoError(t, err)
	defer out.Close()
	for _, at := range []int64{0, 1<<30 + 12345, size - 4} {
		b := make([]byte, 4)
		_, err := out.ReadAt(b, at)
		require.NoError(t, err)
		require.Equal(t, "data", string(b))
	}
	var st unix.Stat_t
	require.NoError(t, unix.Fstat(int(out.Fd()), &st))
	require.EqualValues(t, size, st.Size)
	require.Less(t, st.Blocks*512, int64(1<<20), "the holes stay holes on disk")
}

func TestHundredThousandFiles(t *testing.T) {
	const dirs, files = 100, 1000
	d, parent := dirsOf(t)
	for i := range dirs {
		dir := filepath.Join(d.Upper, fmt.Sprint(i))
		require.NoError(t, os.Mkdir(dir, 0o755))
		for j := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(j)), []byte{byte(j)}, 0o644))
		}
	}
	report, allocated := sealed(t, d, parent)
	require.Equal(t, dirs*(files+1), report.Changes)
	require.Less(t, allocated, uint64(2<<30))
}
