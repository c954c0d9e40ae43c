// SPDX-License-Identifier: Apache-2.0

package python_test

import (
	"archive/zip"
	"bytes"
	"context"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/frontend/catalog/python"
	"github.com/plombproject/plomb/provenance/sbom"
)

const wheelMetadata = `Metadata-Version: 2.1
Name: Typing_Extensions.Demo
Version: 4.1.0
Summary: Backported and experimental things
Author-email: "Jane Doe" <jane@example.org>, John <john@example.org>
Maintainer: Example Foundation
Project-URL: Documentation, https://docs.example.org/
Project-URL: Homepage, https://example.org/demo
License: BSD
Classifier: License :: OSI Approved
Classifier: License :: OSI Approved :: BSD License
Classifier: License :: OSI Approved :: Python Software Foundation License
Requires-Dist: Zope.Interface (>=5.0)
Requires-Dist: PyYAML[fast] >= 5 ; python_version < "3.8"
Requires-Dist: zope-interface<9
Requires-Dist: pytest; extra == 'test'
Requires-Dist: @@@
Requires-Dist: extra-name

Name: this is the description, not a field
`

func TestReadsDistInfo(t *testing.T) {
	const at = "/usr/lib/python3/site-packages/demo-4.1.0.dist-info/METADATA"
	packages, err := treetest.Tree{at: []byte(wheelMetadata)}.Read(t, python.Readers(), at)
	require.NoError(t, err)
	require.Equal(t, []sbom.Package{{
		Type: "pypi", Name: "Typing_Extensions.Demo", Version: "4.1.0", PURL: "pkg:pypi/typing-extensions-demo@4.1.0",
		Summary:    "Backported and experimental things",
		Originator: "Person: Jane Doe (jane@example.org)", Supplier: "Organization: Example Foundation",
		Homepage: "https://example.org/demo",
		License:  "LicenseRef-plomb-BSD-License-170c0f4cee6fc262 AND PSF-2.0", Licenses: map[string]string{"LicenseRef-plomb-BSD-License-170c0f4cee6fc262": "BSD License"},
		Requires: [][]string{{"zope-interface"}, {"pyyaml"}, {"extra-name"}},
	}}, packages)
}

func TestTopIsWhatWasRequested(t *testing.T) {
	tree := treetest.Tree{
		"/site-packages/a-1.dist-info/METADATA":  []byte("Name: a\nVersion: 1\n"),
		"/site-packages/a-1.dist-info/REQUESTED": nil,
		"/site-packages/b-1.dist-info/METADATA":  []byte("Name: b\nVersion: 1\n"),
	}
	a, err := tree.Read(t, python.Readers(), "/site-packages/a-1.dist-info/METADATA")
	require.NoError(t, err)
	b, err := tree.Read(t, python.Readers(), "/site-packages/b-1.dist-info/METADATA")
	require.NoError(t, err)
	require.True(t, a[0].Top)
	require.False(t, b[0].Top)
}

func TestLicenceFileSpeaksWhereNothingElseDoes(t *testing.T) {
	const isc = "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that"
	for name, test := range map[string]struct {
		metadata, file, want string
	}{
		"beside":     {"License-File: LICENSE\n", "LICENSE", "ISC"},
		"in folder":  {"License-File: doc/LICENSE\n", "licenses/doc/LICENSE", "ISC"},
		"outside":    {"License-File: ../../LICENSE\n", "../../LICENSE", ""},
		"two files":  {"License-File: LICENSE\nLicense-File: COPYING\n", "LICENSE", ""},
		"not needed": {"License: MIT\nLicense-File: LICENSE\n", "LICENSE", "MIT"},
		"missing":    {"License-File: LICENSE\n", "other", ""},
	} {
		t.Run(name, func(t *testing.T) {
			const dir = "/usr/lib/a-1.dist-info"
			tree := treetest.Tree{
				dir + "/METADATA":         []byte("Name: a\n" + test.metadata),
				path.Join(dir, test.file): []byte(isc),
			}
			packages, err := tree.Read(t, python.Readers(), dir+"/METADATA")
			require.NoError(t, err)
			require.Equal(t, test.want, packages[0].License)
		})
	}
}

