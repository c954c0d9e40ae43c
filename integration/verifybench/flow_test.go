// SPDX-License-Identifier: Apache-2.0

//go:build integration

package verifybench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

// One run of everything. Times are not looked at: the machine may be busy.
func TestFlow(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir, err := os.MkdirTemp("/tmp", "plomb-vb-") // its sockets need a short name
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var log, out bytes.Buffer
	r, err := Measure(t.Context(), Options{
		Root: root, Dir: dir, Runs: 1, Turns: 1, BenchTime: "1x", Log: &log,
		Cosign:   filepath.Join(root, ".build/tools/cosign"),
		Notation: filepath.Join(root, ".build/tools/notation"),
	})
	require.NoError(t, err, log.String())

	counted := map[string]map[string][]string{}
	for _, p := range r.Processes {
		require.Len(t, p.samples, 1)
		require.Positive(t, p.samples[0].wall)
		require.Positive(t, p.samples[0].cpu)
		if p.Program == plomb {
			var d decision.Decision
			require.NoError(t, json.Unmarshal([]byte(p.Printed), &d))
			require.Equal(t, decision.Allow, d.Verdict, d.Reason)
			require.Len(t, p.Requests, d.Requests, "%s: %v", p.Image, p.Requests)
		}
		if counted[p.Image] == nil {
			counted[p.Image] = map[string][]string{}
		}
		counted[p.Image][p.Program] = p.Requests
	}
	require.Len(t, counted[byPlomb][verifier], 2, "index and manifest: %v", counted[byPlomb])
	for _, image := range []string{byPlomb, byCosign, byCosignTagged, byCosignLegacy} {
		require.NotEmpty(t, counted[image], image)
		require.Equal(t, counted[image][verifier], counted[image][plomb], "both ask the same")
	}
	for _, image := range []string{byCosign, byCosignTagged} {
		require.NotEmpty(t, counted[image][cosign])
		require.LessOrEqual(t, len(counted[image][plomb]), len(counted[image][cosign]), "%s: %v", image, counted[image])
	}
	require.NoError(t, r.write(&out))
	t.Log(out.String())
}
