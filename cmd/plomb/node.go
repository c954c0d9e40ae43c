// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/node"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

// nodeSettings are the variables that plomb node hands on to the agent and to
// containerd, if they are set.
var nodeSettings = []string{
	"PLOMB_POLICY", "PLOMB_NO_MATCH_POLICY", "PLOMB_TRUSTED_ROOT", "PLOMB_TRUST", "PLOMB_NOTATION", "PLOMB_HOSTS",
	"PLOMB_TIMEOUT", "PLOMB_NODE_CONFIG", "PLOMB_STATE", "PLOMB_SOCKET", "CONTAINERD_ADDRESS",
}

func nodeCommand(stdio Stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node COMMAND",
		Short: "Install, run and prove verification on a containerd node",
		Long: `node brings verification onto a containerd node and takes it off again, changes
what the node does with an image that is refused, and says how things stand.

A node is in one of three modes: audit notes what it would refuse, warn says so
loudly, enforce refuses. Begin with audit; go on when nothing that you run is
refused any more.

Environment, besides what plomb --help lists:
  PLOMB_NODE_CONFIG      the node's configuration, /etc/plomb/node.yaml
  PLOMB_STATE            what the node remembers, /var/lib/plomb
  PLOMB_SOCKET           the agent's socket, /run/plomb/agent.sock
  CONTAINERD_ADDRESS     containerd's socket, /run/containerd/containerd.sock
  CONTAINERD_CONFIG      containerd's main configuration; default: what it runs with
  PLOMB_RESTART_COMMAND  what restarts containerd, words without a shell`,
		Example: `  plomb node install --dry-run
  plomb node install
  plomb node status
  plomb node mode enforce`,
		Args: aCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(nodeInstallCommand(stdio), nodeUninstallCommand(stdio), nodeModeCommand(stdio),
		nodeStatusCommand(stdio), nodeSnapshotCommand(stdio), nodeBreakGlassCommand(stdio), doctorCommand(stdio), nodeSyncCommand(stdio))
	return cmd
}

// nodeFlags are those of the commands that change containerd.
type nodeFlags struct {
	config  string
	restart string
	timeout time.Duration
}

func (f *nodeFlags) register(cmd *cobra.Command, stdio Stdio) {
	flags := cmd.Flags()
	flags.StringVar(&f.config, "containerd-config", stdio.Getenv("CONTAINERD_CONFIG"), "containerd's main configuration `FILE`; default: what it runs with")
	flags.StringVar(&f.restart, "restart-command", stdio.Getenv("PLOMB_RESTART_COMMAND"), "`COMMAND` that restarts containerd, words without a shell; default: systemctl, where systemd runs")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "how long containerd and the agent may each take to answer")
}

// node puts the pieces of this machine together.
func (f *nodeFlags) node(stdio Stdio) (*node.Node, error) {
	n, err := thisNode(stdio)
	if err != nil {
		return nil, err
	}
	n.ContainerdConfig, n.Patience = f.config, f.timeout
	restart := strings.Fields(f.restart)
	if node.HasSystemd() {
		n.Supervisor = node.Systemd{Dir: "/etc/systemd/system", RestartCommand: restart}
	} else {
		n.Supervisor = node.Detached{Dir: filepath.Dir(n.Settings.Socket), RestartCommand: restart, Getenv: stdio.Getenv}
	}
	return n, nil
}

// thisNode is the node without what changes containerd.
func thisNode(stdio Stdio) (*node.Node, error) {
	s, err := settings.Read(stdio.Getenv)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFailed, err)
	}
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFailed, err)
	}
	n := &node.Node{
		Settings: s, Program: program, Verifier: filepath.Join(filepath.Dir(program), "plomb-verifier"),
		Version: currentVersion(), Now: time.Now, Patience: time.Minute,
		Agent: control.New(s.Control()), Receipts: &lateLog{settings: s},
		Runtime: node.Containerd{Address: s.Containerd}, Inventory: node.Containerd{Address: s.Containerd},
	}
	for _, name := range nodeSettings {
		if v := stdio.Getenv(name); v != "" {
			n.Environment = append(n.Environment, name+"="+v)
		}
	}
	return n, nil
}

// lateLog opens the receipts for a receipt, and leaves no folder where none is
// written.
type lateLog struct{ settings settings.Settings }

func (l *lateLog) Append(ctx context.Context, receipts ...*receipt.Receipt) (last digest.Digest, err error) {
	log, err := receipt.Open(l.settings.Receipts(), receipt.Options{
		MaxBytes: l.settings.Node.Receipts.MaxBytes, Key: l.settings.Node.Receipts.Key,
	})
	if err != nil {
		return "", err
	}
	last, err = log.Append(ctx, receipts...)
	if closed := log.Close(); err == nil {
		err = closed
	}
	return last, err
}

// printEvent writes what a change of the node did.
func printEvent(stdio Stdio, dry bool) func(node.Event) {
	return func(e node.Event) {
		text := decision.OneLine(e.Text)
		switch {
		case e.Note:
			fmt.Fprintf(stdio.Err, "note: %s\n", text)
		case dry:
			fmt.Fprintf(stdio.Out, "would %s\n%s", text, e.Diff)
		default:
			fmt.Fprintln(stdio.Out, text)
		}
	}
}
