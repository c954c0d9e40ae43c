// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/nodesync"
	"github.com/plombproject/plomb/plugin/settings"
)

type nodeSyncFlags struct {
	host, from, programs string
	mode                 string
	strict, watch, ready bool
	snapshot             bool
	every                time.Duration
	metrics              string
}

func nodeSyncCommand(stdio Stdio) *cobra.Command {
	var f nodeSyncFlags
	cmd := &cobra.Command{
		Use:   "sync [flags] --from DIR [-- NODE-COMMAND...]",
		Short: "Deliver programs, policy and trusted root from a container to its node",
		Long: `sync is what the pods of the Kubernetes rollout run (docs/kubernetes.md).

It puts DIR/trust/trusted_root.json, DIR/policy/* and DIR/node/node.yaml where
plomb reads them on the node, each whole, and each only if it is sound: as plomb
policy check sees it, and together with the node's own policies. A delivery that is
refused leaves what was there. What DIR does not have is left alone.

With a NODE-COMMAND it first puts plomb and plomb-verifier, which it takes from
beside itself, into a folder of --programs, and at last has the host's systemd run
'plomb node NODE-COMMAND' from there.

Exit status: 0 done, or with --ready ready; 2 it could not be done, or not ready.`,
		Example: `  plomb node sync --host /host --from /delivery -- install --mode audit
  plomb node sync --host /host --from /delivery --watch`,
		Args: func(cmd *cobra.Command, args []string) error { return f.check(cmd, args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.run(cmd.Context(), args, stdio); err != nil {
				return fmt.Errorf("%w: %w", errFailed, err)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.host, "host", "/", "where the node's file system is mounted")
	flags.StringVar(&f.from, "from", "", "folder that is delivered")
	flags.StringVar(&f.programs, "programs", "/opt/plomb", "folder of plomb's programs on the node")
	flags.BoolVar(&f.strict, "strict", false, "refuse policies that plomb policy check warns of")
	flags.BoolVar(&f.snapshot, "snapshot", false, "have 'plomb node snapshot' pin what is on the node first, unless it ever has")
	flags.BoolVar(&f.watch, "watch", false, "go on delivering what changes, until SIGTERM")
	flags.DurationVar(&f.every, "every", 10*time.Second, "how often --watch looks")
	flags.StringVar(&f.metrics, "metrics", "", "with --watch: serve the agent's metrics on this address")
	flags.BoolVar(&f.ready, "ready", false, "change nothing, and tell whether the node is as delivered")
	flags.StringVar(&f.mode, "mode", "", "with --ready: the mode that the node is to be in")
	return cmd
}

func (f *nodeSyncFlags) check(cmd *cobra.Command, args []string) error {
	at := cmd.ArgsLenAtDash()
	switch {
	case f.from == "":
		return errors.New("name what to deliver with --from")
	case len(args) > 0 && at != 0:
		return fmt.Errorf("%q is no flag: a command for the node comes after --", args[0])
	case f.ready && (f.watch || len(args) > 0), f.watch && len(args) > 0:
		return errors.New("only one of --watch, --ready and a command for the node can be done")
	case f.snapshot && len(args) == 0:
		return errors.New("--snapshot is for what comes before a command for the node")
	case f.metrics != "" && !f.watch:
		return errors.New("--metrics is for --watch")
	case f.mode != "" && !f.ready:
		return errors.New("--mode is for --ready; name the mode of an installation after --")
	case f.every < time.Second:
		return fmt.Errorf("--every is %s, want at least 1s", f.every)
	case !filepath.IsAbs(f.host) || !filepath.IsAbs(f.programs):
		return errors.New("--host and --programs are absolute paths")
	}
	return nil
}

// run opens everything that is the container's, then goes into the host.
func (f *nodeSyncFlags) run(ctx context.Context, args []string, stdio Stdio) error {
	from, err := os.OpenRoot(f.from)
	if err != nil {
		return err
	}
	defer from.Close()
	programs, err := f.read(args)
	if err != nil {
		return err
	}
	if err := nodesync.Enter(f.host); err != nil {
		return err
	}
	s, err := settings.Read(stdio.Getenv)
	if err != nil && !f.deliversNode(from) {
		return err // else what is delivered may mend it
	}
	sync := &nodesync.Sync{From: from, Settings: s, Strict: f.strict, Now: time.Now}
	switch {
	case f.ready:
		return sync.Ready(ctx, control.New(s.Control()), nodesync.Want{Version: currentVersion(), Mode: admission.Mode(f.mode)})
	case f.watch:
		return f.keep(ctx, sync, stdio)
	}
	host := onHost{dir: f.programs, programs: programs, stdio: stdio}
	if len(args) > 0 && args[0] == "uninstall" {
		return host.uninstall(ctx, args)
	}
	changes, err := sync.Once()
	for _, c := range changes {
		fmt.Fprintf(stdio.Out, "delivered the %s: %s\n", c.What, c.Path)
	}
	if err != nil || len(args) == 0 {
		return err
	}
	if err := reconfigure(ctx, changes, stdio); err != nil {
		return err
	}
	if f.snapshot {
		if err := host.snapshot(ctx, s.Snapshot()); err != nil {
			return err
		}
	}
	return host.install(ctx, args)
}

func (f *nodeSyncFlags) deliversNode(from *os.Root) bool {
	_, err := from.Stat(nodesync.NodeFile)
	return err == nil
}

func (f *nodeSyncFlags) read(args []string) ([]nodesync.Program, error) {
	if len(args) == 0 {
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return nodesync.ReadPrograms(self, filepath.Join(filepath.Dir(self), "plomb-verifier"))
}

// reconfigure starts an agent again that read another node.yaml when it started.
func reconfigure(ctx context.Context, changes []nodesync.Change, stdio Stdio) error {
	if !slices.ContainsFunc(changes, func(c nodesync.Change) bool { return c.What == nodesync.NodeConfiguration }) {
		return nil
	}
	if _, err := os.Stat("/etc/systemd/system/" + nodesync.AgentUnit); errors.Is(err, os.ErrNotExist) {
		return nil // it is not installed yet
	}
	return nodesync.Run(ctx, stdio.Out, []string{"systemctl", "try-restart", nodesync.AgentUnit})
}

// onHost runs plomb node as a program of the host.
type onHost struct {
	dir      string
	programs []nodesync.Program
	stdio    Stdio
}

func (h onHost) run(ctx context.Context, args ...string) (folder string, err error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return "", fmt.Errorf("%w does not run systemd, or it is not mounted: %w", nodesync.ErrHost, err)
	}
	folder, err = nodesync.Place(h.dir, h.programs)
	if err != nil {
		return "", err
	}
	words := slices.Concat([]string{filepath.Join(folder, "plomb"), "node"}, args)
	return folder, nodesync.Run(ctx, h.stdio.Out, nodesync.ByHost(os.Environ(), words...))
}

func (h onHost) install(ctx context.Context, args []string) error {
	folder, err := h.run(ctx, args...)
	if err != nil {
		return err
	}
	return nodesync.Use(h.dir, folder)
}

func (h onHost) uninstall(ctx context.Context, args []string) error {
	if _, err := h.run(ctx, args...); err != nil {
		return err
	}
	return os.RemoveAll(h.dir)
}

// snapshot pins once. Each later start would pin what has arrived since, which
// is for an administrator to want.
func (h onHost) snapshot(ctx context.Context, path string) error {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	_, err := h.run(ctx, "snapshot")
	return err
}

func (f *nodeSyncFlags) keep(ctx context.Context, s *nodesync.Sync, stdio Stdio) error {
	var sound atomic.Bool
	if f.metrics != "" {
		// The pod that comes after this one may be there before it is gone.
		config := net.ListenConfig{Control: nodesync.SharePort}
		l, err := config.Listen(ctx, "tcp", f.metrics)
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: nodesync.Metrics(s.Settings.Node.Metrics, &sound), ReadHeaderTimeout: 5 * time.Second}
		defer srv.Close()
		go srv.Serve(l)
	}
	s.Watch(ctx, f.every, slog.New(slog.NewTextHandler(stdio.Err, nil)), &sound)
	return nil
}
