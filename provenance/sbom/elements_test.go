// SPDX-License-Identifier: Apache-2.0

package sbom_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
)

func elements(e *sbom.Elements) (document map[string]bool, pkg map[string]sbom.PackageElement) {
	document, pkg = map[string]bool{}, map[string]sbom.PackageElement{}
	for _, d := range e.Document {
		document[d.Element] = d.Present
	}
	for _, p := range e.Package {
		pkg[p.Element] = p
	}
	return document, pkg
}

func TestCheckCounts(t *testing.T) {
	whole := sbom.Item{Package: sbom.Package{
		Type: "npm", Name: "a", Version: "1", PURL: "pkg:npm/a@1", Supplier: "Person: x", License: "MIT", Checksums: map[string]string{"SHA1": strings.Repeat("00", 20)},
	}}
	bare := sbom.Item{Package: sbom.Package{Type: "npm", Name: "b"}, Unrelated: true}
	inv := &sbom.Inventory{Items: []sbom.Item{whole, bare, whole}, Unread: []sbom.Unread{{Path: "/x"}}}
	got := sbom.Check(inv, sbom.Image{Tool: "plomb-1", Generation: sbom.GenerationBuild})

	document, pkg := elements(got)
	require.Equal(t, map[string]bool{"author": true, "sbom-author": false, "timestamp": true, "tool": true, "generation-context": true}, document)
	require.Equal(t, sbom.CheckSchema, got.Schema)
	require.Equal(t, 3, got.Packages)
	require.False(t, got.Complete)
	require.Equal(t, 1, pkg["relationship"].Missing)
	for _, element := range []string{"supplier", "version", "identifier", "hash", "licence"} {
		require.Equal(t, [3]int{2, 1, 0}, [3]int{pkg[element].Present, pkg[element].NoAssertion, pkg[element].Missing}, element)
		require.InDelta(t, 0.6666, pkg[element].Share, 1e-9, "rounded down")
		require.Equal(t, []string{"npm/b"}, pkg[element].Lacking)
	}
	require.Equal(t, 3, pkg["name"].Present)

	inv.Count(bare, []string{"hash", "name", "relationship"})
	inv.Count(whole, []string{"supplier"})
	_, pkg = elements(sbom.Check(inv, sbom.Image{Created: sbom.Undated}))
	require.Equal(t, 1, pkg["hash"].NoAssertion)
	require.Equal(t, 1, pkg["supplier"].Missing, "the document does not even say that it does not know")
}

func TestCheckOfNothing(t *testing.T) {
	got := sbom.Check(&sbom.Inventory{}, sbom.Image{Created: sbom.Undated})
	require.True(t, got.Complete)
	document, pkg := elements(got)
	require.False(t, document["timestamp"])
	require.InDelta(t, 1, pkg["hash"].Share, 0)

	reduced := sbom.Reduce(&sbom.Inventory{}, sbom.LevelImage)
	require.False(t, sbom.Check(reduced, sbom.Image{}).Complete)
}

func TestCheckNamesAFew(t *testing.T) {
	inv := &sbom.Inventory{}
	for i := range 30 {
		inv.Items = append(inv.Items, sbom.Item{Package: sbom.Package{Type: "npm", Name: "a", Version: fmt.Sprint(i)}})
	}
	_, pkg := elements(sbom.Check(inv, sbom.Image{}))
	require.Len(t, pkg["hash"].Lacking, 10)
	require.Equal(t, "npm/a@0", pkg["hash"].Lacking[0])
}

