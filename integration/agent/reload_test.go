// SPDX-License-Identifier: Apache-2.0

//go:build integration

package agent

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/verify/verifytest"
)

// Another policy decides anew, and the first one finds its verdicts again.
func TestPolicyChange(t *testing.T) {
	n := newNode(t)
	good := n.image("good", n.key)
	require.Empty(t, n.pull(good))
	before := n.status().Policy.Digest

	n.policy(n.keyed(verifytest.NewKey(t, "p256")))
	n.eventually("the new policy", func() bool { return n.status().Policy.Digest != before })
	require.Contains(t, n.pull(good), "denied")
	require.Equal(t, 2.0, n.metric("plomb_verifications_total"))

	n.policy(n.keyed(n.key))
	n.eventually("the old policy", func() bool { return n.status().Policy.Digest == before })
	require.Empty(t, n.pull(good))
	require.Equal(t, 2.0, n.metric("plomb_verifications_total"), "it is remembered")
}

// A policy that cannot be read leaves the last good one in force. An agent that
// never had one admits nothing.
func TestBrokenPolicy(t *testing.T) {
	n := newNode(t)
	good, later, bad := n.image("good", n.key), n.image("later", n.key), n.image("bad", nil)
	require.Empty(t, n.pull(good))
	n.policy("apiVersion: [")
	n.eventually("the fault", func() bool { return n.status().Policy.Error != "" })
	require.Zero(t, n.metric("plomb_loaded_good", `what="policy"`))
	require.Empty(t, n.pull(later), "a new image, by the last good policy")
	require.Contains(t, n.pull(bad), "unsigned")

	require.NoError(t, n.KillDaemon(t.Context(), stand.Agent))
	require.NoError(t, n.StartAgent(t.Context()))
	require.Contains(t, n.pull(good), "undecided")

	n.policy(n.keyed(n.key))
	n.eventually("a good policy", func() bool { return n.status().Policy.Error == "" })
	require.Empty(t, n.pull(good))
}

// Kubernetes turns a link to another folder when a ConfigMap changes.
func TestPolicyByTurnedLink(t *testing.T) {
	n := newNode(t)
	good := n.image("good", n.key)
	for name, text := range map[string]string{"a": n.keyed(n.key), "b": n.keyed(verifytest.NewKey(t, "p256"))} {
		require.NoError(t, os.Mkdir(filepath.Join(n.Policy, ".."+name), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(n.Policy, ".."+name, "agent.yaml"), []byte(text), 0o644))
	}
	turn := func(to string) {
		require.NoError(t, os.Symlink(".."+to, filepath.Join(n.Policy, "..tmp")))
		require.NoError(t, os.Rename(filepath.Join(n.Policy, "..tmp"), filepath.Join(n.Policy, "..data")))
	}
	turn("a")
	require.NoError(t, os.Remove(filepath.Join(n.Policy, "agent.yaml")))
	require.NoError(t, os.Symlink("..data/agent.yaml", filepath.Join(n.Policy, "agent.yaml")))
	require.Empty(t, n.pull(good))
	before := n.status().Policy.Digest
	turn("b")
	n.eventually("the other policy", func() bool { return n.status().Policy.Digest != before })
	require.Contains(t, n.pull(good), "denied")
}
