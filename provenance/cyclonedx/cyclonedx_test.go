// SPDX-License-Identifier: Apache-2.0

package cyclonedx_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/cyclonedx"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

var update = flag.Bool("update", false, "write the golden files")

// sample is what the SPDX document of provenance/spdx's tests tells: one of
// everything.
func sample(t testing.TB) (*sbom.Inventory, sbom.Image) {
	t.Helper()
	data, err := os.ReadFile("../spdx/testdata/packages.golden.json")
	require.NoError(t, err)
	inv, img, err := spdx.Read(data)
	require.NoError(t, err)
	return inv, *img
}

func write(t testing.TB, inv *sbom.Inventory, img sbom.Image) []byte {
	t.Helper()
	data, err := cyclonedx.Write(inv, img)
	require.NoError(t, err)
	return data
}

// schema compiles the specification's schema, which travels with cyclonedx-go
// under the Apache licence.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	for url, file := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  "bom-1.6.schema.json",
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "schema", file))
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		require.NoError(t, err)
		require.NoError(t, c.AddResource(url, doc))
	}
	compiled, err := c.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	require.NoError(t, err)
	return compiled
}

func requireValid(t *testing.T, s *jsonschema.Schema, data []byte) {
	t.Helper()
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, s.Validate(instance))
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom))
	refs := map[string]bool{}
	for _, c := range *orEmpty(bom.Components) {
		require.False(t, refs[c.BOMRef], "%s twice", c.BOMRef)
		refs[c.BOMRef] = true
	}
}

func orEmpty[T any](list *[]T) *[]T {
	if list == nil {
		return &[]T{}
	}
	return list
}

func TestWrite(t *testing.T) {
	inv, img := sample(t)
	data := write(t, inv, img)
	requireValid(t, schema(t), data)
	require.Equal(t, data, write(t, inv, img))

	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, data, "", "  "))
	if *update {
		require.NoError(t, os.WriteFile("testdata/sample.golden.json", pretty.Bytes(), 0o644))
	}
	want, err := os.ReadFile("testdata/sample.golden.json")
	require.NoError(t, err)
	require.Equal(t, string(want), pretty.String())
}

func TestWriteSaysWhetherItIsComplete(t *testing.T) {
	inv, _ := sample(t)
	whole := *inv
	whole.Unread = nil
	for name, c := range map[string]struct {
		inv  *sbom.Inventory
		want string
	}{
		"everything was read":      {&whole, "complete"},
		"something was not":        {inv, "unknown"},
		"something is left out":    {sbom.Reduce(&whole, sbom.LevelImage), "incomplete"},
		"there is nothing to read": {&sbom.Inventory{}, "complete"},
	} {
		t.Run(name, func(t *testing.T) {
			data := write(t, c.inv, sbom.Image{})
			requireValid(t, schema(t), data)
			require.Contains(t, string(data), `"compositions":[{"aggregate":"`+c.want+`","assemblies":["image"]}]`)
		})
	}
}

