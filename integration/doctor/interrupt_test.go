// SPDX-License-Identifier: Apache-2.0

//go:build integration

package doctor

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestInterrupted: an interrupt at any moment leaves nothing, and a kill
// nothing that the next run does not remove.
func TestInterrupted(t *testing.T) {
	healthy(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		for after := 50 * time.Millisecond; after < time.Second; after += 150 * time.Millisecond {
			cmd := exec.Command(filepath.Join(on.Bin, "plomb"), "node", "doctor")
			cmd.Env = on.Environ()
			require.NoError(t, cmd.Start())
			time.Sleep(after) // any moment will do
			_ = cmd.Process.Signal(sig)
			_ = cmd.Wait()
			if sig != syscall.SIGKILL {
				nothingIsLeft(t)
			}
		}
	}
	healthy(t)
	nothingIsLeft(t)
}

// TestTwoAtOnce: they wait for each other.
func TestTwoAtOnce(t *testing.T) {
	healthy(t)
	done := make(chan int)
	for range 3 {
		go func() {
			cmd := exec.Command(filepath.Join(on.Bin, "plomb"), "node", "doctor")
			cmd.Env = on.Environ()
			_ = cmd.Run()
			done <- cmd.ProcessState.ExitCode()
		}()
	}
	for range 3 {
		require.Equal(t, 0, <-done)
	}
	nothingIsLeft(t)
}

// nothingIsLeft looks into containerd and the folder of state.
func nothingIsLeft(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"namespaces", "list", "-q"}, {"-n", "k8s.io", "images", "list", "-q"}, {"-n", "k8s.io", "containers", "list", "-q"},
		{"-n", "k8s.io", "tasks", "list", "-q"},
	} {
		require.NotContains(t, ctr(t, args...), "plomb-canary", strings.Join(args, " "))
	}
	pods := strings.Fields(ctr(t, "-n", "k8s.io", "containers", "list", "-q"))
	require.Empty(t, pods, "pods of the doctor are the only ones here")
	require.NoFileExists(t, filepath.Join(on.NodeState(), "canary.json"))
}
