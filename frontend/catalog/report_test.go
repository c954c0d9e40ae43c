// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	sha1Of   = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
	sha256Of = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
)

func sample() *Result {
	return &Result{
		Report: sbom.Report{
			System: &sbom.System{ID: "debian"},
			Findings: []sbom.Finding{
				{Path: "/a", Packages: []sbom.Package{{
					Type: "npm", Name: "<a>", Requires: [][]string{{"b"}}, Checksums: map[string]string{"SHA1": sha1Of},
					// Keys that differ in case only are not the same licence.
					Licenses: map[string]string{"LicenseRef-x": "1", "LicenseRef-X": "2"},
				}}},
				{Path: `/b\xff`},
			},
			Gone:   []string{"/c", "/d"},
			Unread: []sbom.Unread{{Path: "/", Reason: "x"}, {Path: "/e", Reason: "y"}},
			Files:  3,
		},
		Files: []sbom.File{
			{Path: "/a", Size: 5, SHA1: sha1Of, SHA256: sha256Of, Owner: "deb/a"},
			{Path: "/b", Size: 5, SHA1: sha1Of, SHA256: sha256Of},
		},
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, sample().Write(dir))
	data, err := os.ReadFile(filepath.Join(dir, ReportFile))
	require.NoError(t, err)
	report, err := ReadReport(data)
	require.NoError(t, err)
	require.Equal(t, &sample().Report, report)

	list, err := os.Open(filepath.Join(dir, FilesFile))
	require.NoError(t, err)
	defer list.Close()
	var files []sbom.File
	for f, err := range ReadFiles(list) {
		require.NoError(t, err)
		files = append(files, f)
	}
	require.Equal(t, sample().Files, files)
}

func TestWriteStaysInside(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "file")
	for _, name := range []string{ReportFile, FilesFile} {
		dir := planted(t, map[string]string{name: "-> " + elsewhere})
		require.Error(t, sample().Write(dir))
		require.NoFileExists(t, elsewhere)
	}
	require.Error(t, sample().Write(filepath.Join(t.TempDir(), "nothing")))
	dir := t.TempDir()
	require.NoError(t, (&Result{}).Write(dir))
	require.NoFileExists(t, filepath.Join(dir, FilesFile))
}

func TestReadReportRefuses(t *testing.T) {
	for data, want := range map[string]string{
		``:                                      "unexpected end",
		`null`:                                  "form",
		`[]`:                                    "cannot unmarshal",
		`{"files":1,"more":2}`:                  "form",
		`{"files":1,"files":1}`:                 "form",
		`{"Files":1}`:                           "form",
		`{ "files":1}`:                          "form",
		`{"files":1}x`:                          "invalid character",
		`{"files":1.0}`:                         "cannot unmarshal",
		`{"files":-1}`:                          "files",
		"{\"gone\":[\"/\xff\"],\"files\":1}":    "form",
		`{"gone":["/b","/a"],"files":1}`:        "not sorted",
		`{"gone":["/a","/a"],"files":1}`:        "not sorted",
		`{"gone":["a"],"files":1}`:              "not an absolute path",
		`{"gone":["/a\u0000"],"files":1}`:       "not an absolute path",
		`{"findings":[{"path":"a"}],"files":1}`: "not an absolute path",
		`{"findings":[{"path":"/a"},{"path":"/a"}],"files":1}`:                             "not sorted",
		`{"findings":[{"path":"/a","packages":[{"type":"","name":"a"}]}],"files":1}`:       "without a type",
		`{"findings":[{"path":"/a","packages":[{"type":"npm","name":""}]}],"files":1}`:     "without a type",
		`{"unread":[{"path":"","reason":"x"}],"files":1}`:                                  "not an absolute path",
		`{"unread":[{"path":"/a","reason":""}],"files":1}`:                                 "the reason",
		`{"unread":[{"path":"/a","reason":"a\nb"}],"files":1}`:                             "the reason",
		`{"unread":[{"path":"/a","reason":"` + strings.Repeat("x", 301) + `"}],"files":1}`: "the reason",
		`{"gone":["/` + strings.Repeat("x", 4*maxPath) + `"],"files":1}`:                   "not an absolute path",
	} {
		_, err := ReadReport([]byte(data))
		require.ErrorIs(t, err, ErrReport, data)
		require.ErrorContains(t, err, want, data)
	}
	_, err := ReadReport([]byte(`{"files":1}`))
	require.NoError(t, err)
}

