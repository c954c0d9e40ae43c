// SPDX-License-Identifier: Apache-2.0

//go:build integration

package node

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/plugin/control"
)

// The way of a node: looked at, audited, enforced, and as it was before.
func TestFromAuditToEnforceAndBack(t *testing.T) {
	m := newMachine(t)
	before := m.tree()

	m.must(0, "install", "--dry-run", "--mode", "enforce")
	require.Equal(t, before, m.tree(), "a dry run changes nothing")
	require.Contains(t, m.must(2, "status").Out, "plomb is not installed")

	m.must(0, "install")
	old := m.unsigned("old")
	m.runs(m.pod(), old)
	require.Contains(t, m.must(0, "status").Out, "audit, since")
	installed := m.tree()

	// Twice is once.
	m.must(0, "install", "--no-doctor")
	delete(installed, "plomb/install.json")
	again := m.tree()
	delete(again, "plomb/install.json")
	require.Equal(t, installed, again)

	m.must(0, "mode", "warn")
	require.Contains(t, m.must(0, "mode").Out, "warn, since")

	// What runs would be denied.
	p := m.must(1, "mode", "enforce")
	require.Contains(t, p.Stderr, "default/pod-b/web-c: ")
	require.Contains(t, p.Stderr, old)
	require.Contains(t, p.Stderr, "plomb node snapshot")
	require.Contains(t, m.must(0, "mode").Out, "warn, since")

	// The remedy: what is there may start.
	require.Contains(t, m.must(0, "snapshot").Out, "+ "+old)
	m.must(0, "mode", "enforce")
	require.Contains(t, m.must(0, "mode").Out, "on probation until")
	pod := m.pod()
	m.runs(pod, old)
	bad := m.unsigned("bad")
	_, err := m.CreateContainer(t.Context(), pod, cri.ContainerOptions{Name: "bad", Image: bad})
	require.ErrorContains(t, err, "refused")

	// In need.
	m.must(0, "break-glass", "--reason", "a test", "--for", "1h")
	require.Contains(t, m.must(1, "status").Out, "a test, until")
	m.runs(pod, bad)
	m.must(0, "break-glass", "--end")
	_, err = m.CreateContainer(t.Context(), pod, cri.ContainerOptions{Name: "bad", Image: bad})
	require.ErrorContains(t, err, "refused")

	m.must(0, "mode", "audit")
	m.runs(pod, bad)

	m.must(0, "uninstall")
	after := m.tree()
	delete(after, "plomb/snapshot.json")
	require.Equal(t, before, after)
	m.must(0, "uninstall")
	require.NoFileExists(t, m.AgentSocket())
	m.runs(pod, bad)
}

// What the issue promises of a fresh machine.
func TestEnforceOnAFreshMachine(t *testing.T) {
	m := newMachine(t)
	m.must(0, "install", "--mode", "enforce")
	m.must(0, "doctor")
	p := m.must(0, "status", "--output", "json")
	var s control.Status
	require.NoError(t, json.Unmarshal([]byte(p.Out), &s))
	require.True(t, s.NRI.Connected)
	require.Empty(t, s.Faults)
	_, err := m.CreateContainer(t.Context(), m.pod(), cri.ContainerOptions{Name: "web", Image: m.unsigned("imported")})
	require.ErrorContains(t, err, "refused")
	m.must(0, "uninstall")
}

// A containerd that requires the agent refuses while it is gone, and a milder
// mode helps a node whose agent does not come back.
func TestModeFreesANodeWithoutItsAgent(t *testing.T) {
	m := newMachine(t)
	m.must(0, "install", "--mode", "enforce", "--no-doctor")
	pod, image := m.pod(), m.unsigned("app")
	pid := agentPID(t, m)
	process, err := os.FindProcess(pid)
	require.NoError(t, err)
	require.NoError(t, process.Kill())
	m.eventually("the agent is gone", func() error {
		if _, err := control.New(filepath.Join(filepath.Dir(m.AgentSocket()), "control.sock")).Status(t.Context()); err != nil {
			return nil
		}
		return os.ErrExist
	})
	_, err = m.CreateContainer(t.Context(), pod, cri.ContainerOptions{Name: "locked", Image: image})
	require.Error(t, err)
	require.Equal(t, 2, m.plomb("status").Status)
	m.must(0, "mode", "audit")
	m.runs(pod, image)

	// And back, with an agent.
	require.Contains(t, m.must(2, "mode", "enforce").Stderr, "enforce needs the agent")
	m.must(0, "install", "--no-doctor")
	m.must(0, "mode", "enforce", "--force")
	_, err = m.CreateContainer(t.Context(), pod, cri.ContainerOptions{Name: "refused", Image: image})
	require.ErrorContains(t, err, "refused")
	m.must(0, "uninstall")
}

