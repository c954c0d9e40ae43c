// SPDX-License-Identifier: Apache-2.0

//go:build integration

package catalog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/oracle"
)

// An exception is a line of testdata/syft.txt: what syft finds and we do not
// list, and why.
type exception struct {
	root, kind, name, path string // name and path are patterns of path.Match
	ours                   string // our name for it, "" if it is in no list of ours
	used                   bool
}

func (e *exception) covers(root string, f oracle.Finding) bool {
	return e.root == root && e.kind == f.Kind && match(e.name, f.Name) && match(e.path, f.Path)
}

func match(pattern, text string) bool {
	// What is below a folder as well.
	if folder, ok := strings.CutSuffix(pattern, "/**"); ok {
		return strings.HasPrefix(text, folder+"/")
	}
	ok, err := filepath.Match(pattern, text)
	return ok && err == nil || pattern == "*"
}

func exceptions(t *testing.T) []*exception {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "syft.txt"))
	require.NoError(t, err)
	var list []*exception
	reason := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		switch fields := strings.Fields(line); {
		case line == "":
			reason = ""
		case strings.HasPrefix(line, "#"):
			reason = line
		default:
			require.Contains(t, []int{4, 5}, len(fields), line)
			require.NotEmpty(t, reason, "no reason stands above %q", line)
			fields = append(fields, "")
			list = append(list, &exception{root: fields[0], kind: fields[1], name: fields[2], path: fields[3], ours: fields[4]})
		}
	}
	return list
}

// Whatever syft finds, we have as well, but for the exceptions; and none of
// those is there without need.
func TestNothingMissesThatSyftFinds(t *testing.T) {
	known := exceptions(t)
	for name := range atLeast {
		theirs, err := oracle.Syft(t.Context(), syft, dirs[name])
		require.NoError(t, err, "hack/tools --oracles builds syft")
		require.NotEmpty(t, theirs)
		ours := map[oracle.Package]bool{}
		for _, p := range look(t, name).packages() {
			ours[p.AsURL()] = true
		}
		at := map[string]map[string]bool{} // path, name
		for _, item := range look(t, name).inventory.Items {
			for _, path := range item.Paths {
				if at[path] == nil {
					at[path] = map[string]bool{}
				}
				at[path][item.Name] = true
			}
		}
		for _, f := range theirs {
			if ours[f.Package] {
				continue
			}
			covered := false
			for _, e := range known {
				if e.covers(name, f) && (e.ours == "" || at[f.Path][e.ours]) {
					e.used, covered = true, true
				}
			}
			if !covered {
				t.Errorf("in %s syft finds %s (%s) at %s", name, f.Package, f.Kind, f.Path)
			}
		}
	}
	for _, e := range known {
		require.True(t, e.used, "%s %s %s %s in testdata/syft.txt is not needed any more", e.root, e.kind, e.name, e.path)
	}
}
