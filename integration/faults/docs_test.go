// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
)

var update = flag.Bool("update", false, "write the rows to docs/faults.md")

const (
	beginRows = "<!-- rows: go test -tags integration ./integration/faults -run TestDocumented -update -->\n"
	endRows   = "<!-- end of rows -->\n"
)

// TestDocumented holds docs/faults.md against the rows.
func TestDocumented(t *testing.T) {
	root, err := stand.FindRoot()
	require.NoError(t, err)
	path := filepath.Join(root, "docs", "faults.md")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(data), beginRows)
	require.True(t, ok, "docs/faults.md has no rows")
	_, after, ok := strings.Cut(rest, endRows)
	require.True(t, ok, "docs/faults.md: the rows do not end")
	want := before + beginRows + document(rows()) + endRows + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(data), "run it with -update")
}

// TestRows are as many as the project promises, and no two are called the same.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, g := range rows() {
		for _, f := range g.faults {
			require.False(t, seen[f.name], f.name)
			seen[f.name] = true
			require.NotEmpty(t, f.pull.kind, f.name)
			require.NotEmpty(t, f.create.kind, f.name)
		}
	}
	require.GreaterOrEqual(t, len(seen), 40)
}

func document(groups []group) string {
	var b strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| fault | pull | create | what to do |\n|---|---|---|---|\n", g.name)
		for _, f := range g.faults {
			pull := f.pull.String()
			if f.open {
				pull = "works, **of unsigned images too**: containerd asks nobody"
			}
			remedy := f.remedy
			if remedy == "" {
				remedy = "Nothing."
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.name, pull, f.create, remedy)
		}
	}
	b.WriteString("\n")
	return b.String()
}

func (o outcome) String() string {
	if o.kind == refusedKind && o.reason != "" {
		return o.kind + ": `" + o.reason + "`"
	}
	return o.kind
}
