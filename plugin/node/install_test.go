// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/node"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

var update = flag.Bool("update", false, "write the golden files")

func TestInstallBeginsWithAudit(t *testing.T) {
	m := newMachine(t)
	events, err := m.install(node.InstallOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{
		"record what is done in state/install.json",
		"write etc/plomb/node.yaml",
		"write state/mode.json",
		"write units/plomb-agent.service",
		"start",
		"write verifiers/plomb-verifier",
		"write etc/containerd.d/99-plomb.toml",
		"restart",
		"the node is in mode audit",
	}, events)
	require.Equal(t, admission.Audit, m.mode())
	require.False(t, m.required, "a node that only looks on depends on nothing")
	require.Contains(t, m.read("etc/plomb/node.yaml"), "socket: "+m.path("run/nri.sock"))
	require.Contains(t, m.read("etc/containerd.d/99-plomb.toml"), "discard_unpacked_layers = false")
	require.Equal(t, m.read("programs/plomb-verifier"), m.read("verifiers/plomb-verifier"))
	require.Len(t, m.receipts, 1)
	require.Equal(t, receipt.Mode, m.receipts[0].Point)
}

func TestInstallTwiceChangesNothing(t *testing.T) {
	for _, mode := range admission.Modes {
		m := newMachine(t)
		_, err := m.install(node.InstallOptions{Mode: mode})
		require.NoError(t, err)
		m.Program = exe(t) // as the agent shows it
		m.Settings.Node.NRI.Socket = m.path("run/nri.sock")
		m.write("units/plomb-agent.service", "ExecStart="+m.Program+"\n", 0o644)
		before := m.tree()
		events, err := m.install(node.InstallOptions{})
		require.NoError(t, err)
		require.Equal(t, []string{"the node is in mode " + string(mode)}, events)
		require.Equal(t, without(before, "state/install.json"), without(m.tree(), "state/install.json"))
		require.Equal(t, 1, m.restarts)
		require.Equal(t, mode, m.mode())
	}
}

func exe(t *testing.T) string {
	t.Helper()
	path, err := os.Readlink("/proc/self/exe")
	require.NoError(t, err)
	return path
}

// The order in which a node comes to enforce: what makes it depend on the agent
// comes after the agent, and the mode last.
func TestInstallToEnforce(t *testing.T) {
	m := newMachine(t)
	events, err := m.install(node.InstallOptions{Mode: admission.Enforce, Probation: time.Hour})
	require.NoError(t, err)
	require.Equal(t, []string{
		"record what is done in state/install.json",
		"write etc/plomb/node.yaml",
		"write state/mode.json",
		"write units/plomb-agent.service",
		"start",
		"write verifiers/plomb-verifier",
		"write etc/containerd.d/99-plomb.toml",
		"restart",
		"write state/mode.json",
		"the node is in mode enforce",
	}, events)
	require.True(t, m.required)
	state, err := admission.ReadMode(m.Settings.Mode())
	require.NoError(t, err)
	require.Equal(t, state.Since.Add(time.Hour), *state.Probation)
}

func TestUninstallRestoresEverything(t *testing.T) {
	for _, mode := range admission.Modes {
		m := newMachine(t)
		before := m.tree()
		_, err := m.install(node.InstallOptions{Mode: mode})
		require.NoError(t, err)
		_, err = m.uninstall()
		require.NoError(t, err)
		require.Equal(t, before, without(m.tree(), "run"))
		require.False(t, m.runs)
		require.Equal(t, 2, m.restarts)

		_, err = m.uninstall()
		require.ErrorIs(t, err, node.ErrNotInstalled)
		require.Equal(t, before, without(m.tree(), "run"))
	}
}

// A main configuration without imports gets one, and what no drop-in overrides
// is mended, in imported files as well; all come back as they were.
func TestUninstallRestoresWhatWasMended(t *testing.T) {
	m := newMachine(t)
	binDir := "[plugins.\"io.containerd.image-verifier.v1.bindir\"]\nbin_dir = \"" + m.path("verifiers") + "\"\n"
	for name, text := range map[string]string{
		"without imports":  "version = 3\n" + binDir,
		"with plugins off": "version = 3\nimports = [\"containerd.d/*.toml\"]\ndisabled_plugins = [\"io.containerd.nri.v1.nri\"]\n" + binDir,
	} {
		m.write("etc/config.toml", text, 0o600)
		m.write("etc/containerd.d/10-admin.toml", "version = 3\ndisabled_plugins = [\"io.containerd.transfer.v1.local\"]\n", 0o600)
		before := m.tree()
		_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
		require.NoError(t, err, name)
		require.True(t, m.required, name)
		_, err = m.uninstall()
		require.NoError(t, err, name)
		require.Equal(t, before, without(m.tree(), "run"), name)
		require.NoError(t, os.RemoveAll(m.path("run")))
	}
}

