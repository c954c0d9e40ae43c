// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package faults breaks a node that enforces, in every way of a table, and looks
// what becomes of its images: real containerd, registry, plomb-verifier and
// plomb agent, put together by plomb node install.
//
// fault_test.go is what a row says and what is asked of the node because of it;
// agent_test.go, socket_test.go, state_test.go, rules_test.go, registry_test.go
// and containerd_test.go are the rows by what breaks, ledger_test.go holds the
// answers that were given against the receipts, docs_test.go the rows against
// docs/faults.md. Clocks cannot be set for one process: see TestDocumented.
package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/verify/verifytest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(impostorEnv); path != "" {
		pretend(path)
		return
	}
	os.Exit(m.Run())
}

// patience is how long something may take on a busy machine.
const patience = 30 * time.Second

// stateSize is the disk of the node's state: small, to be filled.
const stateSize = "size=48m,nr_inodes=4000,mode=0700"

// A node enforces. It is shared by the rows, which run one after the other.
type node struct {
	*stand.Stand
	t        testing.TB // the row's
	cri      *cri.Client
	control  *control.Client
	registry *proxy
	sigstore *verifytest.Sigstore
	ledger   ledger
	pod      cri.Pod
	count    int
	// known is signed, was pulled, and has a verdict; stored is not signed and
	// came to the node past every verifier.
	known, stored image
}

func newNode(t testing.TB) *node {
	t.Helper()
	n := &node{
		t: t, Stand: standtest.Start(t, stand.Options{Only: []string{stand.Registry, stand.Containerd}}),
		sigstore: verifytest.NewSigstore(t),
	}
	n.registry = newProxy(t, n.Stand.Registry)
	n.control = control.New(n.controlSocket())
	n.mountState()
	n.dial()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the agent's log:\n%s", n.LogTail(stand.Agent, 60))
		}
		n.cri.Close()
	})
	require.NoError(t, os.Remove(filepath.Join(n.Policy, "stand.yaml")))
	n.write(n.policyFile(), n.policy(verifytest.Subject))
	n.write(n.TrustedRoot(), string(n.root(n.sigstore)))
	n.append(n.NodeConfig(), "selfTest: 0s\n") // its images would be among those of the rows
	n.install()

	pod, err := n.cri.StartPod(t.Context(), "faults", nil)
	require.NoError(t, err)
	n.pod = pod
	n.known, n.stored = n.image(signed), n.image(unsigned)
	n.importPast(n.stored)
	require.NoError(t, n.pull(n.known))
	n.soon("the first container", func() error { return n.create(n.known) })
	return n
}

// install is plomb node install. The agent that it started is replaced by one
// that the stand knows.
func (n *node) install() {
	n.t.Helper()
	harness.Command{On: n.Stand, Name: "plomb", Args: []string{"node", "install", "--mode", "enforce", "--probation", "0", "--no-doctor"}}.Must(n.t)
	s, err := n.control.Status(n.t.Context())
	require.NoError(n.t, err)
	require.NoError(n.t, syscall.Kill(s.PID, syscall.SIGTERM))
	n.soon("the agent ends", func() error {
		if _, err := n.control.Status(n.t.Context()); err == nil {
			return fmt.Errorf("it still answers")
		}
		return nil
	})
	n.soon("an agent of the stand", func() error { return n.StartAgent(n.t.Context()) })
	n.dial()
}

// mountState gives the state a disk of its own.
func (n *node) mountState() {
	n.t.Helper()
	require.NoError(n.t, os.MkdirAll(n.NodeState(), 0o700))
	require.NoError(n.t, unix.Mount("plomb-faults", n.NodeState(), "tmpfs", 0, stateSize))
	n.t.Cleanup(func() { _ = unix.Unmount(n.NodeState(), unix.MNT_DETACH) })
}

func (n *node) dial() {
	n.t.Helper()
	if n.cri != nil {
		n.cri.Close()
	}
	client, err := cri.Dial(n.ContainerdAddress)
	require.NoError(n.t, err)
	n.cri = client
}

