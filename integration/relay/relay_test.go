// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package relay has plomb-verifier and the agent's socket meet users that they
// must not trust. It needs root, to be somebody else; the faults of an agent
// that is root's are tested beside cmd/plomb-verifier.
package relay

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/plugin/relay"
)

// nobody is a user without any rights.
const nobody = 65534

// role makes the test's program somebody else's, at the socket that it names.
const (
	role      = "PLOMB_TEST_ROLE"
	impostor  = "impostor"
	intruder  = "intruder"
	socketVar = "PLOMB_TEST_SOCKET"
)

var verifier string

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case impostor:
		pretend(os.Getenv(socketVar))
		return
	case intruder:
		intrude(os.Getenv(socketVar))
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "plomb-relay-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	root, err := stand.FindRoot()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	verifier = filepath.Join(dir, "plomb-verifier")
	build := exec.Command("go", "build", "-o", verifier, "./cmd/plomb-verifier")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// pretend is an agent that admits everything.
func pretend(path string) {
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		panic(err)
	}
	fmt.Println("listening")
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

// intrude asks, and prints what it is told.
func intrude(path string) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = conn.Write(relay.AppendRequest(nil, relay.Request{Args: []string{"-name", "x"}}))
	got, _ := io.ReadAll(conn)
	fmt.Printf("told %q\n", got)
}

// as is this program as nobody.
func as(t *testing.T, what, path string) *exec.Cmd {
	t.Helper()
	require.Zero(t, os.Geteuid(), "integration tests need root")
	// Where nobody can read it.
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	dir := folder(t, 0o755)
	program := filepath.Join(dir, "program")
	require.NoError(t, os.WriteFile(program, self, 0o755))
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Dir = "/"
	cmd.Env = []string{role + "=" + what, socketVar + "=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Stderr = os.Stderr
	return cmd
}

// folder is one that others can enter, unlike t.TempDir's.
func folder(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plomb-relay-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, mode))
	return dir
}

// ask runs plomb-verifier as root.
func ask(t *testing.T, path string) (status int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), verifier, "-name", "reg.example/app:v1", "-digest", "sha256:"+strings.Repeat("0", 64),
		"-stdin-media-type", "application/vnd.oci.descriptor.v1+json")
	cmd.Stdin = strings.NewReader(`{"digest":"sha256:` + strings.Repeat("0", 64) + `"}`)
	cmd.Env = []string{"PLOMB_SOCKET=" + path, "PLOMB_STATE=" + dir, "PLOMB_POLICY=" + dir, "PLOMB_NODE_CONFIG=" + dir + "/node.yaml"}
	var out, err strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &err
	_ = cmd.Run()
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

// TestAnAgentOfSomebodyElse: whoever gets a socket to where the agent's should
// be admits nothing.
func TestAnAgentOfSomebodyElse(t *testing.T) {
	path := filepath.Join(folder(t, 0o777), "agent.sock")
	cmd := as(t, impostor, path)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, err = io.ReadFull(stdout, make([]byte, len("listening\n")))
	require.NoError(t, err)

	status, out, log := ask(t, path)
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "no policy")
	require.NotContains(t, out, "all of them")
	require.Contains(t, log, "another user's")

	_, err = relay.Listen(path)
	require.ErrorIs(t, err, relay.ErrSocket, "nor does the agent listen in such a folder")
}

// TestSomebodyElseAsks: the socket's mode keeps others out, and so does the
// agent should somebody have changed it.
func TestSomebodyElseAsks(t *testing.T) {
	dir := folder(t, 0o755)
	path := filepath.Join(dir, "agent.sock")
	l, err := relay.Listen(path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- relay.Serve(ctx, l, func(context.Context, []string, []byte) (int, []byte) { return 0, []byte("allowed\n") })
	}()
	out, err := as(t, intruder, path).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "permission denied")
	require.NoError(t, os.Chmod(path, 0o666))
	out, err = as(t, intruder, path).Output()
	require.NoError(t, err)
	require.Equal(t, "told \"\"\n", string(out))

	status, reason, _ := ask(t, path)
	require.Equal(t, 0, status)
	require.Equal(t, "allowed\n", reason)
	cancel()
	require.NoError(t, <-done)
}
