// SPDX-License-Identifier: Apache-2.0

package spdx_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	spdxjson "github.com/spdx/tools-golang/json"
	model "github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/utils"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

// someFiles yields n files, of which every third belongs to libc6 and every
// fifth to python3-x.
func someFiles(n int) iter.Seq2[sbom.File, error] {
	return func(yield func(sbom.File, error) bool) {
		for i := range n {
			f := sbom.File{Path: fmt.Sprintf("/usr/lib/x86_64-linux-gnu/%08d & <more>", i)}
			s1, s256 := sha1.Sum([]byte(f.Path)), sha256.Sum256([]byte(f.Path))
			f.SHA1, f.SHA256 = hex.EncodeToString(s1[:]), hex.EncodeToString(s256[:])
			switch {
			case i%3 == 0:
				f.Owner = "deb/libc6:amd64"
			case i%5 == 0:
				f.Owner = "deb/python3-x:all"
			case i%7 == 0:
				f.Owner = "deb/removed:amd64"
			}
			if !yield(f, nil) {
				return
			}
		}
	}
}

func filesDocument(t testing.TB, files iter.Seq2[sbom.File, error]) ([]byte, *sbom.Document) {
	t.Helper()
	var out bytes.Buffer
	doc, err := spdx.Files(sampleImage(), sampleInventory(), files, &out)
	require.NoError(t, err)
	return out.Bytes(), doc
}

func TestFiles(t *testing.T) {
	data, doc := filesDocument(t, someFiles(7))
	requireValid(t, data)
	requireGolden(t, "testdata/files.golden.json", data)

	again, err := json.Marshal(json.RawMessage(data))
	require.NoError(t, err)
	require.Equal(t, string(data), string(again))

	require.Equal(t, namespaceOf(t, data), doc.Namespace)
	whole := sha1.Sum(data)
	require.Equal(t, hex.EncodeToString(whole[:]), doc.SHA1)
	nameless := bytes.Replace(data, []byte(doc.Namespace), nil, 1)
	content := sha256.Sum256(nameless)
	require.Equal(t, spdx.Namespace+hex.EncodeToString(content[:]), doc.Namespace)

	empty, _ := filesDocument(t, someFiles(0))
	requireValid(t, empty)
}

// TestVerificationCodes recomputes them from the document alone, with the
// specification's own tools.
func TestVerificationCodes(t *testing.T) {
	data, _ := filesDocument(t, someFiles(1000))
	doc, err := spdxjson.Read(bytes.NewReader(data))
	require.NoError(t, err)
	byID := map[string]*model.File{}
	for _, f := range doc.Files {
		byID[string(f.FileSPDXIdentifier)] = f
	}
	contains := map[string][]*model.File{}
	for _, r := range doc.Relationships {
		if f := byID[string(r.RefB.ElementRefID)]; f != nil {
			require.Equal(t, "CONTAINS", r.Relationship)
			contains[string(r.RefA.ElementRefID)] = append(contains[string(r.RefA.ElementRefID)], f)
		}
	}
	require.Len(t, doc.Packages, 3)
	for _, p := range doc.Packages {
		require.True(t, p.FilesAnalyzed)
		want, err := utils.GetVerificationCode(contains[string(p.PackageSPDXIdentifier)], "")
		require.NoError(t, err)
		require.Equal(t, want.Value, p.PackageVerificationCode.Value, p.PackageName)
	}
	require.Len(t, contains["image"], 1000)
	require.Len(t, contains["deb-libc6"], 334)
}

func TestFilesRefusesWhatCannotBeVouchedFor(t *testing.T) {
	good := sbom.File{Path: "/a", SHA1: strings.Repeat("0", 40), SHA256: strings.Repeat("0", 64)}
	for name, change := range map[string]func(*sbom.File){
		"no SHA-1":      func(f *sbom.File) { f.SHA1 = "" },
		"short SHA-256": func(f *sbom.File) { f.SHA256 = "00" },
		"relative":      func(f *sbom.File) { f.Path = "a" },
	} {
		t.Run(name, func(t *testing.T) {
			f := good
			change(&f)
			_, err := spdx.Files(sampleImage(), sampleInventory(), func(yield func(sbom.File, error) bool) { yield(f, nil) }, io.Discard)
			require.Error(t, err)
		})
	}
	broken := errors.New("disk on fire")
	_, err := spdx.Files(sampleImage(), sampleInventory(), func(yield func(sbom.File, error) bool) { yield(sbom.File{}, broken) }, io.Discard)
	require.ErrorIs(t, err, broken)
}

func TestFilesBeyondTheLimit(t *testing.T) {
	_, err := spdx.Files(sampleImage(), sampleInventory(), someFiles(200_000), io.Discard)
	require.ErrorIs(t, err, spdx.ErrTooLarge)
	require.ErrorContains(t, err, "PLOMB_SBOM=packages")
}

func BenchmarkFiles(b *testing.B) {
	const n = 50_000
	b.ReportAllocs()
	for b.Loop() {
		data, _ := filesDocument(b, someFiles(n))
		b.ReportMetric(float64(len(data))/n, "bytes/file")
	}
}
