// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLine reads lines that somebody else wrote. What is accepted can be
// written again, and says the same then.
func FuzzLine(f *testing.F) {
	line, err := encode(*example(0))
	require.NoError(f, err)
	for _, seed := range []string{string(line), `{}`, `{"schema":"` + Schema + `"}`, `{"schema":"` + Schema + `","previous":"sha256:x"}`, "", "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			require.ErrorIs(t, err, errLine)
			return
		}
		again, err := encode(r)
		if err != nil {
			return // a time beyond the year 9999
		}
		require.NotContains(t, string(again), "\n")
		reread, err := parse(again)
		require.NoError(t, err)
		final, err := encode(reread)
		require.NoError(t, err)
		require.Equal(t, string(again), string(final))
	})
}

// FuzzCheckpoint reads checkpoints that somebody else wrote.
func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(`{"schema":"` + CheckpointSchema + `","time":"2026-02-03T12:00:00Z","file":"receipts-000001.jsonl","offset":7,"last":"` + string(hash(nil)) + `","key":"","signature":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCheckpoint(data)
		if err != nil {
			require.ErrorIs(t, err, errCheckpoint)
			return
		}
		require.Equal(t, 5, bytes.Count(c.Text(), []byte("\n")), "one meaning per text")
		require.Error(t, c.verify(nil))
	})
}

// FuzzLog has a file that somebody else left in the folder, and demands that
// the log can be checked and goes on behind it.
func FuzzLog(f *testing.F) {
	line, err := encode(*example(0))
	require.NoError(f, err)
	line = append(line, '\n')
	for _, seed := range []string{"", "\n", "\n\n", "x", "x\ny\n", string(line), string(line) + "x", string(line) + "x\n", "x\n" + string(line)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := filepath.Join(t.TempDir(), "receipts")
		l, err := Open(dir, Options{Warn: func(error) {}})
		require.NoError(t, err)
		l.sync = func(*os.File) error { return nil }
		require.NoError(t, os.WriteFile(filepath.Join(dir, fileName(1)), data, 0o600))
		before, err := CheckLog(dir)
		require.NoError(t, err)
		for i := range 2 {
			_, err := l.Append(t.Context(), example(i))
			require.NoError(t, err)
		}
		require.NoError(t, l.Close())
		after, err := CheckLog(dir)
		require.NoError(t, err)
		require.Equal(t, before.Receipts+2, after.Receipts)
		require.LessOrEqual(t, len(after.Faults), len(before.Faults))
	})
}
