// SPDX-License-Identifier: Apache-2.0

package npm_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/frontend/catalog/npm"
	"github.com/plombproject/plomb/provenance/sbom"
)

const core = `{
  "name": "@babel/core",
  "version": "7.24.0",
  "description": "Compiler core.",
  "author": {"name": "The Babel Team", "url": "https://babel.dev/team"},
  "maintainers": ["Jane Doe <jane@example.org> (https://example.org)"],
  "license": "MIT",
  "repository": {"type": "git", "url": "git+https://github.com/babel/babel.git"},
  "dependencies": {"semver": "^6.3.1", "gensync": "^1.0.0", "old-debug": "npm:debug@^2.0.0", "./bad": "1"},
  "optionalDependencies": {"fsevents": "*"},
  "peerDependencies": {"@babel/preset": "*"},
  "devDependencies": {"mocha": "*"},
  "bin": false
}`

func TestReadsAPackage(t *testing.T) {
	const path = "/app/node_modules/@babel/core/package.json"
	packages, err := treetest.Tree{path: []byte(core)}.Read(t, npm.Readers(), path)
	require.NoError(t, err)
	require.Equal(t, []sbom.Package{{
		Type: "npm", Name: "@babel/core", Version: "7.24.0", PURL: "pkg:npm/%40babel/core@7.24.0",
		Summary: "Compiler core.", Homepage: "https://github.com/babel/babel",
		Originator: "Organization: The Babel Team", Supplier: "Person: Jane Doe (jane@example.org)",
		License:  "MIT",
		Requires: [][]string{{"@babel/preset"}, {"fsevents"}, {"gensync"}, {"old-debug", "debug"}, {"semver"}},
	}}, packages)
}

func TestIgnoresWhatIsNoPackage(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"type":"module"}`, `{"name":"a"}`, `{"version":"1"}`, `{"name":"","version":""}`, `{"name":1,"version":2}`,
		`{"name":"a","version":"1","engines":{"vscode":"^1"}}`, `{"name":"a","version":"1","contributes":{}}`, `{"name":"a","version":"1","unity":"2019"}`,
	} {
		packages, err := npm.Manifest("/app/node_modules/a/package.json", []byte(text))
		require.NoError(t, err, text)
		require.Empty(t, packages, text)
	}
	for _, name := range badNames {
		packages, err := npm.Manifest("/app/node_modules/a/test/fixture/package.json", []byte(`{"name":"`+name+`","version":"1"}`))
		require.NoError(t, err, name)
		require.Empty(t, packages, name)
	}
	for _, text := range []string{``, `[]`, `{"name":`, `"a"`} {
		_, err := npm.Manifest("/package.json", []byte(text))
		require.Error(t, err, text)
	}
}

var badNames = []string{"../up", "a/b", "_a", "<b>", `\u001b[2J`, strings.Repeat("a", 215)}

// What is installed as a package is one, whatever it says it is called: a name
// that npm allows to nobody would hide it otherwise.
func TestTellsOfInstalledPackagesWithBadNames(t *testing.T) {
	for _, path := range []string{"/app/node_modules/a/package.json", "/app/node_modules/@s/a/package.json"} {
		for _, name := range badNames {
			packages, err := npm.Manifest(path, []byte(`{"name":"`+name+`","version":"1"}`))
			require.ErrorContains(t, err, "a name that npm does not allow", name)
			require.Empty(t, packages, name)
		}
	}
}

func TestFieldsInOldForms(t *testing.T) {
	for name, test := range map[string]struct {
		fields string
		want   sbom.Package
	}{
		"licence object":     {`"license": {"type": "BSD-3-Clause", "url": "https://example.org"}`, sbom.Package{License: "BSD-3-Clause"}},
		"licence list":       {`"licenses": [{"type": "MIT"}, {"type": "GPL-2.0"}, "MIT", 3]`, sbom.Package{License: "MIT OR GPL-2.0-only"}},
		"licence address":    {`"license": {"url": "http://opensource.org/licenses/MIT"}`, sbom.Package{License: "MIT"}},
		"none known":         {`"license": "UNLICENSED"`, sbom.Package{License: "LicenseRef-plomb-UNLICENSED", Licenses: map[string]string{"LicenseRef-plomb-UNLICENSED": "UNLICENSED"}}},
		"author text":        {`"author": "Jane <jane@example.org>"`, sbom.Package{Originator: "Person: Jane (jane@example.org)", Supplier: "Person: Jane (jane@example.org)"}},
		"wrong types":        {`"author": 1, "maintainers": {}, "license": false, "homepage": [], "repository": 3, "dependencies": [], "engines": []`, sbom.Package{}},
		"homepage":           {`"homepage": "https://example.org/a"`, sbom.Package{Homepage: "https://example.org/a"}},
		"short repository":   {`"repository": "github:jane/a"`, sbom.Package{}},
		"asked for in npm 6": {`"_requiredBy": ["#USER"]`, sbom.Package{Top: true}},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.Type, test.want.Name, test.want.Version, test.want.PURL = "npm", "a", "1", "pkg:npm/a@1"
			packages, err := npm.Manifest("/app/node_modules/a/package.json", []byte("\uFEFF{\"name\":\"a\",\"version\":\"1\","+test.fields+"}"))
			require.NoError(t, err)
			require.Equal(t, []sbom.Package{test.want}, packages)
		})
	}
}

func TestTopAndFolder(t *testing.T) {
	for path, want := range map[string]struct {
		top      bool
		provides []string
	}{
		"/app/package.json":                                              {top: true},
		"/app/node_modules/@s/a/package.json":                            {},
		"/app/node_modules/alias/package.json":                           {provides: []string{"alias"}},
		"/app/node_modules/@s/alias/package.json":                        {provides: []string{"@s/alias"}},
		"/usr/local/lib/node_modules/@s/a/package.json":                  {top: true},
		"/usr/local/lib/node_modules/npm/node_modules/@s/a/package.json": {},
		"/app/node_modules/b/lib/node_modules/@s/a/package.json":         {},
		"/app/node_modules/@s/a/dist/package.json":                       {},
		"/usr/share/nodejs/@s/a/package.json":                            {},
	} {
		packages, err := npm.Manifest(path, []byte(`{"name":"@s/a","version":"1"}`))
		require.NoError(t, err)
		require.Equal(t, want.top, packages[0].Top, path)
		require.Equal(t, want.provides, packages[0].Provides, path)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add("/app/node_modules/@babel/core/package.json", []byte(core))
	f.Add("package.json", []byte(`{"name":"a","version":"1","licenses":[{"type":"MIT"}]}`))
	f.Fuzz(func(t *testing.T, path string, text []byte) {
		packages, err := npm.Manifest(path, text)
		if err != nil {
			require.Empty(t, packages)
		}
		for _, p := range packages {
			require.NotEmpty(t, p.Name)
			require.True(t, strings.HasPrefix(p.PURL, "pkg:npm/"), p.PURL)
		}
	})
}

func BenchmarkManifest(b *testing.B) {
	for b.Loop() {
		_, err := npm.Manifest("/app/node_modules/@babel/core/package.json", []byte(core))
		require.NoError(b, err)
	}
}
