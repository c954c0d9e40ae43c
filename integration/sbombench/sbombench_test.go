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
	r, err := opts.measure(t.Context(), []string{"sh", "-c", `echo '{}' >"$0"`, file}, file)
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(r.document))
	require.Positive(t, r.wall)
	require.Greater(t, r.memory, int64(100_000))
	require.Less(t, r.memory, int64(len(large)))

	_, err = opts.measure(t.Context(), []string{"sh", "-c", "echo why; exit 3"}, file)
	require.ErrorContains(t, err, "why")
	require.ErrorContains(t, err, "exit status 3")
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
