// SPDX-License-Identifier: Apache-2.0

package sbombench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/oracle"
)

func TestWrite(t *testing.T) {
	a := oracle.Package{Type: "npm", Name: "a", Version: "1"}
	b := oracle.Package{Type: "npm", Name: "b", Version: "1"}
	ours := run{wall: time.Second, cpu: time.Second, memory: 50_000_000, document: []byte("12")}
	theirs := run{wall: 4 * time.Second, cpu: 8 * time.Second, memory: 200_000_000, document: make([]byte, 1500)}
	other := theirs
	other.document = []byte("other")
	other.wall, other.memory = time.Hour, 1
	var out bytes.Buffer
	require.NoError(t, write(&out, []result{{
		root:    "r",
		runs:    map[string][]run{plomb: {ours, ours}, syft: {theirs, theirs, other}},
		found:   map[string][]oracle.Package{plomb: {a, b}, syft: {b}},
		managed: []managed{{oracle.Manager{Type: "npm", Name: "npm ls"}, []oracle.Package{a, b}}},
	}}))
	require.Equal(t, `| root | tool | wall time | of syft | processor time | of syft | memory | of syft | document | runs give the same bytes |
|---|---|---|---|---|---|---|---|---|---|
| r | plomb | 1.00 s | 0.25 | 1.00 s | 0.12 | 50.0 MB | 0.25 | 2 B | yes |
| r | syft | 4.00 s | 1.00 | 8.00 s | 1.00 | 200.0 MB | 1.00 | 1.5 kB | no |

| root | packages | asked | listed there | found by plomb | found by syft |
|---|---|---|---|---|---|
| r | npm | npm ls | 2 | 2, 100.0 % | 1, 50.0 % |
`, out.String())
}

func TestMeasure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "document")
	r, err := measure(t.Context(), []string{"sh", "-c", `echo '{}' >"$0"`, file}, file)
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(r.document))
	require.Positive(t, r.wall)
	require.Greater(t, r.memory, int64(100_000))
	_, err = measure(t.Context(), []string{"sh", "-c", "echo why; exit 3"}, file)
	require.ErrorContains(t, err, "why")
}

func TestCatalogue(t *testing.T) {
	root, file := t.TempDir(), filepath.Join(t.TempDir(), "document")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "var/lib/dpkg"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"),
		[]byte("Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"), 0o644))
	require.NoError(t, Catalogue(t.Context(), root, file))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, json.Valid(data))
	list, err := oracle.Document(data)
	require.NoError(t, err)
	require.Equal(t, []oracle.Package{{Type: "deb", Name: "a", Version: "1", Arch: "all"}}, list)
}