func (n *node) state(name string) string { return filepath.Join(n.NodeState(), name) }
func (n *node) controlSocket() string {
	return filepath.Join(filepath.Dir(n.AgentSocket()), "control.sock")
}
func (n *node) policyFile() string { return filepath.Join(n.Policy, "faults.yaml") }
func (n *node) verifier() string   { return filepath.Join(n.Verifiers(), "plomb-verifier") }
func (n *node) verdicts() string   { return n.state("verdicts") }
func (n *node) receipts() string   { return n.state("receipts") }
func (n *node) root(of *verifytest.Sigstore) []byte {
	return of.TrustedRoot(n.t, verifytest.RootOptions{})
}

// policy wants a signer for every image of the registry.
func (n *node) policy(subject string) string {
	return fmt.Sprintf(`apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: faults
spec:
  images:
  - glob: "%s/**"
  authorities:
  - name: release
    keyless:
      identities:
      - issuer: %s
        subject: %s
`, n.registry.addr, verifytest.Issuer, subject)
}

// write replaces a file by rename, as an administrator's tools do.
func (n *node) write(path, text string) {
	n.t.Helper()
	require.NoError(n.t, os.MkdirAll(filepath.Dir(path), 0o755))
	tmp := filepath.Join(filepath.Dir(path), ".faults")
	require.NoError(n.t, os.WriteFile(tmp, []byte(text), 0o600))
	require.NoError(n.t, os.Rename(tmp, path))
}

func (n *node) append(path, text string) {
	n.t.Helper()
	n.write(path, n.read(path)+text)
}

func (n *node) read(path string) string {
	n.t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(n.t, err)
	return string(data)
}

// aside renames a file or folder, and back.
func (n *node) aside(path string) (back func()) {
	n.t.Helper()
	// In another folder: a file more has a meaning in most of these.
	kept := filepath.Join(n.Dir, "tmp", "kept-"+filepath.Base(path))
	if strings.HasPrefix(path, n.NodeState()) {
		kept = n.state(".kept-" + filepath.Base(path))
	}
	require.NoError(n.t, os.Rename(path, kept))
	return func() {
		require.NoError(n.t, os.RemoveAll(path))
		require.NoError(n.t, os.Rename(kept, path))
	}
}

// startAgent starts the agent and waits until containerd asks it.
func (n *node) startAgent() {
	n.t.Helper()
	if _, runs := n.PID(stand.Agent); !runs {
		require.NoError(n.t, n.StartAgent(n.t.Context()))
	}
	n.soon("containerd asks the agent", func() error {
		s, err := n.control.Status(n.t.Context())
		if err == nil && !s.NRI.Connected {
			err = fmt.Errorf("not connected: %s", s.NRI.Error)
		}
		return err
	})
}

func (n *node) restartAgent() {
	n.t.Helper()
	require.NoError(n.t, n.StopDaemon(n.t.Context(), stand.Agent))
	n.startAgent()
}

func (n *node) killAgent() { require.NoError(n.t, n.KillDaemon(n.t.Context(), stand.Agent)) }
func (n *node) stopAgent() { require.NoError(n.t, n.StopDaemon(n.t.Context(), stand.Agent)) }

// agentRefuses starts an agent that has to end with a reason.
func (n *node) agentRefuses(reason string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	env := []string{"PLOMB_HOSTS="} // what is the stand's is in its environment
	p := harness.Command{On: n.Stand, Name: "plomb", Args: []string{"agent"}, Env: env}.Do(ctx)
	require.NotZero(n.t, p.Status, p.All)
	require.Contains(n.t, p.All, reason)
}

func (n *node) agentPID() int {
	n.t.Helper()
	pid, runs := n.PID(stand.Agent)
	require.True(n.t, runs, "the agent runs")
	return pid
}

func (n *node) containerdPID() int {
	n.t.Helper()
	pid, runs := n.PID(stand.Containerd)
	require.True(n.t, runs, "containerd runs")
	return pid
}

// status is what the agent says of itself.
func (n *node) status() control.Status {
	n.t.Helper()
	s, err := n.control.Status(n.t.Context())
	require.NoError(n.t, err)
	return s
}

// soon tries until it works.
func (n *node) soon(what string, try func() error) {
	n.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	require.NoError(n.t, err, what)
}