// Whoever is killed at any step leaves a node that is neither open nor locked,
// and that the same command brings to where it was to go.
func TestInstallIsKilledAtEachStep(t *testing.T) {
	for _, mode := range admission.Modes {
		whole := newMachine(t)
		all, err := whole.install(node.InstallOptions{Mode: mode})
		require.NoError(t, err)
		for n := 1; n <= len(all); n++ {
			again, taken := newMachine(t), newMachine(t)
			for _, m := range []*machine{again, taken} {
				before := m.tree()
				_, dead, _ := m.until(n, func(progress func(node.Event)) error {
					return m.Install(t.Context(), node.InstallOptions{Mode: mode, Progress: progress})
				})
				require.True(t, dead)
				if m == again {
					_, err := m.install(node.InstallOptions{Mode: mode})
					require.NoError(t, err, all[n-1])
					require.Equal(t, mode, m.mode(), all[n-1])
					require.Equal(t, mode == admission.Enforce, m.required, all[n-1])
					_, err = m.uninstall()
					require.NoError(t, err, all[n-1])
				} else {
					_, err := m.uninstall()
					require.NoError(t, err, all[n-1])
				}
				require.Equal(t, before, without(m.tree(), "run"), all[n-1])
				require.False(t, m.runs, all[n-1])
			}
		}
	}
}

// An uninstall that is killed at any step is carried on by the next.
func TestUninstallIsKilledAtEachStep(t *testing.T) {
	for n := 1; ; n++ {
		m := newMachine(t)
		before := m.tree()
		_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
		require.NoError(t, err)
		_, dead, err := m.until(n, func(progress func(node.Event)) error { return m.Uninstall(t.Context(), progress) })
		require.NoError(t, err)
		if !dead {
			require.Greater(t, n, 5)
			return
		}
		if _, err = m.uninstall(); err != nil {
			require.ErrorIs(t, err, node.ErrNotInstalled) // killed after the very last step
		}
		require.Equal(t, before, without(m.tree(), "run"))
		require.False(t, m.runs)
	}
}

// An attack by patience: at no step of a change is a node that enforces in
// another mode, or without its verifier.
func TestAnInstallNeverOpensTheGate(t *testing.T) {
	m := newMachine(t)
	_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
	require.NoError(t, err)
	m.write("programs/plomb-verifier", "\x7fELF\x00 a newer verifier", 0o755)
	m.Version = "v1.2.4"
	_, _, err = m.until(-1, func(progress func(node.Event)) error {
		return m.Install(t.Context(), node.InstallOptions{Progress: func(e node.Event) {
			progress(e)
			require.Equal(t, admission.Enforce, m.mode(), e.Text)
			require.True(t, m.required, e.Text)
			require.FileExists(t, m.path("verifiers/plomb-verifier"), e.Text)
			entries, err := os.ReadDir(m.path("verifiers"))
			require.NoError(t, err)
			require.Len(t, entries, 1, e.Text)
		}})
	})
	require.NoError(t, err)
	require.Contains(t, m.read("verifiers/plomb-verifier"), "newer")
}

