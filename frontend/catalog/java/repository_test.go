// SPDX-License-Identifier: Apache-2.0

package java_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem/treetest"
	"github.com/plombproject/plomb/frontend/catalog/java"
	"github.com/plombproject/plomb/provenance/sbom"
)

const maven = "/usr/share/maven-repo/"

// project is a pom.xml as Debian rewrites it.
func project(group, artifact, version, original, more string) []byte {
	if original != "" {
		original = "<properties><debian.originalVersion>" + original + "</debian.originalVersion></properties>"
	}
	return fmt.Appendf(nil, "<project><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>%s%s</project>",
		group, artifact, version, original, more)
}

// entry adds what one package has in one folder of the repository, with a link
// to the jar.
func entry(tree treetest.Tree, group, artifact, version, jar string, pom []byte) {
	at := maven + strings.ReplaceAll(group, ".", "/") + "/" + artifact + "/" + version + "/" + artifact + "-" + version
	up := strings.Repeat("../", strings.Count(at, "/")-3)
	tree[at+".jar"] = treetest.Link(up + "java/" + jar)
	if pom != nil {
		tree[at+".pom"] = pom
	}
}

func readAt(t *testing.T, tree treetest.Tree, path string) []sbom.Package {
	t.Helper()
	packages, err := tree.Read(t, java.Readers(), path)
	require.NoError(t, err)
	return packages
}

func TestNamesJarsAsDebiansRepositoryDoes(t *testing.T) {
	plain := pack(t, text("META-INF/MANIFEST.MF", "Implementation-Vendor-Id: org.wrong\nImplementation-Version: 9\nBundle-Vendor: Some One\n"))
	more := `<description>All of it</description><licenses><license><name>MIT</name></license></licenses>` +
		`<dependencies><dependency><groupId>org.a</groupId><artifactId>b</artifactId></dependency></dependencies>`
	tree := treetest.Tree{
		"/usr/share/java/spring3-aop-3.x.jar": plain,
		"/usr/share/java/spring3-aop.jar":     treetest.Link("spring3-aop-3.x.jar"),
		"/opt/app/spring3-aop-3.x.jar":        plain,
	}
	entry(tree, "org.springframework", "spring-aop", "4.3.30.RELEASE", "spring3-aop.jar",
		project("org.springframework", "spring-aop", "4.3.30.RELEASE", "4.3.30.RELEASE", more))
	entry(tree, "org.springframework", "spring-aop", "debian", "spring3-aop.jar",
		project("org.springframework", "spring-aop", "debian", "4.3.30.RELEASE", more))

	packages := readAt(t, tree, "/usr/share/java/spring3-aop-3.x.jar")
	require.Len(t, packages, 1)
	packages[0].Checksums = nil
	require.Equal(t, sbom.Package{
		Type: "maven", Name: "org.springframework:spring-aop", Version: "4.3.30.RELEASE",
		PURL:     "pkg:maven/org.springframework/spring-aop@4.3.30.RELEASE",
		Supplier: "Organization: Some One", License: "MIT", Summary: "All of it", Requires: [][]string{{"org.a:b"}},
	}, packages[0])

	// It tells of the jars that it has links to, and of no copies.
	require.Equal(t, "org.wrong:spring3-aop", readAt(t, tree, "/opt/app/spring3-aop-3.x.jar")[0].Name)
}

func TestRepositoryFindsTheVersion(t *testing.T) {
	at := func(folders ...string) treetest.Tree {
		tree := treetest.Tree{"/usr/share/java/x.jar": pack(t, text("META-INF/MANIFEST.MF", "Bundle-Version: 7\n"))}
		for _, folder := range folders {
			version, original, _ := strings.Cut(folder, "=")
			entry(tree, "org.x", "x", version, "x.jar", project("org.x", "x", version, original, ""))
		}
		return tree
	}
	for name, test := range map[string]struct {
		tree treetest.Tree
		want string
	}{
		"the version, not its alias":          {at("1.2=1.2", "debian=1.2"), "1.2"},
		"whatever the order":                  {at("zeta=zeta", "debian=zeta"), "zeta"},
		"the alias alone":                     {at("debian=1.2"), "1.2"},
		"an alias of a line of versions":      {at("1.x=1.2"), "1.2"},
		"an alias that does not say of what":  {at("debian"), "7"},
		"a line that does not say of what":    {at("1.x"), "7"},
		"a version without a word of Debian":  {at("1.2"), "1.2"},
		"an alias that says less comes later": {at("1.x", "debian=1.2"), "1.2"},
	} {
		t.Run(name, func(t *testing.T) {
			packages := readAt(t, test.tree, "/usr/share/java/x.jar")
			require.Len(t, packages, 1)
			require.Equal(t, [3]string{"org.x:x", test.want, "pkg:maven/org.x/x@" + test.want},
				[3]string{packages[0].Name, packages[0].Version, packages[0].PURL})
		})
	}
}

