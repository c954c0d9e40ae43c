// SPDX-License-Identifier: Apache-2.0

package limit_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
)

func TestReadAllStopsAtTheLimit(t *testing.T) {
	got, err := limit.ReadAll(strings.NewReader("12345"), 5)
	require.NoError(t, err)
	require.Equal(t, "12345", string(got))

	_, err = limit.ReadAll(strings.NewReader("123456"), 5)
	require.ErrorIs(t, err, limit.ErrTooLarge)
}

func TestReadFileRefusesPipesAndLargeFiles(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	require.NoError(t, os.WriteFile(big, make([]byte, 11), 0o600))
	_, err := limit.ReadFile(big, 10)
	require.ErrorIs(t, err, limit.ErrTooLarge)
	require.ErrorContains(t, err, big)

	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err = limit.ReadFile(pipe, 10)
	require.ErrorContains(t, err, "not a regular file")

	_, err = limit.ReadFile(filepath.Join(dir, "absent"), 10)
	require.ErrorIs(t, err, os.ErrNotExist)
}
