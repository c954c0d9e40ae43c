// SPDX-License-Identifier: Apache-2.0

//go:build integration

package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/doctor"
)

func verifier() string { return filepath.Join(on.Verifiers(), "plomb-verifier") }

// keep puts the verifier back after the test.
func keep(t *testing.T) {
	t.Helper()
	healthy(t)
	saved := filepath.Join(on.Dir, "tmp", "verifier.saved")
	require.NoError(t, os.Rename(verifier(), saved))
	t.Cleanup(func() {
		_ = os.Chmod(saved, 0o755)
		require.NoError(t, os.Rename(saved, verifier()))
	})
}

func TestVerifierRemoved(t *testing.T) {
	keep(t)
	getsIn(t)
	sick(t, doctor.CheckCRIUnsigned, "")
	sick(t, doctor.CheckConfig, on.Verifiers())
}

// TestVerifierReplaced: it has the right name, and admits everything.
func TestVerifierReplaced(t *testing.T) {
	keep(t)
	require.NoError(t, os.WriteFile(verifier(), []byte("#!/bin/sh\nexit 0\n"), 0o755))
	getsIn(t)
	d := sick(t, doctor.CheckCRIUnsigned, "")
	require.Contains(t, d.text, "nobody looked for its signature")
	sick(t, doctor.CheckUnsigned, "")
}

// TestVerifierThatRefusesAll: nothing gets in, and that is no enforcement.
func TestVerifierThatRefusesAll(t *testing.T) {
	keep(t)
	require.NoError(t, os.WriteFile(verifier(), []byte("#!/bin/sh\nexit 1\n"), 0o755))
	sick(t, doctor.CheckCRIUnsigned, "")
	sick(t, doctor.CheckCRISigned, "")
}

func TestVerifierNotExecutable(t *testing.T) {
	healthy(t)
	require.NoError(t, os.Chmod(verifier(), 0o644))
	t.Cleanup(func() {
		require.NoError(t, os.Chmod(verifier(), 0o755))
	})
	d := sick(t, doctor.CheckCRISigned, "")
	require.Contains(t, d.text, "is not executable")
}

// TestAgentKilled: pulls are verified by the verifier itself, and containers
// are not created at all.
func TestAgentKilled(t *testing.T) {
	healthy(t)
	require.NoError(t, on.KillDaemon(t.Context(), stand.Agent))
	t.Cleanup(func() { require.NoError(t, on.StartAgent(context.Background())) })
	staysOut(t)
	d := sick(t, doctor.CheckAgent, "")
	require.Equal(t, doctor.Pass, d.find(doctor.CheckCRIUnsigned)[0].Status, d.text)
	require.Equal(t, doctor.Fail, d.find(doctor.CheckCreate)[0].Status, d.text)
	require.Contains(t, d.find(doctor.CheckCreate)[0].Detail, "the agent is not there")
}

// TestNRIOff: what is on the node already starts unchecked.
func TestNRIOff(t *testing.T) {
	healthy(t)
	off := filepath.Join(on.ContainerdDropIns(), "zzz-off.toml")
	require.NoError(t, os.WriteFile(off, []byte("version = 3\n[plugins.\"io.containerd.nri.v1.nri\"]\n  disable = true\n"), 0o644))
	t.Cleanup(func() {
		require.NoError(t, os.Remove(off))
		require.NoError(t, restart(context.Background()))
	})
	restarted(t)
	d := sick(t, doctor.CheckConfig, `plugins."io.containerd.nri.v1.nri".disable`)
	c := d.find(doctor.CheckCreate)
	require.Len(t, c, 1)
	require.Equal(t, doctor.Fail, c[0].Status)
	require.Contains(t, c[0].Detail, "a container was created of an unsigned image")
	require.Equal(t, 0, diagnose(t, "--pull-only").status, "nothing is wrong with pulls")
}

func TestModes(t *testing.T) {
	healthy(t)
	path := filepath.Join(on.NodeState(), "mode.json")
	for _, mode := range []admission.Mode{admission.Audit, admission.Warn} {
		require.NoError(t, admission.WriteMode(path, admission.State{Mode: mode}))
		t.Cleanup(func() { _ = os.Remove(path) })
		d := sick(t, doctor.CheckMode, "")
		require.Contains(t, d.find(doctor.CheckCRIUnsigned)[0].Detail, "the verifier was asked", d.text)
	}
	require.NoError(t, os.Remove(path))
	healthy(t)
}

// TestNoPodImage: what could not be tried is not said to be proved.
func TestNoPodImage(t *testing.T) {
	healthy(t)
	other := filepath.Join(on.ContainerdDropIns(), "zzz-pause.toml")
	require.NoError(t, os.WriteFile(other, []byte("version = 3\n[plugins.\"io.containerd.cri.v1.images\".pinned_images]\n  sandbox = \"registry.invalid/pause:none\"\n"), 0o644))
	t.Cleanup(func() {
		require.NoError(t, os.Remove(other))
		require.NoError(t, restart(context.Background()))
	})
	restarted(t)
	var d diagnosis
	for range 20 { // until the agent is connected again
		if d = diagnose(t); d.status == 2 {
			break
		}
	}
	require.Equal(t, 2, d.status, d.text)
	require.Equal(t, doctor.Undecided, d.Verdict)
	require.Contains(t, d.Reason, "create not proved: the image of pods, registry.invalid/pause:none, is not on the node")
}

// TestOutput: people read the verdict first, and see the line to mend.
func TestOutput(t *testing.T) {
	healthy(t)
	p := harness.Command{On: on, Name: "plomb", Args: []string{"node", "doctor"}}.Run(t)
	require.Equal(t, 0, p.Status, p.All)
	require.True(t, strings.HasPrefix(p.Out, "live: enforcement on "), p.Out)
	require.Empty(t, p.Stderr)

	late := filepath.Join(on.ContainerdDropIns(), "zzz-late.toml")
	require.NoError(t, os.WriteFile(late, []byte("version = 3\n\n[plugins.\"io.containerd.cri.v1.images\"]\n  discard_unpacked_layers = true\n"), 0o644))
	t.Cleanup(func() {
		require.NoError(t, os.Remove(late))
		require.NoError(t, restart(context.Background()))
	})
	restarted(t)
	p = harness.Command{On: on, Name: "plomb", Args: []string{"node", "doctor"}}.Run(t)
	require.Equal(t, 1, p.Status, p.All)
	require.True(t, strings.HasPrefix(p.Out, "not live: "), p.Out)
	require.Contains(t, p.Out, late+":4")
	require.Contains(t, p.Out, "discard_unpacked_layers = false")
	t.Log(p.Out)
}
