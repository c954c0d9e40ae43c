// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// A warning is what a client gets to know, besides the line that it prints.
type warning struct {
	Short  []byte   `json:"short"`
	Detail [][]byte `json:"detail"`
	URL    string   `json:"url"`
}

func warnings(t *testing.T, args ...string) []warning {
	t.Helper()
	p := harness.Command{On: shared, Args: append([]string{"build", "--progress=rawjson"}, args...)}.Must(t)
	var all []warning
	for line := range strings.Lines(p.All) {
		var status struct {
			Warnings []warning `json:"warnings"`
		}
		if json.Unmarshal([]byte(line), &status) == nil {
			all = append(all, status.Warnings...)
		}
	}
	return all
}

// Warnings of ours name their rule and lead to its documentation; those of the
// Dockerfile linter are passed on with theirs.
func TestWarningsLeadToTheirRule(t *testing.T) {
	dir := folder(t, map[string]string{"Dockerfile": "FROM ${NOHISTORY} as lower\nRUN true\nRUN true\n"})
	guide, err := os.ReadFile("../../docs/frontend.md")
	require.NoError(t, err)
	urls := map[string]string{}
	for _, w := range warnings(t, "--build-arg", "BUILDKIT_SYNTAX="+shared.Frontend, dir) {
		rule, _, _ := strings.Cut(strings.TrimPrefix(string(w.Short), "[plomb] "), ":")
		urls[rule] = w.URL
		if strings.HasPrefix(string(w.Short), "[plomb] ") {
			require.Contains(t, string(guide), "| `"+rule+"` |")
		}
	}
	require.Equal(t, map[string]string{
		"Unsigned":     "https://plombproject.github.io/rules/Unsigned",
		"OneLayer":     "https://plombproject.github.io/rules/OneLayer",
		"FromAsCasing": "https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
	}, urls)
}
