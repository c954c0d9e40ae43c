// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/plugin/relay"
)

// impostorEnv makes the test's program an agent of nobody's that admits all.
const impostorEnv = "PLOMB_TEST_IMPOSTOR"

// nobody is a user without any rights.
const nobody = 65534

const restarted = "`systemctl restart plomb-agent`: pulls are verified without it until then."

var socketFaults = []fault{
	{
		name: "agent.sock is gone", pull: works, create: works, remedy: restarted,
		spoil: func(n *node) func() {
			n.remove(n.AgentSocket())
			return n.restartAgent
		},
	},
	{
		name: "agent.sock is a file", pull: works, create: works, remedy: "Remove it; " + restarted,
		spoil: func(n *node) func() {
			back := n.aside(n.AgentSocket())
			n.write(n.AgentSocket(), "")
			return back
		},
	},
	{
		name: "agent.sock is a folder", pull: works, create: works, remedy: "Remove it; " + restarted,
		spoil: func(n *node) func() {
			back := n.aside(n.AgentSocket())
			require.NoError(n.t, os.Mkdir(n.AgentSocket(), 0o755))
			return back
		},
	},
	{
		name: "agent.sock is a file when the agent starts", pull: works, create: locked, remedy: "Remove it; " + restarted,
		spoil: func(n *node) func() {
			n.stopAgent()
			n.write(n.AgentSocket(), "")
			n.agentRefuses("is no socket")
			return func() { n.remove(n.AgentSocket()); n.startAgent() }
		},
	},
	{
		name: "another user answers at agent.sock", pull: works, create: works, remedy: "Find out who; " + restarted,
		spoil: func(n *node) func() {
			back := n.aside(n.AgentSocket())
			end := n.impostor(n.AgentSocket())
			return func() { end(); back() }
		},
	},
	{
		name: "agent.sock is a link to another user's", pull: works, create: works, remedy: "Find out who; " + restarted,
		spoil: func(n *node) func() {
			back := n.aside(n.AgentSocket())
			theirs := filepath.Join(n.Dir, "run", "theirs.sock")
			end := n.impostor(theirs)
			require.NoError(n.t, os.Symlink(theirs, n.AgentSocket()))
			return func() { end(); back() }
		},
	},
	{
		name: "something else answers at agent.sock", pull: works, create: works, remedy: restarted,
		spoil: func(n *node) func() {
			back := n.aside(n.AgentSocket())
			l, err := net.Listen("unix", n.AgentSocket())
			require.NoError(n.t, err)
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\nallowed\n")
					conn.Close()
				}
			}()
			return func() { l.Close(); back() }
		},
	},
	{
		name: "others can write to the folder of agent.sock", pull: works, create: locked, remedy: "chmod 755 it; " + restarted,
		spoil: func(n *node) func() {
			dir := filepath.Dir(n.AgentSocket())
			n.stopAgent()
			require.NoError(n.t, os.Chmod(dir, 0o777))
			n.agentRefuses("can be written by others")
			return func() { require.NoError(n.t, os.Chmod(dir, 0o700)); n.startAgent() }
		},
	},
	{
		name: "control.sock is taken", pull: works, create: locked, remedy: "Remove what is there; " + restarted,
		spoil: func(n *node) func() {
			n.stopAgent()
			require.NoError(n.t, os.MkdirAll(n.controlSocket(), 0o755))
			n.agentRefuses("is no socket")
			return func() { n.remove(n.controlSocket()); n.startAgent() }
		},
	},
	{
		name: "the port for metrics is taken", pull: works, create: works, remedy: "Give metrics another port in node.yaml.",
		spoil: func(n *node) func() {
			n.stopAgent()
			l, err := net.Listen("tcp", n.Metrics())
			require.NoError(n.t, err)
			n.startAgent()
			n.soon("the agent is listed", func() error { return n.create(n.known) })
			return func() { l.Close() }
		},
		look: func(n *node) {
			require.Contains(n.t, strings.Join(n.status().Faults, "\n"), "metrics are not served")
		},
	},
	{
		name: "the NRI socket is gone", pull: works, create: locked, remedy: "Restart containerd, which makes it.",
		spoil: func(n *node) func() {
			n.stopAgent()
			n.remove(n.NRISocket())
			require.NoError(n.t, n.StartAgent(n.t.Context()))
			return n.restartContainerd
		},
	},
}

func (n *node) remove(path string) {
	n.t.Helper()
	require.NoError(n.t, os.RemoveAll(path))
}

// impostor is an agent of another user that admits everything.
func (n *node) impostor(path string) (end func()) {
	n.t.Helper()
	// Where that user can run it, and make the socket.
	dir, err := os.MkdirTemp("", "plomb-faults-")
	require.NoError(n.t, err)
	require.NoError(n.t, os.Chmod(dir, 0o777))
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(n.t, err)
	program := filepath.Join(dir, "program")
	require.NoError(n.t, os.WriteFile(program, self, 0o755))
	cmd := exec.Command(program)
	cmd.Dir, cmd.Env = "/", []string{impostorEnv + "=" + filepath.Join(dir, "s")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.StdoutPipe()
	require.NoError(n.t, err)
	require.NoError(n.t, cmd.Start())
	_, err = io.ReadFull(out, make([]byte, len("listening\n")))
	require.NoError(n.t, err)
	require.NoError(n.t, os.Rename(filepath.Join(dir, "s"), path))
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		n.remove(dir)
		n.remove(path)
	}
}

// pretend is the impostor.
func pretend(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		panic(err)
	}
	_, _ = io.WriteString(os.Stdout, "listening\n")
	for {
		conn, err := l.Accept()
		if err != nil {
			panic(err)
		}
		const line = "allowed: all of them\n"
		_, _ = conn.Write([]byte{relay.Ack})
		_, _ = relay.ReadRequest(conn)
		_, _ = conn.Write(append([]byte{0, 0, 0, 0, byte(len(line))}, line...))
		conn.Close()
	}
}

func (n *node) startContainerd() {
	n.t.Helper()
	require.NoError(n.t, n.StartDaemon(n.t.Context(), stand.Containerd))
	n.dial()
	n.startAgent()
	n.soon("the agent is listed", func() error { return n.create(n.known) })
}

func (n *node) restartContainerd() {
	n.t.Helper()
	require.NoError(n.t, n.StopDaemon(n.t.Context(), stand.Containerd))
	n.startContainerd()
}
