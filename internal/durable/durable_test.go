// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/durable"
)

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	require.NoError(t, durable.WriteFile(path, []byte("one"), 0o600))
	require.NoError(t, durable.WriteFile(path, []byte("two"), 0o644))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "two", string(data))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), info.Mode())
}

// What cannot be written leaves the old file, and nothing else.
func TestFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	require.NoError(t, os.Mkdir(path, 0o700)) // a file cannot replace a folder
	require.ErrorContains(t, durable.WriteFile(path, []byte("x"), 0o600), "write "+path)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)

	require.ErrorIs(t, durable.WriteFile(filepath.Join(dir, "absent", "state"), nil, 0o600), os.ErrNotExist)
}

// A reader sees one of the versions, whole.
func TestReadersSeeWholeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	version := func(i int) []byte { return []byte(strings.Repeat(fmt.Sprint(i), 1<<16)) }
	require.NoError(t, durable.WriteFile(path, version(0), 0o600))
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			if err := durable.WriteFile(path, version(i), 0o600); err != nil {
				t.Error(err)
			}
		})
	}
	for range 50 {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Len(t, data, 1<<16)
		require.Equal(t, strings.Repeat(string(data[:1]), 1<<16), string(data))
	}
	writers.Wait()
}
