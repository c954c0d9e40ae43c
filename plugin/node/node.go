// SPDX-License-Identifier: Apache-2.0

// Package node puts plomb on a containerd node and takes it off again: the
// verifier, the agent, one drop-in for containerd, and the node's mode, snapshot
// and break-glass.
//
// Two rules hold at every step, also for a process that is killed there: the
// gate is never more open than before, and the node is never locked. What makes
// containerd depend on the agent is written after the agent answers, and taken
// away before it is stopped.
//
// It verifies nothing, and knows no setting of containerd: see packages agent
// and containerd.
package node

import (
	"context"
	"errors"
	"time"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/containerd"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/settings"
)

var (
	// ErrFolder reports a verifier folder that plomb-verifier cannot be put in.
	ErrFolder = errors.New("the folder of image verifiers")
	// ErrDenied reports that enforcement would deny what runs.
	ErrDenied = errors.New("enforce is refused")
	// ErrRestart reports that containerd was not restarted, or did not come
	// back with the new configuration.
	ErrRestart = errors.New("containerd's restart")
	// ErrAgent reports an agent that could not be started or stopped.
	ErrAgent = errors.New("the agent")
	// ErrManifest reports a record of an installation that cannot be used.
	ErrManifest = errors.New("the record of the installation")
	// ErrBusy reports a node that is being changed by somebody else.
	ErrBusy = errors.New("busy")
	// ErrNotInstalled reports that there is nothing to take off.
	ErrNotInstalled = errors.New("plomb is not installed on this node")
)

// PluginName is what the agent calls itself when it registers with containerd,
// and so what containerd is told to require.
const PluginName = "plomb"

// A Runtime is the containerd of the node.
type Runtime interface {
	// Daemon finds the running one.
	Daemon(ctx context.Context) (containerd.Daemon, error)
	// Dump is the effective configuration that a main configuration makes.
	Dump(ctx context.Context, config string) ([]byte, error)
	// Answers returns nil when it serves.
	Answers(ctx context.Context) error
}

// An Inventory is what containerd has for Kubernetes.
type Inventory interface {
	// Images are all images, with all of their digests.
	Images(ctx context.Context) ([]admission.Pinned, error)
	// Running are the containers that run.
	Running(ctx context.Context) ([]Container, error)
}

// An Agent answers on the control socket. control.Client is one.
type Agent interface {
	Status(ctx context.Context) (control.Status, error)
	Verify(ctx context.Context, q control.Question) (control.Answer, error)
}

// A Supervisor keeps the agent running.
type Supervisor interface {
	// Files are what it needs on disk; ContainerdFiles give containerd the
	// agent's settings, for plomb-verifier.
	Files(u Unit) []File
	ContainerdFiles(env []string) []File
	// Start starts the agent, or starts it again, as u says.
	Start(ctx context.Context, u Unit) error
	// Stop ends it, and forgets that it was ever to run.
	Stop(ctx context.Context) error
	// Reload has it read its files again.
	Reload(ctx context.Context) error
	// Says tells the commands for an action, for people: start, stop, restart.
	Says(action string) []string
	// RestartContainerd restarts containerd, or fails with ErrRestart where it
	// does not know how.
	RestartContainerd(ctx context.Context) error
}

// A Unit is the agent as a supervisor starts it.
type Unit struct {
	// Program is plomb.
	Program string
	// Environment are the settings that differ from the defaults, NAME=value.
	Environment []string
	// State, Run and Config are the folders that the agent uses.
	State, Run, Config string
}

// A Container is one that runs.
type Container struct {
	// Subject is NAMESPACE/POD/CONTAINER.
	Subject string
	// Image has the name it was started from, and its digests, the first of
	// which is the one that the name was resolved to.
	Image admission.Pinned
	// Sandbox tells that it is a pod's own, which containers are not created from.
	Sandbox bool
}

// A Node is a machine with a containerd.
type Node struct {
	Settings settings.Settings
	// ContainerdConfig is the path of containerd's main configuration; empty:
	// the running one's, else DefaultContainerdConfig.
	ContainerdConfig string
	// Program is plomb, and Verifier plomb-verifier, both as they are to run.
	Program, Verifier string
	// Version is plomb's.
	Version string
	// Environment are the settings that somebody set, NAME=value.
	Environment []string

	Runtime    Runtime
	Inventory  Inventory
	Agent      Agent
	Supervisor Supervisor
	Receipts   Appender
	// Now is the clock.
	Now func() time.Time
	// Patience is how long a daemon may take to answer.
	Patience time.Duration
}

// DefaultContainerdConfig is where containerd looks if it is told nothing.
const DefaultContainerdConfig = "/etc/containerd/config.toml"

// DefaultBinDir is containerd's own for image verifiers.
const DefaultBinDir = "/opt/containerd/image-verifier/bin"

// await asks until it is answered, for as long as the node's patience lasts.
func (n *Node) await(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, n.Patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
