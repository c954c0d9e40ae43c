// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/node"
)

type nodeInstallFlags struct {
	nodeFlags
	mode      string
	probation time.Duration
	verifier  string
	force     bool
	dryRun    bool
	noDoctor  bool
}

func nodeInstallCommand(stdio Stdio) *cobra.Command {
	var f nodeInstallFlags
	cmd := &cobra.Command{
		Use:   "install [flags]",
		Short: "Bring verification onto this node",
		Long: `install starts the agent, puts plomb-verifier where containerd looks for image
verifiers, writes one drop-in that turns verification on and overrides the
settings which silently turn it off, restarts containerd, and has plomb node
doctor prove the result.

It can be run again, to bring a node up to date, to go on where it was
interrupted, or to change the mode. plomb node uninstall puts back what was there
before the first time. A verifier or a drop-in of somebody else stays.

A node starts in audit mode, in which everything is admitted. To enforce is
refused, with what would have to change, as long as a container runs that could
not be created again; all else is installed then. For some time after the switch
the agent goes back to audit by itself should the node stop being ready.

Exit status: 0 installed, and to enforce also proved; 1 enforcement is refused or
not proved; 2 it could not be done, and what was there before holds; 64 wrong usage.`,
		Example: `  plomb node install --dry-run
  plomb node install
  plomb node install --mode enforce`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, stdio) },
	}
	f.register(cmd, stdio)
	flags := cmd.Flags()
	flags.StringVar(&f.mode, "mode", "", "`MODE` of the node: audit, warn or enforce; default: the one that it has, audit for a new one")
	flags.DurationVar(&f.probation, "probation", node.DefaultProbation, "how long the agent watches a switch to enforce; 0: not at all")
	flags.StringVar(&f.verifier, "verifier", "", "plomb-verifier `FILE`; default: the one beside plomb")
	flags.BoolVar(&f.force, "force", false, "enforce even if containers run that could not be created again")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what would be written and run, and change nothing")
	flags.BoolVar(&f.noDoctor, "no-doctor", false, "do not have plomb node doctor prove the result")
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{"audit", "warn", "enforce"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f *nodeInstallFlags) run(cmd *cobra.Command, stdio Stdio) error {
	mode := admission.Mode(f.mode)
	if f.mode != "" {
		if err := mode.Check(); err != nil {
			return fmt.Errorf("--%w", err)
		}
	}
	if f.probation < 0 {
		return fmt.Errorf("--probation is %s, want a duration such as 15m, or 0", f.probation)
	}
	n, err := f.node(stdio)
	if err != nil {
		return err
	}
	if f.verifier != "" {
		n.Verifier = f.verifier
	}
	err = n.Install(cmd.Context(), node.InstallOptions{
		Mode: mode, Probation: f.probation, Force: f.force, DryRun: f.dryRun, Progress: printEvent(stdio, f.dryRun),
	})
	if err := changeFailed(err, stdio); err != nil {
		return err
	}
	if f.dryRun || f.noDoctor {
		return nil
	}
	return prove(cmd, n, stdio)
}

// changeFailed is how a change of the node ends: refused, failed or done.
func changeFailed(err error, stdio Stdio) error {
	var denied *node.DeniedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denied):
		fmt.Fprintf(stdio.Err, "plomb: %v\n", err)
		return errExit(exitDeny)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%w: interrupted: run it again, or plomb node uninstall", errFailed)
	}
	return fmt.Errorf("%w: %w", errFailed, err)
}

// prove runs plomb node doctor. A node that does not enforce cannot pass, and
// does not have to.
func prove(cmd *cobra.Command, n *node.Node, stdio Stdio) error {
	for _, doctor := range cmd.Parent().Commands() {
		if doctor.Name() != "doctor" || doctor.RunE == nil {
			continue
		}
		doctor.SetContext(cmd.Context())
		err := doctor.RunE(doctor, nil)
		if state, _ := admission.ReadMode(n.Settings.Mode()); state.Mode != admission.Enforce {
			fmt.Fprintf(stdio.Err, "note: in mode %s nothing is refused, so this is as it should be; plomb node status tells what would be, and plomb node mode enforce goes on\n", state.Mode)
			return nil
		}
		return err
	}
	return nil
}