func TestHostileFields(t *testing.T) {
	s := schema(t)
	huge := strings.Repeat("ü", 1<<18)
	for name, p := range map[string]sbom.Package{
		"nothing":            {},
		"control characters": {Type: "deb", Name: "a\x00\x1b[31m\n", Version: "1\r\n2", Summary: "\x07", Supplier: "Person: \x00 (a@b)", Arch: "\n"},
		"not UTF-8":          {Type: "npm", Name: "\xff\xfe", License: "\xff", Licenses: map[string]string{"\xff": "\xff"}},
		"huge":               {Type: huge, Name: huge, Version: huge, Supplier: "Person: " + huge, License: huge, Homepage: "https://" + huge, PURL: "pkg:npm/" + huge, Arch: huge},
		"quotes":             {Type: "npm", Name: `"}]`, Version: `\`, Supplier: `Organization: "x" \`, License: `MIT" OR`, PURL: `pkg:npm/"`},
		"odd names":          {Type: "npm", Name: "@/", Supplier: "Person: x (y)"},
		"broken checksum":    {Type: "npm", Name: "x", Checksums: map[string]string{"SHA256": "zz", "": "", "SHA224": strings.Repeat("00", 28)}},
		"no URL":             {Type: "maven", Name: ":x", PURL: "https://example.com", Homepage: "javascript:alert(1)", Originator: "Person: a (b@c)"},
	} {
		t.Run(name, func(t *testing.T) {
			inv := &sbom.Inventory{System: &sbom.System{ID: p.Name}, Items: []sbom.Item{{Package: p, Paths: []string{huge}}, {Package: p, Origin: sbom.Origin{Instruction: huge}}}}
			requireValid(t, s, write(t, inv, sbom.Image{
				Name: p.Name, Author: p.Supplier, Tool: p.Name, ID: "sha256:" + p.Name, Created: sbom.Undated,
				Base: &sbom.BaseImage{Reference: p.Name, PURL: p.PURL}, Inputs: []sbom.Input{{Name: p.Name, URI: p.Homepage}},
			}))
		})
	}
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	wantInventory, wantImage := sample(t)
	inv, img := read(t, write(t, wantInventory, wantImage))
	require.Equal(t, wantInventory, inv)
	require.Equal(t, &wantImage, img)

	reduced := sbom.Reduce(wantInventory, sbom.LevelImage)
	inv, _ = read(t, write(t, reduced, sbom.Image{}))
	reduced.Gaps = inv.Gaps // fewer packages, fewer gaps
	require.Equal(t, reduced, inv)
}

const foreign = `{
  "bomFormat": "CycloneDX", "specVersion": "1.4", "version": 1,
  "metadata": {
    "timestamp": "2026-03-04T05:06:07Z", "tools": [{"vendor": "x", "name": "trivy", "version": "0.70"}],
    "component": {"bom-ref": "root", "type": "container", "name": "example:1"}
  },
  "components": [
    {"bom-ref": "os", "type": "operating-system", "name": "debian", "version": "12"},
    {"bom-ref": "lock", "type": "application", "name": "app/package-lock.json"},
    {"bom-ref": "a", "type": "library", "group": "@s", "name": "a", "version": "1", "purl": "pkg:npm/%40s/a@1",
      "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "My own licence", "text": {"content": "text"}}}],
      "properties": [{"name": "syft:location:0:path", "value": "/app/package-lock.json"}],
      "components": [{"bom-ref": "b", "type": "library", "name": "b"}]},
    {"bom-ref": "c", "type": "library", "name": "libc6", "version": "2", "purl": "pkg:deb/debian/libc6@2?arch=amd64",
      "supplier": {"name": "Debian"}, "hashes": [{"alg": "SHA-1", "content": "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"}],
      "properties": [{"name": "aquasecurity:trivy:SrcName", "value": "glibc"}, {"name": "aquasecurity:trivy:SrcVersion", "value": "2"}]}
  ],
  "dependencies": [{"ref": "root", "dependsOn": ["os"]}, {"ref": "a", "dependsOn": ["c", "lock", "a", "nowhere"]}],
  "compositions": [{"aggregate": "incomplete", "assemblies": ["root"]}]
}`

func TestReadForeign(t *testing.T) {
	inv, img := read(t, []byte(foreign))
	require.Equal(t, &sbom.Image{Name: "example:1", Created: 1772600767, Tool: "trivy-0.70"}, img)
	require.Equal(t, &sbom.System{ID: "debian", VersionID: "12"}, inv.System)
	require.Len(t, inv.Unread, 1)
	require.Empty(t, inv.Gaps, "CycloneDX has no NOASSERTION")
	require.Equal(t, []sbom.Item{
		{Package: sbom.Package{
			Type: "deb", Name: "libc6", Version: "2", Arch: "amd64", PURL: "pkg:deb/debian/libc6@2?arch=amd64", Supplier: "Organization: Debian",
			Source: &sbom.Source{Name: "glibc", Version: "2"}, Checksums: map[string]string{"SHA1": "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		}},
		{Package: sbom.Package{Type: "generic", Name: "b"}},
		{Package: sbom.Package{
			Type: "npm", Name: "@s/a", Version: "1", PURL: "pkg:npm/%40s/a@1", License: "MIT AND LicenseRef-My-own-licence",
			Licenses: map[string]string{"LicenseRef-My-own-licence": "text"},
		}, Paths: []string{"/app/package-lock.json"}, Needs: []int{0}, Contains: []int{1}},
	}, inv.Items)
}

func TestReadRefuses(t *testing.T) {
	const head = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[`
	for name, c := range map[string]struct {
		data string
		want error
	}{
		"nothing":            {"", cyclonedx.ErrInvalid},
		"another format":     {`{"spdxVersion":"SPDX-2.3"}`, cyclonedx.ErrInvalid},
		"an older version":   {`{"bomFormat":"CycloneDX","specVersion":"1.3"}`, cyclonedx.ErrInvalid},
		"a newer version":    {`{"bomFormat":"CycloneDX","specVersion":"1.7"}`, cyclonedx.ErrInvalid},
		"repeated key":       {`{"bomFormat":"CycloneDX","bomFormat":"CycloneDX","specVersion":"1.6"}`, cyclonedx.ErrInvalid},
		"repeated reference": {head + `{"bom-ref":"a","components":[{"bom-ref":"a"}]}]}`, cyclonedx.ErrInvalid},
		"large":              {strings.Repeat(" ", cyclonedx.Limit+1), cyclonedx.ErrTooLarge},
		"deep":               {head + strings.Repeat(`{"components":[`, 100) + strings.Repeat(`]}`, 100) + `]}`, cyclonedx.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := cyclonedx.Read([]byte(c.data))
			require.ErrorIs(t, err, c.want)
		})
	}
}

// FuzzRead: what can be read can be written, and is then ours: reading and
// writing it again changes nothing.
func FuzzRead(f *testing.F) {
	f.Add([]byte(foreign))
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"tools":{"components":[{"type":"application","name":"x"}]}},"components":[{"type":"library","name":"x"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, img, err := cyclonedx.Read(data)
		if err != nil {
			return
		}
		inv, img = read(t, write(t, inv, *img))
		second := write(t, inv, *img)
		inv, img = read(t, second)
		require.Equal(t, string(second), string(write(t, inv, *img)))
	})
}

func read(t testing.TB, data []byte) (*sbom.Inventory, *sbom.Image) {
	t.Helper()
	inv, img, err := cyclonedx.Read(data)
	require.NoError(t, err)
	return inv, img
}