func TestDiff(t *testing.T) {
	item := func(name, version, licence string, line int) sbom.Item {
		return sbom.Item{Package: sbom.Package{Type: "npm", Name: name, Version: version, License: licence}, Origin: sbom.Origin{Line: line}}
	}
	a := &sbom.Inventory{System: &sbom.System{ID: "debian", VersionID: "12"}, Items: []sbom.Item{
		item("gone", "1", "", 1), item("many", "1.0", "", 1), item("many", "9.0", "", 1), item("many", "10.0", "", 1),
		item("same", "1", "MIT", 1), item("same", "1", "MIT", 1), item("sold", "1", "MIT", 1), item("up", "1.9", "MIT", 2),
	}}
	b := &sbom.Inventory{System: &sbom.System{ID: "debian", VersionID: "13"}, Items: []sbom.Item{
		item("many", "1.0", "", 1), item("many", "9.1", "", 1), item("many", "10.1", "", 1), item("many", "11.0", "", 1),
		item("new", "1", "", 3), item("same", "1", "MIT", 7), item("sold", "1", "BUSL-1.1", 4), item("up", "1.10", "MIT", 5),
	}}
	brief := func(entries []sbom.Entry) []string {
		out := []string{}
		for _, e := range entries {
			out = append(out, fmt.Sprintf("%s@%s:%d", e.Name, e.Version, e.Origin.Line))
		}
		return out
	}
	pairs := func(changes []sbom.Change) []string {
		out := []string{}
		for _, c := range changes {
			out = append(out, fmt.Sprintf("%s@%s:%d > %s:%d %s", c.From.Name, c.From.Version, c.From.Origin.Line, c.To.Version, c.To.Origin.Line, c.To.License))
		}
		return out
	}
	d := sbom.Diff(a, b)
	require.False(t, d.Empty())
	require.Equal(t, "13", d.System.To.VersionID)
	require.Equal(t, []string{"many@11.0:1", "new@1:3"}, brief(d.Added))
	require.Equal(t, []string{"gone@1:1"}, brief(d.Removed))
	require.Equal(t, []string{"many@9.0:1 > 9.1:1 ", "many@10.0:1 > 10.1:1 ", "up@1.9:2 > 1.10:5 MIT"}, pairs(d.Versions))
	require.Equal(t, []string{"sold@1:1 > 1:4 BUSL-1.1"}, pairs(d.Licences))

	back := sbom.Diff(b, a)
	require.Equal(t, brief(d.Added), brief(back.Removed))
	require.Len(t, back.Versions, len(d.Versions))
	require.True(t, sbom.Diff(a, a).Empty())

	data, err := json.Marshal(sbom.Diff(a, a))
	require.NoError(t, err)
	require.JSONEq(t, `{"schema":"https://plombproject.github.io/sbom-diff/v1","added":[],"removed":[],"versions":[],"licences":[]}`, string(data))
}

func TestDiffOfAnotherSystem(t *testing.T) {
	none, some := &sbom.Inventory{}, &sbom.Inventory{System: &sbom.System{ID: "alpine"}}
	require.Nil(t, sbom.Diff(none, some).System.From)
	require.True(t, sbom.Diff(none, none).Empty())
	require.True(t, sbom.Diff(some, &sbom.Inventory{System: &sbom.System{ID: "alpine", PrettyName: "Alpine"}}).Empty())
}

func TestReduce(t *testing.T) {
	item := func(kind, name string, top bool, needs ...int) sbom.Item {
		return sbom.Item{Package: sbom.Package{Type: kind, Name: name, Top: top}, Needs: needs}
	}
	inv := &sbom.Inventory{Items: []sbom.Item{
		item("deb", "libc6", false), item("deb", "app", true, 0, 2), item("deb", "tool", true),
		item("npm", "leaf", false), item("npm", "root", false, 3, 2),
	}}
	inv.Items[1].Contains = []int{4}
	got := sbom.Reduce(inv, sbom.LevelImage)
	require.Equal(t, sbom.LevelImage, got.Level)
	require.Equal(t, []string{"app@", "tool@"}, names(got, []int{0, 1}), "root came with app")
	require.Len(t, got.Items, 2)
	require.Equal(t, []int{1}, got.Items[0].Needs)
	require.Empty(t, got.Items[0].Contains)
	require.Len(t, inv.Items, 5, "the whole inventory is as it was")
	require.Equal(t, []int{0, 2}, inv.Items[1].Needs)

	require.Same(t, inv, sbom.Reduce(inv, sbom.LevelPackages))
	require.Same(t, got, sbom.Reduce(got, sbom.LevelImage))
}