// A jar is one package, whether what it says of itself agrees or not.
func TestRepositoryAndJarAreOnePackage(t *testing.T) {
	for name, test := range map[string]struct {
		files []file
		want  []string
	}{
		"the same":             {[]file{properties("org.x", "x", "1.2")}, []string{"org.x:x 1.2"}},
		"replaced by hand":     {[]file{properties("org.x", "x", "2.0")}, []string{"org.x:x 2.0"}},
		"another group":        {[]file{properties("org.old", "x", "1.2")}, []string{"org.x:x 1.2"}},
		"shaded, the only one": {[]file{properties("org.a", "a", "2")}, []string{"org.x:x 1.2", "org.a:a 2"}},
		"with what was shaded": {[]file{properties("org.x", "x", "1.2"), properties("org.a", "a", "2")}, []string{"org.x:x 1.2", "org.a:a 2"}},
		"shaded alone":         {[]file{properties("org.a", "a", "2"), properties("org.b", "b", "3")}, []string{"org.x:x 1.2", "org.a:a 2", "org.b:b 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			tree := treetest.Tree{"/usr/share/java/x.jar": pack(t, test.files...)}
			entry(tree, "org.x", "x", "1.2", "x.jar", project("org.x", "x", "1.2", "1.2", ""))
			var got []string
			for _, p := range readAt(t, tree, "/usr/share/java/x.jar") {
				got = append(got, p.Name+" "+p.Version)
			}
			require.Equal(t, test.want, got)
		})
	}
}

// Of several names the one counts that the jar says itself, else the one of the
// file, else the first.
func TestRepositoryWithSeveralNames(t *testing.T) {
	several := func(names ...string) func(treetest.Tree) {
		return func(tree treetest.Tree) {
			for _, name := range names {
				group, artifact, _ := strings.Cut(name, ":")
				entry(tree, group, artifact, "1", "x.jar", project(group, artifact, "1", "1", ""))
			}
		}
	}
	for name, test := range map[string]struct {
		files []file
		names func(treetest.Tree)
		want  string
	}{
		"as the jar says":  {[]file{properties("org.c", "c", "1")}, several("org.b:x", "org.c:c"), "org.c:c"},
		"as the file says": {nil, several("org.a:a", "org.b:x"), "org.b:x"},
		"the first":        {nil, several("org.b:b", "org.a:a"), "org.a:a"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := treetest.Tree{"/usr/share/java/x.jar": pack(t, test.files...)}
			test.names(tree)
			packages := readAt(t, tree, "/usr/share/java/x.jar")
			require.Len(t, packages, 1)
			require.Equal(t, test.want, packages[0].Name)
		})
	}
}

// What is in the repository is a jar as well.
func TestReadsJarsInTheRepository(t *testing.T) {
	at := maven + "org/x/x/1.2/x-1.2"
	tree := treetest.Tree{at + ".jar": pack(t), at + ".pom": project("org.x", "x", "1.2", "1.2", "")}
	require.Equal(t, "org.x:x", readAt(t, tree, at+".jar")[0].Name)
}

func TestRepositoryThatIsNone(t *testing.T) {
	const jar = "/usr/share/java/x-1.jar"
	good := project("org.x", "x", "1", "1", "")
	folder := maven + "org/x/x/1/"
	deep := maven + strings.Repeat("d/", 100) + "x/1/"
	link := func(folder string) []byte {
		return treetest.Link(strings.Repeat("../", strings.Count(folder, "/")-3) + "java/x-1.jar")
	}
	for name, tree := range map[string]treetest.Tree{
		"no pom":                 {folder + "x-1.jar": link(folder)},
		"not its folder":         {folder + "y-1.jar": link(folder), folder + "y-1.pom": good},
		"no group":               {maven + "x/1/x-1.jar": link(maven + "x/1/"), maven + "x/1/x-1.pom": good},
		"a pom that is a folder": {folder + "x-1.jar": link(folder), folder + "x-1.pom/x": good},
		"a link in a circle":     {folder + "x-1.jar": treetest.Link("x-1.jar"), folder + "x-1.pom": good},
		"a link to nowhere":      {folder + "x-1.jar": treetest.Link("nowhere"), folder + "x-1.pom": good},
		"too deep":               {deep + "x-1.jar": link(deep), deep + "x-1.pom": good},
		"a file in its place":    {strings.TrimSuffix(maven, "/"): good},
	} {
		t.Run(name, func(t *testing.T) {
			tree[jar] = pack(t)
			require.Equal(t, "x:x", readAt(t, tree, jar)[0].Name)
		})
	}

	// The folders say the name; a pom that is no XML only adds nothing.
	tree := treetest.Tree{jar: pack(t), folder + "x-1.jar": link(folder), folder + "x-1.pom": []byte("<project>")}
	require.Equal(t, "org.x:x", readAt(t, tree, jar)[0].Name)
}

func FuzzRepository(f *testing.F) {
	f.Add([]byte(lang3), "debian", "x")
	f.Add(project("org.x", "x", "1", "${debian.originalVersion}", ""), "1.x", "x")
	f.Fuzz(func(t *testing.T, pom []byte, version, artifact string) {
		if strings.ContainsAny(version+artifact, "/\x00") || version == "" || artifact == "" || strings.Trim(version, ".") == "" || strings.Trim(artifact, ".") == "" {
			return
		}
		tree := treetest.Tree{"/usr/share/java/x.jar": pack(t)}
		entry(tree, "org.x", artifact, version, "x.jar", pom)
		packages, err := tree.Read(t, java.Readers(), "/usr/share/java/x.jar")
		require.NoError(t, err)
		require.Len(t, packages, 1)
		require.Equal(t, "maven", packages[0].Type)
	})
}
