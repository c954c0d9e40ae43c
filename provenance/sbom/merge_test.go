// SPDX-License-Identifier: Apache-2.0

package sbom_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
)

const status = "/var/lib/dpkg/status"

func deb(name, version string) sbom.Package {
	return sbom.Package{Type: "deb", Name: name, Version: version, Arch: "amd64"}
}

func npm(name, version string, requires ...string) sbom.Package {
	p := sbom.Package{Type: "npm", Name: name, Version: version}
	for _, r := range requires {
		p.Requires = append(p.Requires, []string{r})
	}
	return p
}

func finding(path string, packages ...sbom.Package) sbom.Finding {
	return sbom.Finding{Path: path, Packages: packages}
}

// base is a base image with two debs, of which one has a licence.
func base() sbom.Layer {
	libc := deb("libc6", "2.36")
	libc.License = "LicenseRef-libc AND MIT"
	libc.Licenses = map[string]string{"LicenseRef-libc": "text"}
	libc.Top = true
	return sbom.Layer{Base: true, Report: sbom.Report{
		System:   &sbom.System{ID: "debian", VersionID: "12"},
		Findings: []sbom.Finding{finding(status, libc, deb("bash", "5.2"))},
		Unread:   []sbom.Unread{{Path: "/opt/x/y.jar", Reason: "damaged"}, {Path: "/z", Reason: "too large"}},
		Files:    10,
	}}
}

func layer(line int, r sbom.Report) sbom.Layer {
	return sbom.Layer{DiffID: "sha256:aa", Instruction: "RUN true", Line: line, Report: r}
}

