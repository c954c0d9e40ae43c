// SPDX-License-Identifier: Apache-2.0

//go:build integration

package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	tools "github.com/spdx/tools-golang/json"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/integration/oracle"
	writer "github.com/plombproject/plomb/provenance/cyclonedx"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

var image = sbom.Image{
	Name: "example.org/guestbook", Platform: "linux/amd64", Created: 1_735_689_600, Tool: "plomb",
	ID: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
}

func document(t *testing.T, inv *sbom.Inventory) []byte {
	t.Helper()
	data, err := spdx.Packages(inv, image, nil)
	require.NoError(t, err)
	return data
}

// Two looks at equal trees give equal bytes, wherever the tree is and however
// its folders are ordered on disk.
func TestSameTreeSameBytes(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "copy")
	out, err := exec.CommandContext(t.Context(), "cp", "-a", dirs["debian-minimal"], copied).CombinedOutput()
	require.NoError(t, err, string(out))
	first, second := look(t, "debian-minimal"), whole(t, copied)
	require.Equal(t, text(t, first.report), text(t, second.report))

	first, second = look(t, "debian-full"), whole(t, dirs["debian-full"])
	require.Equal(t, text(t, first.report), text(t, second.report))
	require.True(t, bytes.Equal(document(t, first.inventory), document(t, second.inventory)))
}

func TestReportsCanBeRead(t *testing.T) {
	for name := range atLeast {
		data, err := json.Marshal(look(t, name).report)
		require.NoError(t, err)
		report, err := catalog.ReadReport(data)
		require.NoError(t, err)
		require.Equal(t, text(t, look(t, name).report), text(t, report))
	}
}

// The document is valid, SPDX's own library reads it, and it has every package
// URL.
func TestSPDX(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join("..", "..", "provenance", "spdx", "testdata", "spdx-2.3.schema.json"))
	require.NoError(t, err)
	for name := range atLeast {
		t.Run(name, func(t *testing.T) {
			data := document(t, look(t, name).inventory)
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			require.NoError(t, err)
			require.NoError(t, schema.Validate(value))
			parsed, err := tools.Read(bytes.NewReader(data))
			require.NoError(t, err)
			require.Greater(t, len(parsed.Packages), len(look(t, name).inventory.Items))

			listed, err := oracle.Document(data)
			require.NoError(t, err)
			var want []oracle.Package
			for i, p := range look(t, name).packages() {
				if look(t, name).inventory.Items[i].PURL != "" {
					want = append(want, p.AsURL())
				}
			}
			require.Empty(t, oracle.Missing(want, listed))
		})
	}
}

// The same inventory in CycloneDX, which CycloneDX's own library reads. Ours
// reads both formats and finds the same packages in each.
func TestCycloneDX(t *testing.T) {
	for name := range atLeast {
		t.Run(name, func(t *testing.T) {
			o := look(t, name)
			data, err := writer.Write(o.inventory, image)
			require.NoError(t, err)
			again, err := writer.Write(o.inventory, image)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, again))

			var bom cyclonedx.BOM
			require.NoError(t, cyclonedx.NewBOMDecoder(bytes.NewReader(data), cyclonedx.BOMFileFormatJSON).Decode(&bom))
			require.NotNil(t, bom.Components)
			require.GreaterOrEqual(t, len(*bom.Components), len(o.inventory.Items))

			fromCycloneDX, _, err := writer.Read(data)
			require.NoError(t, err)
			fromSPDX, _, err := spdx.Read(document(t, o.inventory))
			require.NoError(t, err)
			require.Equal(t, names(o.inventory), names(fromSPDX))
			require.Equal(t, names(o.inventory), names(fromCycloneDX))
		})
	}
}

// names are the packages of an inventory, one a line.
func names(inv *sbom.Inventory) string {
	var b strings.Builder
	for _, item := range inv.Items {
		fmt.Fprintln(&b, item.Type, item.Name, item.Version, item.PURL)
	}
	return b.String()
}
