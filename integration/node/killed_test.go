// SPDX-License-Identifier: Apache-2.0

//go:build integration

package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/node"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/receipt"
)

// killedEnv has this program install plomb, and kill itself after so many steps.
const killedEnv = "PLOMB_TEST_KILLED_AFTER"

// installUntilKilled is plomb node install --mode enforce, in a process that
// ends as from kill -9 after the step that at counts.
func installUntilKilled(at string) {
	steps, err := strconv.Atoi(at)
	if err == nil {
		err = install(steps)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func install(steps int) error {
	s, err := settings.Read(os.Getenv)
	if err != nil {
		return err
	}
	log, err := receipt.Open(s.Receipts(), receipt.Options{MaxBytes: s.Node.Receipts.MaxBytes})
	if err != nil {
		return err
	}
	var env []string
	for _, pair := range os.Environ() {
		if strings.HasPrefix(pair, "PLOMB_") || strings.HasPrefix(pair, "CONTAINERD_ADDRESS=") {
			env = append(env, pair)
		}
	}
	bin := os.Getenv("PLOMB_BIN")
	containerd := node.Containerd{Address: s.Containerd}
	n := node.Node{
		Settings: s, ContainerdConfig: os.Getenv("CONTAINERD_CONFIG"), Environment: env, Version: "test",
		Program: filepath.Join(bin, "plomb"), Verifier: filepath.Join(bin, "plomb-verifier"),
		Runtime: containerd, Inventory: containerd, Agent: control.New(s.Control()), Receipts: log,
		Supervisor: node.Detached{Dir: filepath.Dir(s.Socket), RestartCommand: strings.Fields(os.Getenv("PLOMB_RESTART_COMMAND")), Getenv: os.Getenv},
		Now:        time.Now, Patience: patience,
	}
	done := 0
	return n.Install(context.Background(), node.InstallOptions{Mode: admission.Enforce, Progress: func(e node.Event) {
		fmt.Println(e.Text)
		if done++; done == steps {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}})
}

// An installation that is killed after any of its steps leaves a node on which
// containers start; it can be carried on, and it can be taken back.
func TestInstallIsKilledAtEachStep(t *testing.T) {
	m := newMachine(t)
	// What the stand put there is another program, so that its place counts.
	require.NoError(t, os.WriteFile(filepath.Join(m.Dir, "tmp", "other"), []byte("#!/bin/sh\nexit 0\n"), 0o755))
	image, pod := m.unsigned("app"), m.pod()
	m.must(0, "snapshot")
	before := m.tree()
	steps := 0
	for ; ; steps++ {
		out, killed := m.installKilledAfter(steps + 1)
		if !killed {
			break
		}
		m.runs(pod, image)
		m.must(0, "uninstall")
		require.Equal(t, before, m.tree(), out)
		m.runs(pod, image)

		_, killed = m.installKilledAfter(steps + 1)
		require.True(t, killed)
		m.must(0, "install", "--mode", "enforce", "--no-doctor")
		require.Contains(t, m.must(0, "mode").Out, "enforce, since", out)
		m.runs(pod, image)
		m.must(0, "uninstall")
		require.Equal(t, before, m.tree(), out)
	}
	require.GreaterOrEqual(t, steps, 5)
	m.must(0, "uninstall")
}

func (m *machine) installKilledAfter(steps int) (out string, killed bool) {
	m.t.Helper()
	cmd := exec.CommandContext(m.t.Context(), os.Args[0])
	cmd.Env = append(m.Environ(), killedEnv+"="+strconv.Itoa(steps))
	data, err := cmd.CombinedOutput()
	if err == nil {
		return string(data), false
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(m.t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, "%v: %s", err, data)
	return string(data), true
}
