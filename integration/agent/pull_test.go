// SPDX-License-Identifier: Apache-2.0

//go:build integration

package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

func TestPullsThroughTheAgent(t *testing.T) {
	n := newNode(t)
	good, bad := n.image("good", n.key), n.image("bad", nil)

	require.Empty(t, n.pull(good))
	require.Contains(t, n.pull(bad), "unsigned")
	require.Equal(t, 1.0, n.metric("plomb_decisions_total", `point="pull"`, `verdict="allow"`, `admitted="true"`, `by="decision"`))
	require.Equal(t, 1.0, n.metric("plomb_decisions_total", `point="pull"`, `verdict="deny"`, `admitted="false"`))
	require.Equal(t, 2.0, n.metric("plomb_verifications_total"))
	require.Equal(t, 2.0, n.metric("plomb_receipts_total"))
	require.Positive(t, n.metric("plomb_registry_requests_total"))
	s := n.status()
	require.Equal(t, 2, s.Verdicts)
	require.NotEmpty(t, s.Policy.Digest)
}

// A verdict is remembered, also by an agent that was killed and starts again:
// the agent asks the registry for nothing.
func TestTheSecondPullCostsNoRequest(t *testing.T) {
	n := newNode(t)
	good, bad := n.image("good", n.key), n.image("bad", nil)
	require.Empty(t, n.pull(good))
	require.Contains(t, n.pull(bad), "unsigned")
	asked := n.metric("plomb_registry_requests_total")

	require.Empty(t, n.pull(good))
	require.Contains(t, n.pull(bad), "unsigned")
	require.Equal(t, asked, n.metric("plomb_registry_requests_total"))
	require.Equal(t, 2.0, n.metric("plomb_verifications_total"))
	require.Equal(t, 2.0, n.metric("plomb_cache_hits_total", `point="pull"`))

	require.NoError(t, n.KillDaemon(t.Context(), stand.Agent))
	require.NoError(t, n.StartAgent(t.Context()))
	require.Empty(t, n.pull(good))
	require.Zero(t, n.metric("plomb_registry_requests_total"))
	require.Zero(t, n.metric("plomb_verifications_total"))
	require.Equal(t, 1.0, n.metric("plomb_cache_hits_total"))
}

// A damaged file of the memory costs a verification, and admits nothing.
func TestCorruptMemory(t *testing.T) {
	n := newNode(t)
	good := n.image("good", n.key)
	require.Empty(t, n.pull(good))
	files, err := filepath.Glob(filepath.Join(n.NodeState(), "verdicts", "*.verdict"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	data, err := os.ReadFile(files[0])
	require.NoError(t, err)
	data[len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(files[0], data, 0o600))

	require.Empty(t, n.pull(good))
	require.Equal(t, 2.0, n.metric("plomb_verifications_total"))
	require.Equal(t, 1.0, n.metric("plomb_verdict_errors_total"))
}

// What an operator asks has the same answer.
func TestControl(t *testing.T) {
	n := newNode(t)
	good, bad := n.image("good", n.key), n.image("bad", nil)
	a, err := n.control.Verify(t.Context(), control.Question{Point: receipt.Check, Name: good.ref, Digest: good.index})
	require.NoError(t, err)
	require.True(t, a.Admitted, a.Line)
	a, err = n.control.Verify(t.Context(), control.Question{Point: receipt.Check, Name: bad.ref, Digest: bad.index})
	require.NoError(t, err)
	require.False(t, a.Admitted, a.Line)
	require.Equal(t, decision.Deny, a.Decision.Verdict)

	// What is in containerd's store needs no registry.
	require.Empty(t, n.pull(good))
	require.NoError(t, os.RemoveAll(filepath.Join(n.NodeState(), "verdicts")))
	require.NoError(t, os.Mkdir(filepath.Join(n.NodeState(), "verdicts"), 0o700))
	asked := len(n.store.Requests())
	a, err = n.control.Verify(t.Context(), control.Question{Point: receipt.Import, Name: good.ref, Digest: good.index, Stored: true})
	require.NoError(t, err)
	require.True(t, a.Admitted, a.Line)
	require.Len(t, n.store.Requests(), asked)

	_, err = n.control.Verify(t.Context(), control.Question{Point: receipt.Pull, Name: good.ref, Digest: good.index})
	require.ErrorContains(t, err, "point")
	_, err = n.control.Verify(t.Context(), control.Question{Point: receipt.Check, Name: good.ref, Digest: "sha256:x"})
	require.ErrorContains(t, err, "digest")
}
