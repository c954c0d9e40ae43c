// SPDX-License-Identifier: Apache-2.0

//go:build integration

package agent

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
)

// The agent tells its supervisor, by the protocol of sd_notify(3), when it can
// be asked, that it lives, and that it ends.
func TestTellsItsSupervisor(t *testing.T) {
	n := newNode(t)
	require.NoError(t, n.StopDaemon(t.Context(), stand.Agent))

	path := filepath.Join(n.Dir, "run", "notify.sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close()
	told := func(want string) {
		t.Helper()
		buf := make([]byte, 4096)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		for {
			k, err := conn.Read(buf)
			require.NoError(t, err, "waiting for %s", want)
			if strings.Contains(string(buf[:k]), want) {
				return
			}
		}
	}

	agent := exec.Command(filepath.Join(n.Bin, "plomb"), "agent")
	agent.Env = append(n.Environ(), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=2000000", "WATCHDOG_PID=")
	agent.Env = append(agent.Env, "PLOMB_HOSTS="+filepath.Join(n.Dir, "etc", "certs.d"))
	log, err := os.Create(filepath.Join(n.Dir, "log", "notified.log"))
	require.NoError(t, err)
	defer log.Close()
	agent.Stdout, agent.Stderr = log, log
	require.NoError(t, agent.Start())
	ended := make(chan error, 1)
	go func() { ended <- agent.Wait() }()
	t.Cleanup(func() { _ = agent.Process.Kill() })

	told("READY=1")
	status, err := n.control.Status(t.Context())
	require.NoError(t, err, "it said that it is ready")
	require.Equal(t, agent.Process.Pid, status.PID)
	told("WATCHDOG=1")
	require.NoError(t, agent.Process.Signal(syscall.SIGTERM))
	told("STOPPING=1")
	require.NoError(t, <-ended)
}
