// SPDX-License-Identifier: Apache-2.0

package spdx_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

var update = flag.Bool("update", false, "write the golden files")

func packages(t testing.TB, inv *sbom.Inventory, img sbom.Image) []byte {
	t.Helper()
	data, err := spdx.Packages(inv, img, nil)
	require.NoError(t, err)
	return data
}

var schema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	return jsonschema.NewCompiler().Compile("testdata/spdx-2.3.schema.json")
})

// requireValid holds a document against the specification's schema and against
// the reader that most Go programs use.
func requireValid(t *testing.T, data []byte) {
	t.Helper()
	compiled, err := schema()
	require.NoError(t, err)
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, compiled.Validate(instance))

	doc, err := spdxjson.Read(bytes.NewReader(data))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, p := range doc.Packages {
		id := string(p.PackageSPDXIdentifier)
		require.Regexp(t, `^[A-Za-z0-9.-]+$`, id)
		require.False(t, seen[id], "%s twice", id)
		seen[id] = true
	}
	for _, f := range doc.Files {
		seen[string(f.FileSPDXIdentifier)] = true
	}
	others := map[string]bool{"": true}
	for _, ref := range doc.ExternalDocumentReferences {
		others[string(ref.DocumentRefID)] = true
	}
	seen["DOCUMENT"] = true
	described := 0
	for _, r := range doc.Relationships {
		if r.RefA.ElementRefID == "DOCUMENT" && r.Relationship == "DESCRIBES" || r.RefB.ElementRefID == "DOCUMENT" && r.Relationship == "DESCRIBED_BY" {
			described++
		}
		require.True(t, seen[string(r.RefA.ElementRefID)], "%+v", r)
		require.True(t, r.RefB.SpecialID != "" || r.RefB.DocumentRefID != "" || seen[string(r.RefB.ElementRefID)], "%+v", r)
		require.True(t, others[string(r.RefA.DocumentRefID)] && others[string(r.RefB.DocumentRefID)], "%+v", r)
	}
	require.Equal(t, 1, described, "syft and grype find the image by this")
}

// requireGolden compares with a file, indented so that people can read it.
func requireGolden(t *testing.T, path string, data []byte) {
	t.Helper()
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, data, "", "  "))
	if *update {
		require.NoError(t, os.WriteFile(path, pretty.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), pretty.String())
}

func TestPackages(t *testing.T) {
	data, err := spdx.Packages(sampleInventory(), sampleImage(), &sbom.Document{Namespace: "https://example.com/files", SHA1: strings.Repeat("ee", 20)})
	require.NoError(t, err)
	requireValid(t, data)
	requireGolden(t, "testdata/packages.golden.json", data)
}

func TestPackagesOfAnEmptyImage(t *testing.T) {
	data := packages(t, &sbom.Inventory{}, sbom.Image{})
	requireValid(t, data)
	require.Contains(t, string(data), `{"spdxElementId":"SPDXRef-image","relatedSpdxElement":"NONE","relationshipType":"CONTAINS"}`)
}

// TestPackagesSurviveTheExporter: BuildKit encodes the statement around a
// document again, and the digest in the provenance is that of the document.
func TestPackagesSurviveTheExporter(t *testing.T) {
	data := packages(t, sampleInventory(), sampleImage())
	again, err := json.Marshal(json.RawMessage(data))
	require.NoError(t, err)
	require.Equal(t, string(data), string(again))
}

func TestPackagesAreTheSameEachTime(t *testing.T) {
	want := packages(t, largeInventory(), sampleImage())
	for range 5 {
		require.Equal(t, want, packages(t, largeInventory(), sampleImage()))
	}
	other := sampleImage()
	other.Created++
	require.NotEqual(t, namespaceOf(t, want), namespaceOf(t, packages(t, largeInventory(), other)))
}

func namespaceOf(t *testing.T, data []byte) string {
	t.Helper()
	var doc struct {
		DocumentNamespace string `json:"documentNamespace"`
	}
	require.NoError(t, json.Unmarshal(data, &doc))
	require.Regexp(t, `^https://plombproject\.github\.io/sbom/sha256-[0-9a-f]{64}$`, doc.DocumentNamespace)
	return doc.DocumentNamespace
}

// TestHostileFields: whoever makes a package decides what its fields say.
func TestHostileFields(t *testing.T) {
	huge := strings.Repeat("ü", 1<<17)
	for name, p := range map[string]sbom.Package{
		"nothing":            {},
		"control characters": {Type: "deb", Name: "a\x00\x1b[31m\u202e\n", Version: "1\r\n2", Summary: "\x07", Supplier: "Person: \x00", Arch: "\n"},
		"not UTF-8":          {Type: "npm", Name: "\xff\xfe", Version: "\xc3", License: "\xff", Licenses: map[string]string{"\xff": "\xff"}},
		"huge":               {Type: huge, Name: huge, Version: huge, Supplier: "Person: " + huge, License: huge, Homepage: "https://" + huge, PURL: "pkg:npm/" + huge, Arch: huge},
		"quotes":             {Type: "npm", Name: `"}]`, Version: `\`, Supplier: `Organization: "x" \`, License: `MIT" OR`, PURL: `pkg:npm/"`},
		"NOASSERTION":        {Type: "NOASSERTION", Name: "NOASSERTION", Supplier: "Person: NOASSERTION", License: "NOASSERTION"},
		"broken checksum":    {Type: "npm", Name: "x", Checksums: map[string]string{"SHA256": "zz", "": "", "SHA1": "00"}},
		"no expression":      {Type: "npm", Name: "x", License: "MIT OR"},
		"foreign licence":    {Type: "npm", Name: "x", License: "DocumentRef-x:LicenseRef-y"},
		"no URL":             {Type: "npm", Name: "x", PURL: "https://example.com", Homepage: "javascript:alert(1)"},
	} {
		t.Run(name, func(t *testing.T) {
			inv := &sbom.Inventory{Items: []sbom.Item{{Package: p}, {Package: p, Paths: []string{huge}}}}
			requireValid(t, packages(t, inv, sbom.Image{Name: p.Name, Author: p.Supplier, Tool: p.Name, ID: "sha256:" + p.Name, Base: &sbom.BaseImage{Reference: p.Name, PURL: p.PURL}}))
		})
	}
}

func TestPackagesBeyondTheLimit(t *testing.T) {
	inv := &sbom.Inventory{Items: make([]sbom.Item, 9000)}
	for i := range inv.Items {
		inv.Items[i].Package = sbom.Package{Type: "npm", Name: fmt.Sprint(i), Summary: strings.Repeat("x", 4000)}
	}
	_, err := spdx.Packages(inv, sampleImage(), nil)
	require.ErrorIs(t, err, spdx.ErrTooLarge)
	require.ErrorContains(t, err, "PLOMB_SBOM=off")
	require.ErrorContains(t, err, "33554432")
}

func TestPackagesOfTheImageLevel(t *testing.T) {
	data := packages(t, sbom.Reduce(sampleInventory(), sbom.LevelImage), sampleImage())
	requireValid(t, data)
	requireGolden(t, "testdata/image.golden.json", data)
}

func BenchmarkPackages(b *testing.B) {
	inv := largeInventory()
	for b.Loop() {
		b.ReportMetric(float64(len(packages(b, inv, sampleImage()))), "bytes")
	}
}
