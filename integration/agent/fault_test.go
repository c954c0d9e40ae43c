// SPDX-License-Identifier: Apache-2.0

//go:build integration

package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/plugin/admission"
)

// Without the agent pulls are verified all the same.
func TestKilledAgent(t *testing.T) {
	n := newNode(t)
	good, bad := n.image("good", n.key), n.image("bad", nil)
	require.NoError(t, n.KillDaemon(t.Context(), stand.Agent))
	require.Empty(t, n.pull(good))
	require.Contains(t, n.pull(bad), "unsigned")
	require.NoError(t, n.StartAgent(t.Context()))
	require.Contains(t, n.pull(bad), "unsigned")
	require.Equal(t, 1.0, n.metric("plomb_decisions_total"))
}

// One that is ended answers first, and takes its sockets with it.
func TestStoppedAgent(t *testing.T) {
	n := newNode(t)
	good := n.image("good", n.key)
	n.store.Delay(500 * time.Millisecond)
	answers := make(chan string, 1)
	go func() { answers <- n.pull(good) }()
	n.eventually("a verification", func() bool { return n.metric("plomb_verifications_running") > 0 })
	require.NoError(t, n.StopDaemon(t.Context(), stand.Agent))
	require.Empty(t, <-answers)
	require.NoFileExists(t, n.AgentSocket())
}

// A second agent would tear two memories apart.
func TestOneAgent(t *testing.T) {
	n := newNode(t)
	cmd := n.plomb("agent")
	require.Equal(t, 2, cmd.Status, cmd.All)
	require.Contains(t, cmd.All, "another agent is running")
	require.Empty(t, n.pull(n.image("good", n.key)))
}

// Where the node enforces, there is no admission without a receipt.
func TestNoReceiptNoAdmission(t *testing.T) {
	n := newNode(t)
	good := n.image("good", n.key)
	receipts := filepath.Join(n.NodeState(), "receipts")
	require.NoError(t, os.RemoveAll(receipts))
	require.NoError(t, os.WriteFile(receipts, nil, 0o600))
	require.Contains(t, n.pull(good), "receipts cannot be written")
	require.Positive(t, n.metric("plomb_receipt_errors_total"))

	n.mode(admission.Warn)
	require.Empty(t, n.pull(good))
	n.mode(admission.Enforce)
	require.Contains(t, n.pull(good), "receipts cannot be written")

	require.NoError(t, os.Remove(receipts))
	require.Empty(t, n.pull(good))
}

// The mode holds at once, and is told.
func TestModes(t *testing.T) {
	n := newNode(t)
	bad := n.image("bad", nil)
	require.Contains(t, n.pull(bad), "unsigned")
	for _, mode := range []admission.Mode{admission.Audit, admission.Warn} {
		n.mode(mode)
		require.Empty(t, n.pull(bad))
		require.Equal(t, 1.0, n.metric("plomb_mode", string(mode)))
		require.Equal(t, mode, n.status().Mode.Mode)
	}
	n.mode(admission.Enforce)
	require.Contains(t, n.pull(bad), "unsigned")
	require.Zero(t, n.metric("plomb_mode", "audit"))
}

func (n *node) mode(m admission.Mode) {
	n.t.Helper()
	require.NoError(n.t, admission.WriteMode(filepath.Join(n.NodeState(), "mode.json"), admission.State{Mode: m, Since: time.Now()}))
}
