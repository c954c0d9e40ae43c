// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Holes need not survive, but the content must.
func TestCopyData(t *testing.T) {
	const mega = 1 << 20
	for name, data := range map[string]map[int64]string{
		"nothing":           {},
		"nothing but holes": {8 * mega: ""},
		"data at the start": {0: "start", 8 * mega: ""},
		"data at the end":   {8 * mega: "end"},
		"in the middle":     {mega + 17: "one", 3*mega - 1: "two", 5 * mega: ""},
		"no holes":          {0: string(bytes.Repeat([]byte("x"), 100_000))},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in, err := os.Create(filepath.Join(dir, "in"))
			require.NoError(t, err)
			defer in.Close()
			for at, text := range data {
				_, err := in.WriteAt([]byte(text), at)
				require.NoError(t, err)
				if info, err := in.Stat(); err == nil && text == "" && info.Size() < at {
					require.NoError(t, in.Truncate(at))
				}
			}
			info, err := in.Stat()
			require.NoError(t, err)
			dst, err := os.Create(filepath.Join(dir, "out"))
			require.NoError(t, err)
			defer dst.Close()
			require.NoError(t, copyData(dst, in, info.Sys().(*syscall.Stat_t)))

			want, err := os.ReadFile(in.Name())
			require.NoError(t, err)
			got, err := os.ReadFile(dst.Name())
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got), "%d bytes, want %d", len(got), len(want))
		})
	}
}
