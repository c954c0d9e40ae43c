// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/trust/tuf"
)

const (
	trustTimeout = 2 * time.Minute
	// maxInitialRoot bounds a root.json. The largest known has 6 kB.
	maxInitialRoot = 1 << 20
)

type trustUpdateFlags struct {
	*trustFlags
	mirror, root, targets, target string
	grace                         time.Duration
	from                          string
	timeout                       time.Duration
}

func trustUpdateCommand(common *trustFlags, stdio Stdio) *cobra.Command {
	f := trustUpdateFlags{trustFlags: common}
	cmd := &cobra.Command{
		Use:   "update [flags] [NAME]",
		Short: "Renew trusted roots from their TUF repositories, or install one from a file",
		Long: `update asks the TUF repository of an instance for its trusted root, and checks
everything that it gets against what it got before. If anything is wrong, the
last good root stays. Without NAME it renews every instance that comes from a
repository, or installs public-good if there is no instance at all.

public-good, the Sigstore for everybody, is known. github, that of attestations
for private repositories, needs --root the first time; every other instance needs
--mirror and --root. Afterwards the name is enough.

--from installs a trusted_root.json as it is, without a network. Nobody renews
it; the next update that names it replaces it.

Exit status: 0 done, 2 one could not be renewed and is what it was, 64 wrong usage.`,
		Example: `  plomb trust update
  plomb trust update corp --mirror https://tuf.corp.example --root ./root.json
  plomb trust update corp --from ./trusted_root.json`,
		Args:              oneInstance(false),
		ValidArgsFunction: common.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd, args); err != nil {
				return err
			}
			if f.from != "" {
				return f.install(args[0], stdio)
			}
			return f.updateAll(cmd, args, stdio)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.mirror, "mirror", "", "`URL` of the TUF repository")
	flags.StringVar(&f.root, "root", "", "`FILE` with the root.json to begin with; another than before begins anew")
	flags.StringVar(&f.targets, "targets", "", "`FOLDER` of targets in the repository (targets)")
	flags.StringVar(&f.target, "target", "", "target `NAME` of the trusted root (trusted_root.json)")
	flags.DurationVar(&f.grace, "grace", trust.DefaultGrace, "`TIME` that the root may be used after the repository's metadata expired")
	flags.StringVar(&f.from, "from", "", "install this trusted_root.json `FILE`, - is standard input")
	flags.DurationVar(&f.timeout, "timeout", trustTimeout, "give up on an instance after this `TIME`")
	return cmd
}

func (f *trustUpdateFlags) check(cmd *cobra.Command, args []string) error {
	for _, flag := range []string{"mirror", "root", "targets", "target", "grace", "from"} {
		if !cmd.Flags().Changed(flag) {
			continue
		}
		if len(args) == 0 {
			return fmt.Errorf("--%s is about one instance: give its NAME", flag)
		}
		if flag != "from" && f.from != "" {
			return fmt.Errorf("--from and --%s exclude each other: a file has no repository", flag)
		}
	}
	if f.grace < 0 || f.grace > trust.MaxGrace {
		return fmt.Errorf("--grace is %s, want 0s to %s", f.grace, trust.MaxGrace)
	}
	if f.timeout <= 0 {
		return fmt.Errorf("--timeout is %s, want more than nothing", f.timeout)
	}
	return nil
}

func (f *trustUpdateFlags) install(name string, stdio Stdio) error {
	data, from, err := f.readFrom(stdio)
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	state, err := f.store().Install(name, from, data, time.Now())
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errFailed, from, err)
	}
	return f.say(stdio, "%s: installed %s from %s", name, state.TrustedRoot, from)
}

func (f *trustUpdateFlags) readFrom(stdio Stdio) (data []byte, from string, err error) {
	if f.from == "-" {
		data, err = limit.ReadAll(stdio.In, trust.MaxRoot)
		return data, "standard input", err
	}
	if from, err = filepath.Abs(f.from); err != nil {
		return nil, "", err
	}
	data, err = limit.ReadFile(from, trust.MaxRoot)
	return data, from, err
}

// updateAll goes on after a failure: one mirror that is down is no reason for
// the other roots to get old.
func (f *trustUpdateFlags) updateAll(cmd *cobra.Command, args []string, stdio Stdio) error {
	names, err := f.names(args)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = []string{tuf.PublicGood}
	} else if len(args) == 0 {
		// A file is never replaced unasked: it may have been installed to take
		// back trust in an authority.
		if names = slices.DeleteFunc(names, f.isFile); len(names) == 0 {
			note(stdio, "nothing to renew: the instances in %s are files; see plomb trust list", f.dir)
		}
	}
	failed := false
	for _, name := range names {
		if err := f.update(cmd, name, stdio); err != nil {
			note(stdio, "%v", err)
			note(stdio, "%s", f.left(name))
			failed = true
		}
	}
	if failed {
		return errExit(exitUndecided)
	}
	return nil
}

// left says what a failed update leaves, and what to do where that is nothing.
func (f *trustUpdateFlags) left(name string) string {
	i := f.store().Report([]string{name}, time.Now()).Instances[0]
	switch {
	case i.State == nil && i.Contents == nil:
		return name + ": nothing is installed; where there is no network, plomb trust update " + name + " --from trusted_root.json installs a file"
	case !i.Usable:
		return name + ": the last root cannot be used any more; see plomb trust show " + name
	case i.UsableUntil.IsZero():
		return name + ": the installed root stays in force"
	}
	return name + ": the last good root stays in force, until " + i.UsableUntil.UTC().Format(time.RFC3339) + " at most"
}

// isFile says of an instance that nobody can renew it.
func (f *trustUpdateFlags) isFile(name string) bool {
	state, err := f.store().State(name)
	return err == nil && (state == nil || state.Source.Mirror == "")
}

func (f *trustUpdateFlags) update(cmd *cobra.Command, name string, stdio Stdio) error {
	i := tuf.Instance{Store: f.store(), Name: name, Mirror: f.mirror, Targets: f.targets, Target: f.target}
	if cmd.Flags().Changed("grace") {
		i.Grace = &f.grace
	}
	if f.root != "" {
		root, err := limit.ReadFile(f.root, maxInitialRoot)
		if err != nil {
			return fmt.Errorf("--root: %w", err)
		}
		i.Root = root
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	p := startProgress(stdio)
	i.Progress = p.now
	result, err := tuf.Update(ctx, i, time.Now())
	p.stop()
	if err != nil {
		return err
	}
	verb := "unchanged"
	if result.Changed {
		verb = "updated to"
	}
	return f.say(stdio, "%s: %s %s, good until %s (%d requests)", name, verb, result.State.TrustedRoot,
		result.State.Expires.UTC().Format(time.RFC3339), result.Requests)
}

func (f *trustUpdateFlags) say(stdio Stdio, format string, args ...any) error {
	if _, err := fmt.Fprintf(stdio.Out, format+"\n", args...); err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	return nil
}