func TestDryRun(t *testing.T) {
	m := newMachine(t)
	m.write("etc/config.toml", strings.ReplaceAll(m.read("etc/config.toml"), "imports", "# imports"), 0o640)
	before := m.tree()
	var text strings.Builder
	require.NoError(t, m.Install(t.Context(), node.InstallOptions{Mode: admission.Enforce, DryRun: true, Progress: func(e node.Event) {
		if !e.Note {
			text.WriteString("would ")
		}
		text.WriteString(e.Text + "\n" + e.Diff)
	}}))
	require.Equal(t, before, m.tree())
	require.Zero(t, m.restarts)
	require.Empty(t, m.receipts)
	got := strings.ReplaceAll(text.String(), m.dir, "/stand")
	golden := filepath.Join("testdata", "dry-run.golden")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestWhatIsThereStays(t *testing.T) {
	m := newMachine(t)
	m.write("verifiers/a-verifier", "#!/bin/sh\n", 0o755)
	m.write("verifiers/plomb-verifier", "an older one", 0o755)
	m.write("etc/containerd.d/99-plomb.toml", "version = 3\n# somebody's\n", 0o600)
	m.write("etc/plomb/node.yaml", "apiVersion: plombproject.github.io/node/v1\n", 0o600)
	before := m.tree()
	events, err := m.install(node.InstallOptions{})
	require.NoError(t, err)
	require.Contains(t, strings.Join(events, "\n"), "verifiers/a-verifier stays")
	require.Contains(t, strings.Join(events, "\n"), "etc/plomb/node.yaml has nri.socket")
	require.Equal(t, before["verifiers/a-verifier"], m.tree()["verifiers/a-verifier"])
	require.Equal(t, before["etc/plomb/node.yaml"], m.tree()["etc/plomb/node.yaml"])
	_, err = m.uninstall()
	require.NoError(t, err)
	require.Equal(t, before, without(m.tree(), "run"))
}

func TestStrayFilesAreNamed(t *testing.T) {
	m := newMachine(t)
	m.write("verifiers/notes.txt", "?", 0o644)
	require.NoError(t, os.Mkdir(m.path("verifiers/old"), 0o755))
	before := m.tree()
	_, err := m.install(node.InstallOptions{Force: true})
	require.ErrorIs(t, err, node.ErrFolder)
	require.ErrorContains(t, err, "notes.txt, old")
	require.Equal(t, before, m.tree())
}

func container(name string) node.Container {
	return node.Container{Subject: "default/" + name + "/main",
		Image: admission.Pinned{Name: "registry.example/" + name + ":v1", Digests: []digest.Digest{digest.FromString(name), digest.FromString(name + " config")}}}
}

func TestEnforceIsRefusedWhileItWouldDenyWhatRuns(t *testing.T) {
	m := newMachine(t)
	good, bad, pod := container("good"), container("bad"), container("pause")
	pod.Sandbox = true
	m.verdicts[good.Image.Digests[0]] = decision.Allow
	m.running = []node.Container{good, bad, pod}
	_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
	require.ErrorIs(t, err, node.ErrDenied)
	require.ErrorContains(t, err, "1 container that runs could not be started again; the node stays in mode audit")
	require.ErrorContains(t, err, "default/bad/main: registry.example/bad:v1@"+bad.Image.Digests[0].String()+": deny: unsigned")
	require.ErrorContains(t, err, "plomb node snapshot")
	require.NotContains(t, err.Error(), "good")
	require.Equal(t, admission.Audit, m.mode(), "all but the mode is installed")
	require.False(t, m.required)
	require.FileExists(t, m.path("verifiers/plomb-verifier"))

	require.ErrorIs(t, m.SetMode(t.Context(), node.ModeOptions{Mode: admission.Enforce}), node.ErrDenied)
	require.False(t, m.required)

	// The remedy that the message names.
	m.images = []admission.Pinned{bad.Image}
	_, err = m.Pin(t.Context())
	require.NoError(t, err)
	require.NoError(t, m.SetMode(t.Context(), node.ModeOptions{Mode: admission.Enforce}))
	require.Equal(t, admission.Enforce, m.mode())
	require.True(t, m.required)
}

func TestEnforceByForce(t *testing.T) {
	m := newMachine(t)
	m.running = []node.Container{container("bad")}
	_, err := m.install(node.InstallOptions{Mode: admission.Enforce, Force: true})
	require.NoError(t, err)
	state, err := admission.ReadMode(m.Settings.Mode())
	require.NoError(t, err)
	require.Equal(t, admission.Enforce, state.Mode)
	require.Contains(t, state.Reason, "by force")
}

// A node that cannot write receipts must not come to enforce: it would admit
// nothing.
func TestEnforceNeedsReceipts(t *testing.T) {
	m := newMachine(t)
	m.noReceipts = true
	_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
	require.ErrorIs(t, err, receipt.ErrLog)
	require.Equal(t, admission.Audit, m.mode())
}

func TestContainerdThatDoesNotComeBackGetsItsFilesBack(t *testing.T) {
	m := newMachine(t)
	before := m.tree()
	m.broken = true
	events, err := m.install(node.InstallOptions{Mode: admission.Enforce})
	require.Error(t, err)
	require.Contains(t, strings.Join(events, "\n"), "putting containerd's configuration back")
	require.Equal(t, before["etc/config.toml"], m.tree()["etc/config.toml"])
	require.NoFileExists(t, m.path("etc/containerd.d/99-plomb.toml"))
	require.Equal(t, admission.Audit, m.mode())
	m.broken = false
	_, err = m.uninstall()
	require.NoError(t, err)
	require.Equal(t, before, without(m.tree(), "run"))
}

func TestAnAgentThatDoesNotRegisterIsNotRequired(t *testing.T) {
	m := newMachine(t)
	m.deaf = true
	_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
	require.ErrorIs(t, err, node.ErrAgent)
	require.False(t, m.required)
	require.NoFileExists(t, m.path("etc/containerd.d/99-plomb.toml"))
	require.Equal(t, admission.Audit, m.mode())
}

func TestAnAgentThatDoesNotStartChangesNothingOfContainerds(t *testing.T) {
	m := newMachine(t)
	m.noStart = true
	_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
	require.ErrorIs(t, err, node.ErrAgent)
	require.NoFileExists(t, m.path("etc/containerd.d/99-plomb.toml"))
	require.NoFileExists(t, m.path("verifiers/plomb-verifier"))
	require.Zero(t, m.restarts)
}

// Where nothing is known to restart containerd, somebody does, and the same
// command goes on.
func TestSomebodyElseRestartsContainerd(t *testing.T) {
	m := newMachine(t)
	before := m.tree()
	m.noRestart = true
	_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
	require.ErrorIs(t, err, node.ErrRestart)
	require.Equal(t, admission.Audit, m.mode(), "it does not ask verifiers yet")
	_, err = m.install(node.InstallOptions{Mode: admission.Enforce})
	require.ErrorIs(t, err, node.ErrRestart)
	require.NoError(t, m.restart(t.Context()))
	_, err = m.install(node.InstallOptions{Mode: admission.Enforce})
	require.NoError(t, err)
	require.Equal(t, admission.Enforce, m.mode())

	_, err = m.uninstall()
	require.ErrorIs(t, err, node.ErrRestart)
	require.True(t, m.runs, "containerd requires it still")
	require.NoError(t, m.restart(t.Context()))
	_, err = m.uninstall()
	require.NoError(t, err)
	require.Equal(t, before, without(m.tree(), "run"))
}

// What an administrator wrote since is not lost, and a drop-in that requires
// an agent does not outlive it.
func TestUninstallKeepsWhatSomebodyChanged(t *testing.T) {
	m := newMachine(t)
	_, err := m.install(node.InstallOptions{Mode: admission.Enforce})
	require.NoError(t, err)
	changed := m.read("etc/containerd.d/99-plomb.toml") + "# mine\n"
	m.write("etc/containerd.d/99-plomb.toml", changed, 0o644)
	m.write("etc/plomb/node.yaml", "apiVersion: plombproject.github.io/node/v1\nname: mine\n", 0o644)
	events, err := m.uninstall()
	require.NoError(t, err)
	require.Contains(t, strings.Join(events, "\n"), "etc/plomb/node.yaml was changed")
	require.Equal(t, changed, m.read("etc/containerd.d/99-plomb.toml.saved"))
	require.NoFileExists(t, m.path("etc/containerd.d/99-plomb.toml"))
	require.Contains(t, m.read("etc/plomb/node.yaml"), "name: mine")
}

// Two administrators at once: the second one is told, and changes nothing.
func TestOneChangeAtATime(t *testing.T) {
	m := newMachine(t)
	tried := false
	require.NoError(t, m.Install(t.Context(), node.InstallOptions{Mode: admission.Enforce, Progress: func(e node.Event) {
		if e.Step != "verifier" || tried {
			return
		}
		tried = true
		before := m.tree()
		require.ErrorIs(t, m.Install(t.Context(), node.InstallOptions{Mode: admission.Audit}), node.ErrBusy)
		require.ErrorIs(t, m.SetMode(t.Context(), node.ModeOptions{Mode: admission.Audit}), node.ErrBusy)
		require.ErrorIs(t, m.Uninstall(t.Context(), nil), node.ErrBusy)
		require.Equal(t, before, m.tree())
	}}))
	require.True(t, tried)
	require.Equal(t, admission.Enforce, m.mode())
}
