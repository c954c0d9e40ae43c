// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMissing(t *testing.T) {
	a, b, c := Package{Name: "a"}, Package{Name: "b"}, Package{Name: "b", Version: "1"}
	require.Equal(t, []Package{c}, Missing([]Package{a, b, c}, []Package{b, a}))
	require.Equal(t, []Package{a, b, c}, unique([]Package{c, a, b, a}))
	require.Equal(t, "deb zlib1g 1:1 i386", Package{"deb", "zlib1g", "1:1", "i386"}.String())
}

func TestAsURL(t *testing.T) {
	require.Equal(t, []Package{{Type: "golang", Name: "github.com/azure/go"}, {Type: "pypi", Name: "guestbook-client"}, {Type: "npm", Name: "A_b"}},
		AsURLs([]Package{{Type: "golang", Name: "github.com/Azure/go"}, {Type: "pypi", Name: "Guestbook._Client"}, {Type: "npm", Name: "A_b"}}))
}

func TestTable(t *testing.T) {
	require.Equal(t, []Package{{"deb", "a", "1", "all"}, {"deb", "b", "2", ""}}, table("deb", "a\t1\tall\nb\t2\n"))
	require.Empty(t, table("deb", ""))
}

func TestGoModules(t *testing.T) {
	require.Equal(t, []Package{
		{Type: "golang", Name: "stdlib", Version: "go1.26.8"},
		{Type: "golang", Name: "example.org/main"},
		{Type: "golang", Name: "example.org/plain", Version: "v1.0.0"},
		{Type: "golang", Name: "example.org/fork", Version: "v1.2.1"},
	}, goModules("/x/y: go1.26.8\n\tpath\texample.org/main/cmd\n\tmod\texample.org/main\t(devel)\t\n"+
		"\tdep\texample.org/plain\tv1.0.0\th1:x=\n\tdep\texample.org/replaced\tv1.2.0\n\t=>\texample.org/fork\tv1.2.1\th1:y=\n"+
		"\tbuild\tCGO_ENABLED=0\n"))
}

func TestFromPURL(t *testing.T) {
	for purl, want := range map[string]Package{
		"pkg:deb/debian/zlib1g@1%3A1.2?arch=i386&distro=debian-12":            {"deb", "zlib1g", "1:1.2", "i386"},
		"pkg:rpm/rocky/guestbook@3.0.1-4.el9?arch=x86_64&epoch=2":             {"rpm", "guestbook", "2:3.0.1-4.el9", "x86_64"},
		"pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64":                            {"apk", "musl", "1.2.5-r0", "x86_64"},
		"pkg:npm/%40babel/core@7.0.0":                                         {Type: "npm", Name: "@babel/core", Version: "7.0.0"},
		"pkg:pypi/Guestbook.Client@1.0":                                       {Type: "pypi", Name: "guestbook-client", Version: "1.0"},
		"pkg:maven/org.slf4j/slf4j-api@1.7.32":                                {Type: "maven", Name: "org.slf4j:slf4j-api", Version: "1.7.32"},
		"pkg:golang/github.com/distribution/distribution/v3@v3.1.2#x/y":       {Type: "golang", Name: "github.com/distribution/distribution/v3", Version: "v3.1.2"},
		"pkg:golang/stdlib@1.26.8":                                            {Type: "golang", Name: "stdlib", Version: "go1.26.8"},
		"pkg:cargo/serde@1.0.0?repository_url=https%3A%2F%2Fexample.org%2Fx%": {},
	} {
		got, err := FromPURL(purl)
		if want == (Package{}) {
			require.Error(t, err, purl)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, got, purl)
	}
}

func TestDocument(t *testing.T) {
	list, err := Document([]byte(`{"packages":[{"name":"image"},
		{"externalRefs":[{"referenceType":"cpe23Type","referenceLocator":"cpe:2.3"},{"referenceType":"purl","referenceLocator":"pkg:npm/b@1"}]},
		{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/b@1"}]},
		{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@2"}]},
		{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:oci/image@sha256%3A1"}]}]}`))
	require.NoError(t, err)
	require.Equal(t, []Package{{Type: "npm", Name: "a", Version: "2"}, {Type: "npm", Name: "b", Version: "1"}}, list)
	_, err = Document([]byte(`{"packages":[{"externalRefs":[{"referenceType":"purl","referenceLocator":"nonsense"}]}]}`))
	require.ErrorContains(t, err, `"nonsense"`)
}

func TestPomProperties(t *testing.T) {
	var inner bytes.Buffer
	writeZip(t, &inner, map[string]string{
		"META-INF/maven/g/inner/pom.properties": "#Thu\r\nversion=2\r\ngroupId=g\r\nartifactId=inner\r\n",
	})
	root := t.TempDir()
	f, err := os.Create(filepath.Join(root, "a.war"))
	require.NoError(t, err)
	writeZip(t, f, map[string]string{
		"META-INF/maven/g/outer/pom.properties": "version = 1\ngroupId=g\nartifactId=outer\n",
		"META-INF/maven/g/outer/pom.xml":        "<project/>",
		"WEB-INF/lib/inner.jar":                 inner.String(),
	})
	require.NoError(t, f.Close())
	require.NoError(t, os.WriteFile(filepath.Join(root, "no.jar.txt"), []byte("no jar"), 0o644))

	list, err := Manager{list: pomProperties}.List(t.Context(), root)
	require.NoError(t, err)
	require.Equal(t, []Package{{Type: "maven", Name: "g:inner", Version: "2"}, {Type: "maven", Name: "g:outer", Version: "1"}}, list)

	require.NoError(t, os.WriteFile(filepath.Join(root, "b.jar"), []byte("no archive"), 0o644))
	_, err = Manager{Name: "x", list: pomProperties}.List(t.Context(), root)
	require.ErrorContains(t, err, "ask x for the packages in "+root)
}

func writeZip(t *testing.T, out io.Writer, entries map[string]string) {
	t.Helper()
	z := zip.NewWriter(out)
	for name, text := range entries {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
}

func TestApkDatabase(t *testing.T) {
	root := t.TempDir()
	list, err := apkDatabase(t.Context(), root)
	require.NoError(t, err)
	require.Empty(t, list)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "lib/apk/db"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "lib/apk/db/installed"),
		[]byte("C:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:ld\n\nP:zlib\nV:1\n\n"), 0o644))
	list, err = apkDatabase(t.Context(), root)
	require.NoError(t, err)
	require.Equal(t, []Package{{"apk", "musl", "1.2.5-r0", "x86_64"}, {"apk", "zlib", "1", ""}}, list)
}

func TestNpmNeeds(t *testing.T) {
	npm := func(name, version string) Package { return Package{Type: "npm", Name: name, Version: version} }
	needs, err := npmNeeds([]byte(`{"name":"app","version":"1","dependencies":{
		"b":{"version":"2","dependencies":{"c":{"version":"3"},"absent":{}}},
		"c":{"version":"3"}}}`))
	require.NoError(t, err)
	require.Equal(t, []Need{
		{npm("app", "1"), npm("b", "2")}, {npm("app", "1"), npm("c", "3")}, {npm("b", "2"), npm("c", "3")},
	}, needs)
}
