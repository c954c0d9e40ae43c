// SPDX-License-Identifier: Apache-2.0

package documents_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
	"github.com/plombproject/plomb/verify/documents"
)

func document(t testing.TB) []byte {
	t.Helper()
	data, err := spdx.Packages(&sbom.Inventory{Items: []sbom.Item{
		{Package: sbom.Package{Type: "npm", Name: "a", Version: "1", Top: true}, Paths: []string{"/a/package.json"}},
		{Package: sbom.Package{Type: "npm", Name: "b", Version: "1"}, Paths: []string{"/b/package.json"}},
	}}, sbom.Image{Name: "app", Platform: "linux/amd64"}, nil)
	require.NoError(t, err)
	return data
}

func TestParseSBOM(t *testing.T) {
	data := document(t)
	s, err := documents.ParseSBOM(data)
	require.NoError(t, err)
	require.Equal(t, documents.SPDX, s.Format)
	require.Len(t, s.Inventory.Items, 2)
	require.Equal(t, "app", s.Image.Name)

	whole, err := s.Write(documents.SPDX, sbom.LevelPackages)
	require.NoError(t, err)
	require.Equal(t, string(data), string(whole), "in its own format, it is the document itself")
	less, err := s.Write(documents.SPDX, sbom.LevelImage)
	require.NoError(t, err)
	reread, err := documents.ParseSBOM(less)
	require.NoError(t, err)
	require.Len(t, reread.Inventory.Items, 1)

	other, err := s.Write(documents.CycloneDX, sbom.LevelPackages)
	require.NoError(t, err)
	reread, err = documents.ParseSBOM(other)
	require.NoError(t, err)
	require.Equal(t, documents.CycloneDX, reread.Format)
	require.Len(t, reread.Inventory.Items, 2)
}

func TestParseSBOMRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "no object": "[]", "neither": "{}", "text": "NAME VERSION",
		"both": `{"spdxVersion":"SPDX-2.3","bomFormat":"CycloneDX"}`,
	} {
		_, err := documents.ParseSBOM([]byte(text))
		require.ErrorIs(t, err, documents.ErrFormat, name)
	}
	_, err := documents.ParseSBOM([]byte(`{"spdxVersion":"SPDX-9"}`))
	require.ErrorIs(t, err, spdx.ErrInvalid)
}

func TestFiles(t *testing.T) {
	list, err := documents.Files([]byte(`{"files":[
		{"fileName":"./usr/b","checksums":[{"algorithm":"SHA1","checksumValue":"1"},{"algorithm":"SHA256","checksumValue":"2"}]},
		{"fileName":"/a"}]}`))
	require.NoError(t, err)
	require.Equal(t, []documents.File{{Path: "/a"}, {Path: "/usr/b", SHA256: "2"}}, list)
	_, err = documents.Files([]byte(`[`))
	require.ErrorIs(t, err, documents.ErrFormat)
}

func TestFilesOnDisk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.json")
	require.NoError(t, os.WriteFile(path, []byte("{}"), 0o600))
	require.True(t, documents.IsFile(path))
	require.False(t, documents.IsFile(dir), "a folder is an image, as oci-layout:")
	require.False(t, documents.IsFile(filepath.Join(dir, "absent")))
	data, err := documents.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "{}", string(data))
}

// FuzzParseSBOM: whatever is in the file, it is read or refused.
func FuzzParseSBOM(f *testing.F) {
	f.Add(document(f))
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"a"}]}`))
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","files":[{"fileName":"a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := documents.ParseSBOM(data)
		if err == nil {
			require.NotNil(t, s.Inventory)
			require.NotNil(t, s.Image)
		}
		if _, err := documents.Files(data); err != nil {
			require.True(t, errors.Is(err, documents.ErrFormat))
		}
	})
}
