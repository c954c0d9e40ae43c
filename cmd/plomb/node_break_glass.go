// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify/decision"
)

type breakGlassFlags struct {
	reason string
	length time.Duration
	end    bool
}

func nodeBreakGlassCommand(stdio Stdio) *cobra.Command {
	var f breakGlassFlags
	cmd := &cobra.Command{
		Use:   "break-glass --reason TEXT --for TIME | --end",
		Short: "In an emergency, admit every image for some hours",
		Long: `break-glass has this node admit every image, for a reason and for at most
12 hours. It holds at once and needs neither the agent nor containerd nor the
network. It is loud: in a receipt of its own, in those of every image that is
admitted because of it, in the metrics, and in plomb node status.

Exit status: 0 done; 2 it could not be done; 64 wrong usage.`,
		Example: `  plomb node break-glass --reason "INC-1234: registry of signatures is down" --for 1h
  plomb node break-glass --end`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, stdio) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.reason, "reason", "", "why, for those who read the receipts: `TEXT`")
	flags.DurationVar(&f.length, "for", 0, "how long: `TIME` such as 1h, at most 12h")
	flags.BoolVar(&f.end, "end", false, "mend it before its time")
	return cmd
}

func (f *breakGlassFlags) check() error {
	switch {
	case f.end && (f.reason != "" || f.length != 0):
		return errors.New("--end goes with neither --reason nor --for")
	case f.end:
		return nil
	case strings.TrimSpace(f.reason) == "":
		return errors.New("--reason is required: those who read the receipts want to know")
	case f.length <= 0 || f.length > admission.MaxBreakGlass:
		return fmt.Errorf("--for is %s, want more than 0 and at most %s", f.length, admission.MaxBreakGlass)
	}
	return nil
}

func (f *breakGlassFlags) run(cmd *cobra.Command, stdio Stdio) error {
	if err := f.check(); err != nil {
		return err
	}
	n, err := thisNode(stdio)
	if err != nil {
		return err
	}
	var text string
	var fault error
	if f.end {
		var open bool
		open, fault, err = n.EndBreakGlass(cmd.Context())
		text = "the glass is whole again"
		if !open {
			text = "the glass was not broken"
		}
	} else {
		var b admission.BreakGlass
		b, fault, err = n.BreakGlass(cmd.Context(), f.reason, f.length)
		text = "the glass is broken, every image is admitted: " + b.String()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if fault != nil {
		fmt.Fprintf(stdio.Err, "note: no receipt of this was written: %s\n", decision.OneLine(fault.Error()))
	}
	_, err = fmt.Fprintln(stdio.Out, decision.OneLine(text))
	return err
}
