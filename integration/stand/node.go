// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/plombproject/plomb/plugin/control"
)

// nodeConfig is plomb's node.yaml: what has a place of its own on each stand.
const nodeConfig = `apiVersion: plombproject.github.io/node/v1
name: %[1]s
metrics: %[2]s
nri:
  socket: %[3]s
`

// ContainerdConfig is the path of containerd's main configuration.
func (s *Stand) ContainerdConfig() string { return s.layout.config("containerd.toml") }

// ContainerdDropIns is the folder whose *.toml containerd imports.
func (s *Stand) ContainerdDropIns() string { return s.layout.config("containerd.d") }

// NRISocket is where containerd waits for NRI plugins.
func (s *Stand) NRISocket() string { return s.layout.nriSocket() }

// AgentSocket is where plomb agent listens for plomb-verifier.
func (s *Stand) AgentSocket() string { return s.layout.agentSocket() }

// NodeConfig is the path of plomb's node.yaml, and NodeState its folder of
// verdicts, receipts and mode.
func (s *Stand) NodeConfig() string { return s.layout.nodeConfig() }

// NodeState is the folder of plomb's verdicts, receipts and mode.
func (s *Stand) NodeState() string { return s.layout.nodeState() }

// Verifiers is the folder that containerd finds image verifiers in.
func (s *Stand) Verifiers() string { return s.layout.path("verifiers") }

// Metrics is the address at which an agent of this stand serves metrics.
func (s *Stand) Metrics() string { return s.metricsAddr }

// verifierEnv is what containerd, and so plomb-verifier, and the agent are given.
func (s *Stand) verifierEnv() []string {
	return []string{
		"PLOMB_POLICY=" + s.Policy,
		"PLOMB_TRUSTED_ROOT=" + s.TrustedRoot(),
		"PLOMB_HOSTS=" + s.layout.hosts(),
		"PLOMB_STATE=" + s.layout.nodeState(),
		"PLOMB_SOCKET=" + s.layout.agentSocket(),
		"PLOMB_NODE_CONFIG=" + s.layout.nodeConfig(),
		"CONTAINERD_ADDRESS=" + s.ContainerdAddress,
	}
}

func (s *Stand) agent() daemon {
	return daemon{
		name:    Agent,
		program: s.program("plomb"),
		args:    []string{"agent"},
		env:     s.verifierEnv(),
		grace:   10 * time.Second,
		prepare: func() error { return nil },
		probe: func(ctx context.Context) error {
			_, err := control.New(filepath.Join(filepath.Dir(s.layout.agentSocket()), "control.sock")).Status(ctx)
			return err
		},
	}
}

// StartAgent starts plomb agent for the stand's containerd, as a daemon that
// StopDaemon and KillDaemon know as Agent. It returns when the agent answers.
func (s *Stand) StartAgent(ctx context.Context) error {
	if id, ok := running(s.layout.pidFile(Agent)); ok {
		return fmt.Errorf("%w %s: runs already as process %d", ErrDaemon, Agent, id.pid)
	}
	return s.start(ctx, s.daemon(Agent))
}

func (s *Stand) writeNode() error {
	if err := os.MkdirAll(s.ContainerdDropIns(), 0o755); err != nil {
		return err
	}
	text := fmt.Sprintf(nodeConfig, s.layout.id(), s.metricsAddr, s.layout.nriSocket())
	return writeFile(s.layout.nodeConfig(), []byte(text), 0o644)
}

// Restart stops one daemon of the stand in dir and starts it again with its
// configuration as it is now.
func Restart(ctx context.Context, dir, name string) error {
	s, err := Open(dir, nil)
	if err != nil {
		return err
	}
	if err := s.StopDaemon(ctx, name); err != nil {
		return err
	}
	return s.StartDaemon(ctx, name)
}

// stopAgent ends the plomb agents that were started for this stand, by plomb
// node install or a test: they are nobody's children.
func (s *Stand) stopAgent(ctx context.Context) error {
	list, err := processes()
	if err != nil {
		return err
	}
	var all error
	for _, p := range list {
		if len(p.args) > 1 && filepath.Base(p.args[0]) == "plomb" && p.args[1] == "agent" && s.isEnvironmentOf(p.pid) {
			all = errors.Join(all, p.stop(ctx, 5*time.Second))
		}
	}
	return all
}

func (s *Stand) isEnvironmentOf(pid int) bool {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	want := []byte("PLOMB_SOCKET=" + s.layout.agentSocket())
	return err == nil && slices.ContainsFunc(bytes.Split(data, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) })
}