func TestMetadata(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want sbom.Package
	}{
		"least": {"Name: a\n", sbom.Package{Name: "a", PURL: "pkg:pypi/a"}},
		"expression before the rest": {"Name: a\nLicense-Expression: MIT OR Apache-2.0\nLicense: GPL\n",
			sbom.Package{Name: "a", PURL: "pkg:pypi/a", License: "MIT OR Apache-2.0"}},
		"licence of the list before classifiers": {"Name: a\nLicense: MIT\nClassifier: License :: OSI Approved :: Apache Software License\n",
			sbom.Package{Name: "a", PURL: "pkg:pypi/a", License: "MIT"}},
		"classifiers before an unknown licence": {"Name: a\nLicense: see COPYING\nClassifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: Apache Software License\n",
			sbom.Package{Name: "a", PURL: "pkg:pypi/a", License: "MIT AND Apache-2.0"}},
		"licence before classifiers that say no more": {"Name: a\nLicense: BSD\nClassifier: License :: OSI Approved :: BSD License\n",
			sbom.Package{Name: "a", PURL: "pkg:pypi/a", License: "LicenseRef-plomb-BSD", Licenses: map[string]string{"LicenseRef-plomb-BSD": "BSD"}}},
		"nothing known": {"Name: a\nVersion: 1\nLicense: UNKNOWN\nAuthor: UNKNOWN\nSummary: UNKNOWN\nHome-page: UNKNOWN\n",
			sbom.Package{Name: "a", Version: "1", PURL: "pkg:pypi/a@1"}},
		"author and mail": {"Name: a\r\nAuthor: Jane\r\nAuthor-email: jane@example.org\r\nHome-page: https://example.org\r\n",
			sbom.Package{Name: "a", PURL: "pkg:pypi/a", Originator: "Person: Jane (jane@example.org)", Supplier: "Person: Jane (jane@example.org)", Homepage: "https://example.org"}},
		"malformed line ends it": {"Name: a\nno field\nVersion: 1\n", sbom.Package{Name: "a", PURL: "pkg:pypi/a"}},
		"first value counts":     {"Name: a\nName: b\n", sbom.Package{Name: "a", PURL: "pkg:pypi/a"}},
		"address that is none":   {"Name: a\nHome-page: javascript:x\n", sbom.Package{Name: "a", PURL: "pkg:pypi/a"}},
		"licence text over many lines": {"Name: a\nLicense: Permission is hereby granted, free of charge, to any person obtaining a copy\n" +
			"        of this.\n        The above copyright notice and this permission notice shall be included in all\n        copies.\nVersion: 2\n",
			sbom.Package{Name: "a", Version: "2", PURL: "pkg:pypi/a@2", License: "MIT"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.Type = "pypi"
			got, err := python.Metadata([]byte(test.text))
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	_, err := python.Metadata([]byte("Version: 1\n"))
	require.ErrorContains(t, err, "no name")
}

func TestWants(t *testing.T) {
	for path, want := range map[string]bool{
		"/x/a-1.dist-info/METADATA": true, "/x/a.egg-info/PKG-INFO": true, "/x/a-1.egg-info": true, "/x/a.egg/EGG-INFO/PKG-INFO": true,
		"/x/a.egg": true, "/x/a-py3-none-any.whl": true,
		"/x/METADATA": false, "/x/a.dist-info/RECORD": false, "/x/PKG-INFO": false, "/x/a.egg-info/requires.txt": false,
	} {
		wanted := false
		for _, r := range python.Readers() {
			wanted = wanted || r.Wants(path, nil)
		}
		require.Equal(t, want, wanted, path)
	}
}

func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, text := range files {
		f, err := w.Create(name)
		require.NoError(t, err)
		_, err = f.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestReadsEggsAndWheels(t *testing.T) {
	tree := treetest.Tree{
		"/x/demo.egg": pack(t, map[string]string{"EGG-INFO/PKG-INFO": "Name: demo\nVersion: 1\n", "demo.py": "pass"}),
		"/x/demo.whl": pack(t, map[string]string{"demo-2.dist-info/METADATA": "Name: demo\nVersion: 2\n"}),
		"/x/none.whl": pack(t, map[string]string{"readme": "text"}),
		"/x/bad.whl":  []byte("no zip"),
		"/x/odd.whl":  pack(t, map[string]string{"../demo-2.dist-info/METADATA": "nothing"}),
	}
	egg, err := tree.Read(t, python.Readers(), "/x/demo.egg")
	require.NoError(t, err)
	require.Equal(t, "pkg:pypi/demo@1", egg[0].PURL)
	wheel, err := tree.Read(t, python.Readers(), "/x/demo.whl")
	require.NoError(t, err)
	require.Equal(t, "pkg:pypi/demo@2", wheel[0].PURL)
	none, err := tree.Read(t, python.Readers(), "/x/none.whl")
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = tree.Read(t, python.Readers(), "/x/bad.whl")
	require.Error(t, err)
	_, err = tree.Read(t, python.Readers(), "/x/odd.whl")
	require.Error(t, err)
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(wheelMetadata))
	f.Add([]byte("Name: a\n  b\nLicense: x\n       |y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := python.Metadata(text)
		if err != nil {
			return
		}
		require.NotEmpty(t, p.Name)
		for _, alternatives := range p.Requires {
			require.Len(t, alternatives, 1)
			require.Equal(t, strings.ToLower(alternatives[0]), alternatives[0])
		}
	})
}

func FuzzArchive(f *testing.F) {
	f.Add(pack(f, map[string]string{"EGG-INFO/PKG-INFO": "Name: demo\nVersion: 1\n"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		packages, err := python.Archive(context.Background(), bytes.NewReader(data), int64(len(data)))
		for _, p := range packages {
			require.NotEmpty(t, p.Name, err)
		}
	})
}
