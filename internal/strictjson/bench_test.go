// SPDX-License-Identifier: Apache-2.0

package strictjson_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/strictjson"
)

// inventory has many small objects of types with many fields, as an SPDX
// document has.
type inventory struct {
	Name     string `json:"name"`
	Packages []item `json:"packages"`
	Links    []edge `json:"links"`
}

type item struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	File     string `json:"file,omitempty"`
	Supplier string `json:"supplier,omitempty"`
	Location string `json:"location,omitempty"`
	License  string `json:"license,omitempty"`
	Summary  string `json:"summary,omitempty"`
	Sums     []sum  `json:"sums,omitempty"`
}

type sum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"value"`
}

type edge struct {
	From string `json:"from"`
	Type string `json:"type"`
	To   string `json:"to"`
}

// BenchmarkUnmarshalOpen reads a document of 3 MB.
func BenchmarkUnmarshalOpen(b *testing.B) {
	doc := inventory{Name: "image"}
	for i := range 5_500 {
		id := fmt.Sprintf("package-%d", i)
		doc.Packages = append(doc.Packages, item{
			ID: id, Name: "a package", Version: "1.2.3-4", Supplier: "Organization: Somebody", Location: "NOASSERTION",
			License: "Apache-2.0 OR MIT", Summary: "does one thing well",
			Sums: []sum{{"SHA1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"}, {"SHA256", "e3b0c44298fc1c149afbf4c8996fb924"}},
		})
		for j := range 4 {
			doc.Links = append(doc.Links, edge{id, "DEPENDS_ON", fmt.Sprintf("package-%d", i*j)})
		}
	}
	data, err := json.Marshal(doc)
	require.NoError(b, err)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		var read inventory
		require.NoError(b, strictjson.UnmarshalOpen(data, &read))
	}
}

// The names of a type are found once, not for each object of it.
func TestObjectsOfLargeTypesCostNoMore(t *testing.T) {
	data := []byte("[" + strings.Repeat("{},", 999) + "{}]")
	cost := func(v any) float64 {
		return testing.AllocsPerRun(5, func() {
			if err := strictjson.Unmarshal(data, v); err != nil {
				t.Error(err)
			}
		})
	}
	small, large := cost(&[]sum{}), cost(&[]item{})
	require.Less(t, large-small, 1000.0, "allocations for a thousand objects")
}
