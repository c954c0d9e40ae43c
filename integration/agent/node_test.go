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

// A node that stops being ready after a switch to enforce goes back to audit.
func TestRevert(t *testing.T) {
	n := newNode(t, "selfTest: 0s", "revertAfter: 2s")
	bad := n.image("bad", nil)
	require.Contains(t, n.pull(bad), "unsigned")
	until := time.Now().Add(time.Hour)
	require.NoError(t, admission.WriteMode(filepath.Join(n.NodeState(), "mode.json"), admission.State{Mode: admission.Enforce, Since: time.Now(), Probation: &until}))
	n.eventually("a ready node", func() bool { return n.metric("plomb_node_ready") == 1 })
	require.NoError(t, n.StopDaemon(t.Context(), stand.Containerd))
	n.eventually("audit mode", func() bool { return n.status().Mode.Mode == admission.Audit })
	require.Contains(t, n.status().Mode.Reason, "not ready")
	require.Equal(t, 1.0, n.metric("plomb_mode_reverts_total"))
	require.NoError(t, n.StartDaemon(t.Context(), stand.Containerd))
	require.Empty(t, n.pull(bad))
}

// required makes containers depend on the agent, as plomb node install does.
const required = `version = 3
[plugins."io.containerd.nri.v1.nri".default_validator]
  enable = true
  required_plugins = ["plomb"]
`

// The agent proves by itself, as plomb node doctor does, that the node enforces;
// and notices when it no longer does.
func TestSelfTest(t *testing.T) {
	n := newNode(t, "selfTest: 10s")
	dropIn := filepath.Join(n.ContainerdDropIns(), "plomb.toml")
	require.NoError(t, os.WriteFile(dropIn, []byte(required), 0o644))
	n.restart()
	n.eventually("containerd asks the agent", func() bool { return n.status().NRI.Connected })
	n.eventually("a proof", func() bool {
		s := n.status().SelfTest
		if s != nil && !s.Effective {
			t.Logf("self-test: %s", s.Reason)
		}
		return n.metric("plomb_enforcement_effective") == 1
	})
	t.Logf("peak memory of the agent with self-tests: %d kB", n.peakMemory())
	require.Less(t, n.peakMemory(), 64<<10)

	require.NoError(t, os.WriteFile(dropIn, []byte(required+"[plugins.\"io.containerd.cri.v1.images\"]\n  use_local_image_pull = true\n"), 0o644))
	n.restart()
	n.eventually("the disproof", func() bool { return n.metric("plomb_enforcement_effective") == 0 })
	require.NotEmpty(t, n.status().SelfTest.Reason)
}

func (n *node) restart() {
	n.t.Helper()
	require.NoError(n.t, n.StopDaemon(n.t.Context(), stand.Containerd))
	require.NoError(n.t, n.StartDaemon(n.t.Context(), stand.Containerd))
}