// find returns the only item with a name.
func find(t *testing.T, inv *sbom.Inventory, name string) sbom.Item {
	t.Helper()
	var found []sbom.Item
	for _, item := range inv.Items {
		if item.Name == name {
			found = append(found, item)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

// names lists what the indexes of an inventory stand for.
func names(inv *sbom.Inventory, indexes []int) []string {
	out := []string{}
	for _, i := range indexes {
		out = append(out, inv.Items[i].Name+"@"+inv.Items[i].Version)
	}
	return out
}

func TestMergeKeepsTheOriginOfWhatWasThere(t *testing.T) {
	added := sbom.Report{Findings: []sbom.Finding{finding(status, deb("libc6", "2.36"), deb("bash", "5.3"), deb("curl", "8"))}, Files: 3}
	inv := sbom.Merge([]sbom.Layer{base(), layer(4, added)})

	require.Len(t, inv.Items, 3)
	require.Equal(t, sbom.Origin{Base: true}, find(t, inv, "libc6").Origin)
	require.Equal(t, 4, find(t, inv, "bash").Origin.Line, "another version")
	require.Equal(t, sbom.Origin{DiffID: "sha256:aa", Instruction: "RUN true", Line: 4}, find(t, inv, "curl").Origin)
	require.Equal(t, 13, inv.Files)
	require.Equal(t, "debian", inv.System.ID)
}

func TestMergeKeepsWhatWasKnown(t *testing.T) {
	stripped := sbom.Report{Findings: []sbom.Finding{finding(status, deb("libc6", "2.36"))}}
	item := find(t, sbom.Merge([]sbom.Layer{base(), layer(2, stripped)}), "libc6")
	require.Equal(t, "LicenseRef-libc AND MIT", item.License)
	require.Equal(t, map[string]string{"LicenseRef-libc": "text"}, item.Licenses)
	require.False(t, item.Top, "what the newest report can tell is not a gap")

	relicensed := deb("libc6", "2.36")
	relicensed.License = "Zlib"
	item = find(t, sbom.Merge([]sbom.Layer{base(), layer(2, sbom.Report{Findings: []sbom.Finding{finding(status, relicensed)}})}), "libc6")
	require.Equal(t, "Zlib", item.License)
	require.Empty(t, item.Licenses, "texts belong to their expression")
}

func TestMergeForgets(t *testing.T) {
	below := base()
	below.Report.Findings = append(below.Report.Findings, finding("/app/node_modules/a/package.json", npm("a", "1")))
	cases := map[string]struct {
		report sbom.Report
		want   []string
		unread []string
	}{
		"nothing":              {sbom.Report{}, []string{"bash", "libc6", "a"}, []string{"/opt/x/y.jar", "/z"}},
		"a file":               {sbom.Report{Gone: []string{"/app/node_modules/a/package.json", "/z"}}, []string{"bash", "libc6"}, []string{"/opt/x/y.jar"}},
		"a folder":             {sbom.Report{Gone: []string{"/app", "/opt/x"}}, []string{"bash", "libc6"}, []string{"/z"}},
		"not a namesake":       {sbom.Report{Gone: []string{"/ap", "/app/node_modules/a/package"}}, []string{"bash", "libc6", "a"}, []string{"/opt/x/y.jar", "/z"}},
		"everything":           {sbom.Report{Gone: []string{"/"}}, []string{}, []string{}},
		"a file for a folder":  {sbom.Report{Findings: []sbom.Finding{finding("/app"), finding("/opt/x")}}, []string{"bash", "libc6"}, []string{"/z"}},
		"a folder for a file":  {sbom.Report{Findings: []sbom.Finding{finding("/app/node_modules/a/package.json/x")}}, []string{"bash", "libc6"}, []string{"/opt/x/y.jar", "/z"}},
		"an empty database":    {sbom.Report{Findings: []sbom.Finding{finding(status)}}, []string{"a"}, []string{"/opt/x/y.jar", "/z"}},
		"mended":               {sbom.Report{Findings: []sbom.Finding{finding("/z")}}, []string{"bash", "libc6", "a"}, []string{"/opt/x/y.jar"}},
		"unreadable now":       {sbom.Report{Unread: []sbom.Unread{{Path: status, Reason: "?"}}}, []string{"a"}, []string{"/opt/x/y.jar", status, "/z"}},
		"unreadable otherwise": {sbom.Report{Unread: []sbom.Unread{{Path: "/z", Reason: "?"}}}, []string{"bash", "libc6", "a"}, []string{"/opt/x/y.jar", "/z"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inv := sbom.Merge([]sbom.Layer{below, layer(1, c.report)})
			got, unread := []string{}, []string{}
			for _, item := range inv.Items {
				got = append(got, item.Name)
			}
			for _, u := range inv.Unread {
				unread = append(unread, u.Path)
			}
			require.Equal(t, c.want, got)
			require.Equal(t, c.unread, unread)
		})
	}
}

func TestMergeWhatWasDeletedAndCameAgainIsNew(t *testing.T) {
	again := sbom.Report{Gone: []string{"/var/lib"}, Findings: []sbom.Finding{finding(status, deb("libc6", "2.36"))}}
	item := find(t, sbom.Merge([]sbom.Layer{base(), layer(7, again)}), "libc6")
	require.Equal(t, 7, item.Origin.Line)
	require.Empty(t, item.License)
}

func TestMergeMakesOneItemOfManyPaths(t *testing.T) {
	std := sbom.Package{Type: "golang", Name: "stdlib", Version: "v1.26"}
	inv := sbom.Merge([]sbom.Layer{
		layer(1, sbom.Report{Findings: []sbom.Finding{finding("/usr/bin/z", std)}}),
		layer(2, sbom.Report{Findings: []sbom.Finding{finding("/usr/bin/a", std)}}),
	})
	require.Len(t, inv.Items, 1)
	require.Equal(t, []string{"/usr/bin/a", "/usr/bin/z"}, inv.Items[0].Paths)
	require.Equal(t, 1, inv.Items[0].Origin.Line, "the first layer that had it")
}

func TestMergeFindsNeeds(t *testing.T) {
	app := deb("app", "1")
	app.Requires = [][]string{{"nobody", "mailer"}, {"libc6"}, {"absent"}, {"app"}}
	mta := deb("mta", "1")
	mta.Provides = []string{"mailer"}
	other := deb("libc6", "2.36")
	other.Arch = "i386"
	django := sbom.Package{Type: "pypi", Name: "Django", Requires: [][]string{{"Foo.Bar"}}}
	foobar := sbom.Package{Type: "pypi", Name: "foo_bar", Version: "1"}
	far := sbom.Package{Type: "pypi", Name: "foo-bar", Version: "0"}
	mod := sbom.Package{Type: "golang", Name: "example.com/a", Requires: [][]string{{"example.com/b"}}}
	inv := sbom.Merge([]sbom.Layer{layer(1, sbom.Report{Findings: []sbom.Finding{
		finding(status, app, mta, deb("libc6", "2.36"), other),
		finding("/a/node_modules/x/package.json", npm("x", "1", "y", "@s/z")),
		finding("/a/node_modules/x/node_modules/y/package.json", npm("y", "2")),
		finding("/a/node_modules/y/package.json", npm("y", "1", "x")),
		finding("/node_modules/@s/z/package.json", npm("@s/z", "3", "y")),
		finding("/s/django.dist-info/METADATA", django),
		finding("/s/foo_bar.dist-info/METADATA", foobar),
		finding("/a/foo_bar.dist-info/METADATA", far),
		finding("/bin/one", mod),
		finding("/bin/two", sbom.Package{Type: "golang", Name: "example.com/b"}),
	}})})
	needs := func(name string) []string { return names(inv, find(t, inv, name).Needs) }
	require.Equal(t, []string{"libc6@2.36", "mta@1"}, needs("app"), "the first alternative that is there, and never itself")
	require.Equal(t, "amd64", inv.Items[find(t, inv, "app").Needs[0]].Arch)
	require.Equal(t, []string{"@s/z@3", "y@2"}, needs("x"), "the nearest node_modules")
	require.Empty(t, needs("@s/z"), "what is deeper is out of sight")
	require.Equal(t, []string{"foo_bar@1"}, needs("Django"), "the same site-packages")
	require.Empty(t, needs("example.com/a"), "another binary is none of its business")
}

// A package of npm is what its folder is called, whatever its own name.
func TestMergeFindsNeedsByAlias(t *testing.T) {
	renamed := npm("string-width", "4")
	renamed.Provides = []string{"string-width-cjs"}
	app := npm("app", "1")
	app.Requires = [][]string{{"string-width-cjs", "string-width"}}
	inv := sbom.Merge([]sbom.Layer{layer(1, sbom.Report{Findings: []sbom.Finding{
		finding("/a/package.json", app),
		finding("/a/node_modules/string-width/package.json", npm("string-width", "5")),
		finding("/a/node_modules/string-width-cjs/package.json", renamed),
		finding("/b/node_modules/user/package.json", npm("user", "1", "string-width-cjs")),
	}})})
	require.Equal(t, []string{"string-width@4"}, names(inv, find(t, inv, "app").Needs))
	require.Empty(t, find(t, inv, "user").Needs, "what is elsewhere is out of sight")
}

// Debian's packages of Node.js see each other without a node_modules folder.
func TestMergeFindsNeedsAmongDebiansNodePackages(t *testing.T) {
	inv := sbom.Merge([]sbom.Layer{layer(1, sbom.Report{Findings: []sbom.Finding{
		finding("/usr/share/nodejs/x/package.json", npm("x", "1", "y", "@s/z", "native", "old", "inner", "twice", "three")),
		finding("/usr/share/nodejs/y/package.json", npm("y", "1")),
		finding("/usr/share/nodejs/@s/z/package.json", npm("@s/z", "1", "x")),
		finding("/usr/share/nodejs/y/node_modules/inner/package.json", npm("inner", "1", "y", "other")),
		finding("/usr/share/nodejs/y/node_modules/twice/package.json", npm("twice", "2", "twice")),
		finding("/usr/share/nodejs/other-folder/package.json", npm("other", "1")),
		finding("/usr/lib/nodejs/old/package.json", npm("old", "1", "y", "native")),
		finding("/usr/lib/nodejs/three/package.json", npm("three", "1")),
		finding("/usr/share/nodejs/three/package.json", npm("three", "2")),
		finding("/usr/lib/x86_64-linux-gnu/nodejs/three/package.json", npm("three", "3")),
		finding("/usr/lib/x86_64-linux-gnu/nodejs/native/package.json", npm("native", "1", "three")),
		finding("/usr/share/nodejs/twice/package.json", npm("twice", "1")),
		finding("/opt/app/package.json", npm("app", "1", "y")),
	}})})
	needs := func(name string) []string { return names(inv, find(t, inv, name).Needs) }
	require.Equal(t, []string{"@s/z@1", "native@1", "old@1", "three@2", "twice@1", "y@1"}, needs("x"), "its own folder first, and not what others have inside")
	require.Equal(t, []string{"x@1"}, needs("@s/z"))
	require.Equal(t, []string{"three@3"}, needs("native"))
	require.Equal(t, []string{"native@1", "y@1"}, needs("old"))
	require.Equal(t, []string{"y@1"}, needs("inner"), "Node goes by the folder")
	require.Empty(t, needs("app"), "it may run with a Node.js of its own")
}

// TestMergePrefersTheName: what only provides a name stands back, even if it is
// of the same architecture.
func TestMergePrefersTheName(t *testing.T) {
	app, fake, real := deb("app", "1"), deb("fake", "1"), deb("tool", "1")
	app.Requires = [][]string{{"tool"}}
	fake.Provides = []string{"tool"}
	real.Arch = "all"
	inv := sbom.Merge([]sbom.Layer{layer(1, sbom.Report{Findings: []sbom.Finding{finding(status, app, fake, real)}})})
	require.Equal(t, []string{"tool@1"}, names(inv, find(t, inv, "app").Needs))
}

func BenchmarkMerge(b *testing.B) {
	var report sbom.Report
	var debs []sbom.Package
	for i := range 1000 {
		p := deb(fmt.Sprintf("p%d", i), "1")
		p.Requires = [][]string{{fmt.Sprintf("p%d", i/2)}, {"absent", "p0"}}
		debs = append(debs, p)
	}
	report.Findings = append(report.Findings, finding(status, debs...))
	for i := range 9000 {
		path := fmt.Sprintf("/app/node_modules/m%d/package.json", i)
		report.Findings = append(report.Findings, finding(path, npm(fmt.Sprintf("m%d", i), "1", fmt.Sprintf("m%d", i/3))))
	}
	b.ReportAllocs()
	for b.Loop() {
		inv := sbom.Merge([]sbom.Layer{{Report: report, Base: true}, layer(1, report), layer(2, sbom.Report{Gone: []string{"/nowhere"}})})
		require.Len(b, inv.Items, 10_000)
	}
}

func TestMergeFindsWhatAPackageContains(t *testing.T) {
	owned := finding("/usr/lib/python3/dist-packages/x.dist-info/METADATA", sbom.Package{Type: "pypi", Name: "x", Version: "1"})
	owned.Owner = "deb/python3-x:amd64"
	report := sbom.Report{Findings: []sbom.Finding{finding(status, deb("python3-x", "1")), owned}}
	inv := sbom.Merge([]sbom.Layer{layer(1, report)})
	require.Equal(t, []string{"x@1"}, names(inv, find(t, inv, "python3-x").Contains))

	rewritten := finding(owned.Path, sbom.Package{Type: "pypi", Name: "x", Version: "1"})
	inv = sbom.Merge([]sbom.Layer{layer(1, report), layer(2, sbom.Report{Findings: []sbom.Finding{rewritten}})})
	require.Equal(t, []string{"x@1"}, names(inv, find(t, inv, "python3-x").Contains), "still a file of that package")

	rewritten.Packages[0].Version = "2"
	inv = sbom.Merge([]sbom.Layer{layer(1, report), layer(2, sbom.Report{Findings: []sbom.Finding{rewritten}})})
	require.Empty(t, find(t, inv, "python3-x").Contains, "that version did not come with it")
}

// TestMergeIsAFunctionOfSets: the order of lists says nothing, and neither
// does a layer that says again what is there.
func TestMergeIsAFunctionOfSets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	paths := []string{"/a", "/a/b", "/a/b/c", "/a-b", "/d/node_modules/x/package.json", status}
	for range 300 {
		var layers, shuffled []sbom.Layer
		for line := range 4 {
			r := sbom.Report{Files: random.IntN(5)}
			for _, path := range paths {
				switch random.IntN(4) {
				case 0:
					p, q := deb("p", path), npm("q", "1", "p")
					q.License = []string{"", "MIT"}[random.IntN(2)]
					r.Findings = append(r.Findings, finding(path, p, q))
				case 1:
					r.Gone = append(r.Gone, path)
				case 2:
					r.Unread = append(r.Unread, sbom.Unread{Path: path, Reason: "damaged"})
				}
			}
			layers = append(layers, layer(line, r))
			shuffled = append(shuffled, layer(line, shuffle(random, r)))
		}
		want := sbom.Merge(layers)
		require.Equal(t, want, sbom.Merge(shuffled))
		require.Equal(t, want, sbom.Merge(layers), "inputs are not changed")

		last := layers[3].Report
		again := sbom.Merge(append(layers, layer(9, sbom.Report{Findings: last.Findings, Unread: last.Unread})))
		again.Files = want.Files
		require.Equal(t, want, again)
	}
}

func shuffle(random *rand.Rand, r sbom.Report) sbom.Report {
	out := r
	out.Findings = nil
	for _, i := range random.Perm(len(r.Findings)) {
		f := r.Findings[i]
		packages := f.Packages
		f.Packages = nil
		for _, j := range random.Perm(len(packages)) {
			f.Packages = append(f.Packages, packages[j])
		}
		out.Findings = append(out.Findings, f)
	}
	out.Gone = nil
	for _, i := range random.Perm(len(r.Gone)) {
		out.Gone = append(out.Gone, r.Gone[i])
	}
	return out
}