func TestReadReportIsBounded(t *testing.T) {
	var r sbom.Report
	r.Findings = []sbom.Finding{{Path: "/a", Packages: make([]sbom.Package, maxPackages+1)}}
	for i := range r.Findings[0].Packages {
		r.Findings[0].Packages[i] = sbom.Package{Type: "a", Name: "b"}
	}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	_, err = ReadReport(data)
	require.ErrorContains(t, err, "more than 196608 packages")
	_, err = ReadReport(make([]byte, MaxReport+1))
	require.ErrorContains(t, err, "too large")
}

func TestReadFilesRefuses(t *testing.T) {
	line := func(path string) string {
		return `{"path":"` + path + `","size":5,"sha1":"` + sha1Of + `","sha256":"` + sha256Of + `"}` + "\n"
	}
	for data, want := range map[string]string{
		"\n":                                     "unexpected end",
		"{}\n":                                   "form",
		line("/a") + line("/a"):                  "not sorted",
		line("/b") + line("/a"):                  "not sorted",
		line("a"):                                "not an absolute path",
		strings.TrimSpace(line("/a")):            "EOF",
		line("/" + strings.Repeat("x", maxLine)): "buffer full",
		strings.Replace(line("/a"), "5", "-5", 1):                      "no digest",
		strings.Replace(line("/a"), "aaf4", "AAF4", 1):                 "no digest",
		strings.Replace(line("/a"), sha256Of, sha1Of, 1):               "no digest",
		strings.Replace(line("/a"), `"size"`, `"more":1,"size"`, 1):    "form",
		strings.Replace(line("/a"), `"size"`, `"path":"/a","size"`, 1): "form",
		strings.Replace(line("/a"), `"size":5`, `"size": 5`, 1):        "form",
		line("/a") + "x\n": "invalid character",
	} {
		var last error
		for _, err := range ReadFiles(strings.NewReader(data)) {
			require.NoError(t, last, "nothing comes after an error")
			last = err
		}
		require.ErrorIs(t, last, ErrReport, data)
		require.ErrorContains(t, last, want, data)
	}
	for range ReadFiles(strings.NewReader(line("/a") + "broken")) {
		break // nothing is read that nobody asks for
	}
}

func TestClean(t *testing.T) {
	huge := strings.Repeat("x", maxText+1)
	packages, err := clean([]sbom.Package{
		{Type: "npm", Name: "b", Summary: "a\nb\x00c\xff", Version: " 1 ", Homepage: huge},
		{Type: "npm", Name: "a"}, {Type: "npm", Name: "a"},
		{Type: "npm", Name: "a", License: "MIT\nAND", Licenses: map[string]string{"LicenseRef-a": "x"}},
		{Type: "npm", Name: "c", Provides: []string{"", "x"}, Requires: [][]string{{}, {""}, {"y", ""}}, Source: &sbom.Source{Name: "s\t"}},
		{Type: "npm"}, {Name: "x"},
	}, 100)
	require.ErrorIs(t, err, errNameless)
	require.Equal(t, []sbom.Package{
		{Type: "npm", Name: "a"},
		{Type: "npm", Name: "b", Summary: "a b c\uFFFD", Version: "1", Homepage: huge[:maxText]},
		{Type: "npm", Name: "c", Provides: []string{"x"}, Requires: [][]string{{"y"}}, Source: &sbom.Source{Name: "s"}},
	}, packages)
}

func FuzzReadReport(f *testing.F) {
	data, err := json.Marshal(sample().Report)
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(`{"files":1}`))
	f.Add([]byte(`{"gone":["/a"],"unread":[{"path":"/","reason":"x"}],"files":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := ReadReport(data)
		if err != nil {
			require.ErrorIs(t, err, ErrReport)
			return
		}
		again, err := json.Marshal(report)
		require.NoError(t, err)
		require.Equal(t, data, again, "there is one way to write a report")
		sbom.Merge([]sbom.Layer{{Report: *report}})
	})
}

func FuzzReadFiles(f *testing.F) {
	f.Add([]byte(`{"path":"/a","size":5,"sha1":"` + sha1Of + `","sha256":"` + sha256Of + `"}` + "\n"))
	f.Add([]byte("{}\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again bytes.Buffer
		last := ""
		for file, err := range ReadFiles(bytes.NewReader(data)) {
			if err != nil {
				require.ErrorIs(t, err, ErrReport)
				return
			}
			require.Less(t, last, file.Path)
			last = file.Path
			require.NoError(t, json.NewEncoder(&again).Encode(file))
		}
		require.Equal(t, string(data), again.String())
	})
}
