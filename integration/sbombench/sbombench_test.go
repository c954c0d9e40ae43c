// SPDX-License-Identifier: Apache-2.0

package sbombench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/integration/oracle"
)

func TestWrite(t *testing.T) {
	a := oracle.Package{Type: "npm", Name: "a", Version: "1"}
	b := oracle.Package{Type: "npm", Name: "b", Version: "1"}
	ours := run{wall: time.Second, cpu: time.Second, memory: 50_000_000, size: 2}
	theirs := run{wall: 4 * time.Second, cpu: 8 * time.Second, memory: 200_000_000, size: 1500}
	other := run{wall: time.Hour, cpu: time.Hour, memory: 1, size: 1500, digest: "another"}
	runs := map[string][]run{}
	for _, tool := range tools {
		runs[tool.name] = []run{theirs, theirs, other}
	}
	runs[plomb], runs["plomb, every file"] = []run{ours, ours}, []run{ours}
	var out bytes.Buffer
	require.NoError(t, write(&out, []result{{
		root: "r", runs: runs,
		found:   map[string][]oracle.Package{plomb: {a, b}, syft: {b}},
		managed: []managed{{oracle.Manager{Type: "npm", Name: "npm ls"}, []oracle.Package{a, b}}},
	}}))
	require.Equal(t, `| root | tool | wall time | of syft's | processor time | of syft's | memory | of syft's | document | runs give the same bytes |
|---|---|---|---|---|---|---|---|---|---|
| r | plomb | 1.00 s | 0.25 | 1.00 s | 0.12 | 50.0 MB | 0.25 | 2 B | yes |
| r | syft, packages alone | 4.00 s | 1.00 | 8.00 s | 1.00 | 200.0 MB | 1.00 | 1.5 kB | no |
| r | syft | 4.00 s | 1.00 | 8.00 s | 1.00 | 200.0 MB | 1.00 | 1.5 kB | no |
| r | plomb, every file | 1.00 s | 0.25 | 1.00 s | 0.12 | 50.0 MB | 0.25 | 2 B | one run |
| r | syft, every file | 4.00 s | 1.00 | 8.00 s | 1.00 | 200.0 MB | 1.00 | 1.5 kB | no |

| root | packages | asked | listed there | found by plomb | found by syft |
|---|---|---|---|---|---|
| r | npm | npm ls | 2 | 2, 100.0 % | 1, 50.0 % |
`, out.String())
}

// TestMain is also the program that the tests measure with.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "account" {
		if err := Account(context.Background(), os.Args[2:], os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestMeasure(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	opts := Options{Account: []string{self, "account"}}
	large := bytes.Repeat([]byte("x"), 200<<20) // is not the program's

	file := filepath.Join(t.TempDir(), "document")
	r, err := opts.measure(t.Context(), []string{"sh", "-c", `echo '{}' >"$0"`, file}, file, true)
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(r.first))
	require.EqualValues(t, 3, r.size)
	require.Equal(t, digest.FromString("{}\n"), r.digest)
	require.NoFileExists(t, file)
	require.Positive(t, r.wall)
	require.Greater(t, r.memory, int64(100_000))
	require.Less(t, r.memory, int64(len(large)))

	_, err = opts.measure(t.Context(), []string{"sh", "-c", "echo why; exit 3"}, file, false)
	require.ErrorContains(t, err, "why")
	require.ErrorContains(t, err, "exit status 3")
}

func TestCatalogue(t *testing.T) {
	root, file := t.TempDir(), filepath.Join(t.TempDir(), "document")
	require.NoError(t, os.MkdirAll(filepath.Join(root, "var/lib/dpkg"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "var/lib/dpkg/status"),
		[]byte("Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"), 0o644))
	require.NoError(t, Catalogue(t.Context(), catalog.Packages, root, file))
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, json.Valid(data))
	list, err := oracle.Document(data)
	require.NoError(t, err)
	require.Equal(t, []oracle.Package{{Type: "deb", Name: "a", Version: "1", Arch: "all"}}, list)

	require.NoError(t, Catalogue(t.Context(), catalog.Files, root, file))
	data, err = os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, json.Valid(data))
	require.Contains(t, string(data), "var/lib/dpkg/status")
}
