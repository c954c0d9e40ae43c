// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
)

// FuzzArchive reads archives that somebody else made. Nothing is written but
// blobs that are what their names say.
func FuzzArchive(f *testing.F) {
	seed := func(files ...string) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for i := 0; i+1 < len(files); i += 2 {
			_ = w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))})
			_, _ = w.Write([]byte(files[i+1]))
		}
		_ = w.Close()
		f.Add(b.Bytes())
	}
	blob := "blobs/sha256/" + digest.FromString("x").Encoded()
	seed(ocispec.ImageLayoutFile, `{"imageLayoutVersion":"1.0.0"}`, ocispec.ImageIndexFile, `{"manifests":[]}`, blob, "x")
	seed(blob, "y")
	seed("../x", "y")
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, data []byte) {
		root := t.TempDir()
		dir, path := filepath.Join(root, "dir"), filepath.Join(root, "file")
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.WriteFile(path, data, 0o600))
		a, err := read(t.Context(), path, dir)
		entries, readErr := os.ReadDir(root)
		require.NoError(t, readErr)
		require.Len(t, entries, 2, "nothing beside the folder")
		if err != nil {
			require.ErrorIs(t, err, ErrArchive)
			return
		}
		defer a.file.Close()
		for d, size := range a.blobs {
			if size > maxDocument {
				continue
			}
			content, err := os.ReadFile(filepath.Join(dir, "blobs", "sha256", d.Encoded()))
			require.NoError(t, err)
			sum := sha256.Sum256(content)
			require.Equal(t, d, digest.NewDigestFromBytes(digest.SHA256, sum[:]))
		}
		if _, err := a.images(""); err != nil {
			require.ErrorIs(t, err, ErrArchive)
		}
	})
}
