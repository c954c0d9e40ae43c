// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/doctor"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
)

func doctorCommand(stdio Stdio) *cobra.Command {
	var output string
	var opts doctor.Options
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Prove that this node refuses what it has to refuse",
		Long: `doctor proves that verification is on. It serves throwaway images on loopback,
has containerd pull an unsigned and a signed one as kubelet does and as ctr does,
puts an unsigned one into containerd's store behind the verifier's back and tries
to start it, and removes all of it again. It also reads containerd's configuration
and names each setting that turns verification off, where it is written, and the
line that mends it.

It judges its own images by a key that it makes for each run, so that it depends
on no policy, and changes nothing of the node. docs/doctor.md explains each check.

Exit status: 0 enforcement is live at pull and at create, 1 it is not, 2 it could
not be found out, 64 wrong usage.`,
		Example: `  plomb node doctor
  plomb node doctor --pull-only
  plomb node doctor --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			s, err := settings.Read(stdio.Getenv)
			if err != nil {
				return fmt.Errorf("%w: %w", errFailed, err)
			}
			opts.Settings = s
			waiting := startProgress(stdio)
			opts.Progress = waiting.now
			report, err := doctor.Prove(cmd.Context(), opts)
			waiting.stop()
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("%w: interrupted: nothing was found out", errFailed)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", errFailed, err)
			}
			if err := printDoctor(stdio, output, report); err != nil {
				return fmt.Errorf("%w: write the report: %w", errFailed, err)
			}
			return doctorExit(report.Verdict)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Config, "containerd-config", stdio.Getenv("CONTAINERD_CONFIG"), "containerd's main configuration `FILE`; default: what it runs with")
	flags.StringVar(&opts.Program, "containerd-program", "", "containerd's executable `FILE`; default: the one that runs")
	flags.BoolVar(&opts.PullOnly, "pull-only", false, "leave out the creation of containers")
	flags.StringVarP(&output, "output", "o", "text", "`FORM` of the output: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func doctorExit(v doctor.Verdict) error {
	switch v {
	case doctor.Live:
		return nil
	case doctor.NotLive:
		return errExit(exitDeny)
	case doctor.Undecided:
	}
	return errExit(exitUndecided)
}

// doctorMarks stand before a check on a terminal, its words elsewhere.
var doctorMarks = map[doctor.Status]struct{ mark, colour string }{
	doctor.Pass:    {"✓", "32"},
	doctor.Fail:    {"✗", "31"},
	doctor.Warn:    {"!", "33"},
	doctor.Unknown: {"?", "33"},
	doctor.Skip:    {"-", "0"},
}

func printDoctor(stdio Stdio, form string, r doctor.Report) error {
	if form == "json" {
		return printJSON(stdio.Out, r)
	}
	p := newPage(stdio)
	words := map[doctor.Verdict]decision.Verdict{doctor.Live: decision.Allow, doctor.NotLive: decision.Deny, doctor.Undecided: decision.Undecided}
	p.doctorHead(words[r.Verdict], r)
	for _, c := range r.Checks {
		p.check(onTerminal(stdio.Out), c)
	}
	return p.err
}

// doctorHead is the verdict, and the first thing that speaks against it.
func (p *page) doctorHead(v decision.Verdict, r doctor.Report) {
	word := map[doctor.Verdict]string{doctor.Live: "live", doctor.NotLive: "not live", doctor.Undecided: "unknown"}[r.Verdict]
	if p.colour {
		word = "\x1b[1;" + map[decision.Verdict]string{decision.Allow: "32", decision.Deny: "31", decision.Undecided: "33"}[v] + "m" + word + "\x1b[0m"
	}
	text := fmt.Sprintf("enforcement on %s, by containerd %s at %s", r.Node, r.Containerd.Version, r.Containerd.Address)
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, "%s: %s\n", word, decision.OneLine(text))
	}
	if r.Reason != "" {
		p.line(1, "reason", "%s", r.Reason)
	}
}

// check is one line, and under it where it is written and what mends it.
func (p *page) check(terminal bool, c doctor.Check) {
	label := string(c.Status)
	if terminal {
		m := doctorMarks[c.Status]
		label = m.mark
		if p.colour {
			label = "\x1b[" + m.colour + "m" + m.mark + "\x1b[0m"
		}
		if p.err == nil {
			_, p.err = fmt.Fprintf(p.out, "%s %s: %s\n", label, c.ID, decision.OneLine(c.Detail))
		}
	} else {
		p.line(0, label, "%s: %s", c.ID, c.Detail)
	}
	for _, place := range c.Places {
		p.line(1, "written in", "%s:%d", place.File, place.Line)
	}
	for i, line := range strings.Split(strings.TrimSpace(c.Remedy), "\n") {
		name := "remedy"
		if i > 0 {
			name = ""
		}
		if line != "" {
			p.line(1, name, "%s", line)
		}
	}
}
