// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Dir is a folder for the length of the test. Other than in t.TempDir's, there
// is no comma in its name, at which buildx takes many of its arguments apart.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plomb-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755), "as a checkout has it")
	return dir
}

// Folder writes files, by name, to a folder of their own: a build context.
func Folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := Dir(t)
	for name, text := range files {
		Write(t, dir, name, text)
	}
	return dir
}

// Write writes a file below dir.
func Write(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// Secret writes a file that nobody else may read, and returns its name.
func Secret(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(Dir(t), "secret")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