func agentPID(t *testing.T, m *machine) int {
	t.Helper()
	s, err := control.New(filepath.Join(filepath.Dir(m.AgentSocket()), "control.sock")).Status(t.Context())
	require.NoError(t, err)
	return s.PID
}

// What somebody else put there stays, and what would block every pull is named.
func TestWhatIsThereStays(t *testing.T) {
	m := newMachine(t)
	theirs := filepath.Join(m.ContainerdDropIns(), "50-theirs.toml")
	require.NoError(t, os.WriteFile(theirs, []byte("version = 3\n[plugins.\"io.containerd.cri.v1.images\"]\n  discard_unpacked_layers = true\n"), 0o600))
	other := filepath.Join(m.Verifiers(), "another")
	require.NoError(t, os.WriteFile(other, []byte("#!/bin/sh\nexit 0\n"), 0o755))
	stray := filepath.Join(m.Verifiers(), "README")
	require.NoError(t, os.WriteFile(stray, nil, 0o644))
	before := m.tree()

	p := m.must(2, "install", "--force")
	require.Contains(t, p.Stderr, "README")
	require.Equal(t, before, m.tree())

	require.NoError(t, os.Remove(stray))
	before = m.tree()
	require.Contains(t, m.must(0, "install", "--no-doctor").Stderr, "another stays")
	for name, was := range before {
		require.Equal(t, was, m.tree()[name], name)
	}
	m.must(0, "uninstall")
	require.Equal(t, before, m.tree())
}

// Without a command that restarts containerd it is somebody else's to do.
func TestRestartByHand(t *testing.T) {
	m := newMachine(t)
	before := m.tree()
	p := m.must(2, "install", "--restart-command", "", "--mode", "enforce")
	require.Contains(t, p.Stderr, "restart containerd, and run the same command again")
	require.Contains(t, m.must(0, "mode").Out, "audit, since")
	restart(t, m)
	m.must(0, "install", "--restart-command", "", "--mode", "enforce", "--no-doctor")
	require.Contains(t, m.must(0, "mode").Out, "enforce, since")
	m.must(2, "uninstall", "--restart-command", "")
	restart(t, m)
	m.must(0, "uninstall", "--restart-command", "")
	require.Equal(t, before, m.tree())
}

func restart(t *testing.T, m *machine) {
	t.Helper()
	require.NoError(t, m.StopDaemon(t.Context(), stand.Containerd))
	require.NoError(t, m.StartDaemon(t.Context(), stand.Containerd))
}

// A node that stops being ready while it is on probation admits again, and says
// why. Nobody has to come.
func TestProbationReverts(t *testing.T) {
	m := newMachine(t)
	config, err := os.ReadFile(m.NodeConfig())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(m.NodeConfig(), append(config, "revertAfter: 5s\n"...), 0o644))
	m.must(0, "install", "--mode", "enforce", "--no-doctor", "--probation", "1h")
	pod, image := m.pod(), m.unsigned("app")
	_, err = m.CreateContainer(t.Context(), pod, cri.ContainerOptions{Name: "refused", Image: image})
	require.ErrorContains(t, err, "refused")

	// The network's configuration is gone: containerd calls itself not ready.
	networks, err := filepath.Glob(filepath.Join(m.Dir, "etc", "cni", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, networks)
	away := t.TempDir()
	for _, file := range networks {
		require.NoError(t, os.Rename(file, filepath.Join(away, filepath.Base(file))))
	}
	m.eventually("the agent goes back to audit", func() error {
		if p := m.must(0, "mode"); !strings.HasPrefix(p.Out, "audit, since") || !strings.Contains(p.Out, "not ready") {
			return errors.New(p.Out)
		}
		return nil
	})
	m.runs(pod, image)
	for _, file := range networks {
		require.NoError(t, os.Rename(filepath.Join(away, filepath.Base(file)), file))
	}
	m.must(0, "uninstall")
}
