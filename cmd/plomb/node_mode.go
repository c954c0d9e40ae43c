// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/node"
)

type nodeModeFlags struct {
	nodeFlags
	probation time.Duration
	force     bool
}

func nodeModeCommand(stdio Stdio) *cobra.Command {
	var f nodeModeFlags
	cmd := &cobra.Command{
		Use:   "mode [flags] [audit|warn|enforce]",
		Short: "Show or set what this node does with an image that is refused",
		Long: `mode shows the node's mode, or sets it:

  audit    admit every image, and write receipts of what would be refused
  warn     the same, and say so loudly in the agent's log
  enforce  refuse it

A milder mode holds at once, before anything else is done. To enforce is refused
as long as a container runs that could not be created again (--force does it all
the same), and watched by the agent for the time of --probation. While a node
enforces, containerd requires the agent for every container it creates; this is
a setting of containerd, which is restarted for it.

Exit status: 0 done; 1 enforcement is refused; 2 it could not be done; 64 wrong usage.`,
		Example: `  plomb node mode
  plomb node mode enforce
  plomb node mode audit`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), aMode),
		ValidArgs: []string{"audit", "warn", "enforce"},
		RunE:      func(cmd *cobra.Command, args []string) error { return f.run(cmd, args, stdio) },
	}
	f.register(cmd, stdio)
	cmd.Flags().DurationVar(&f.probation, "probation", node.DefaultProbation, "how long the agent watches a switch to enforce; 0: not at all")
	cmd.Flags().BoolVar(&f.force, "force", false, "enforce even if containers run that could not be created again")
	return cmd
}

func aMode(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return admission.Mode(args[0]).Check()
}

func (f *nodeModeFlags) run(cmd *cobra.Command, args []string, stdio Stdio) error {
	n, err := f.node(stdio)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		state, err := admission.ReadMode(n.Settings.Mode())
		if err != nil {
			return fmt.Errorf("%w: %w", errFailed, err)
		}
		fmt.Fprintln(stdio.Out, modeLine(state))
		return nil
	}
	return changeFailed(n.SetMode(cmd.Context(), node.ModeOptions{
		Mode: admission.Mode(args[0]), Probation: f.probation, Force: f.force, Progress: printEvent(stdio, false),
	}), stdio)
}

// modeLine is a mode, and how the node came to it.
func modeLine(s admission.State) string {
	line := string(s.Mode)
	if s.Since.IsZero() {
		return line + ", which is what a node does that nobody told anything"
	}
	line += ", since " + s.Since.UTC().Format(time.RFC3339)
	if s.Reason != "" {
		line += ", " + s.Reason
	}
	if s.Probation != nil && time.Now().Before(*s.Probation) {
		line += ", on probation until " + s.Probation.UTC().Format(time.RFC3339)
	}
	return line
}
