// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/control"
)

func nodeStatusCommand(stdio Stdio) *cobra.Command {
	var form string
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Say how verification stands on this node",
		Long: `status shows what the agent knows: the mode, whether the glass is broken, the
policy and the trusted roots in force, the connection to containerd, the last
self-test, containers that run without a verdict that admits them, and everything
that is wrong now. Without an agent it shows what the files say.

It believes what it is told: plomb node doctor proves it.

Exit status: 0 the agent answers and nothing is wrong, whatever the mode; 1 a
fault, or the glass is broken; 2 the agent does not answer; 64 wrong usage.`,
		Example: `  plomb node status
  plomb node status --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkForm(form); err != nil {
				return err
			}
			n, err := thisNode(stdio)
			if err != nil {
				return err
			}
			s, answers := n.Status(cmd.Context())
			if err := printStatus(stdio, form, s, answers); err != nil {
				return fmt.Errorf("%w: %w", errFailed, err)
			}
			switch {
			case !answers:
				return errExit(exitUndecided)
			case len(s.Faults) > 0 || s.BreakGlass != nil:
				return errExit(exitDeny)
			}
			return nil
		},
	}
	registerForm(cmd, &form)
	return cmd
}

func printStatus(stdio Stdio, form string, s control.Status, answers bool) error {
	if form == "json" {
		return printJSON(stdio.Out, s)
	}
	p := newPage(stdio)
	p.line(0, "node", "%s", s.Node)
	p.line(0, "mode", "%s", modeLine(s.Mode))
	if s.BreakGlass != nil {
		p.line(0, "broken glass", "every image is admitted: %s", s.BreakGlass)
	}
	if answers {
		p.agent(s)
	}
	p.loaded("policy", s.Policy)
	p.loaded("trust", s.Trust)
	if s.PinnedAt != nil {
		p.line(0, "snapshot", "%d %s of %s", s.Pinned, plural("image", s.Pinned), stamp(*s.PinnedAt))
	}
	if s.ImageService != "" {
		p.line(0, "images", "proxy for kubelet at %s", s.ImageService)
	}
	for _, c := range s.Running {
		p.line(0, "running", "%s: %s@%s: %s: %s", c.Subject, c.Name, c.Digest, c.Verdict, c.Reason)
	}
	for _, fault := range s.Faults {
		p.line(0, "fault", "%s", fault)
	}
	return p.err
}

// agent is what only a running agent knows.
func (p *page) agent(s control.Status) {
	p.line(0, "agent", "%s, process %d, since %s, %d %s", s.Version, s.PID, stamp(s.Since), s.Verdicts, plural("verdict", s.Verdicts))
	switch {
	case s.NRI.Connected:
		p.line(0, "containerd", "%s", strings.TrimSpace("connected "+s.NRI.Runtime))
	case s.NRI.Error != "":
		p.line(0, "containerd", "not connected: %s", s.NRI.Error)
	default:
		p.line(0, "containerd", "not connected")
	}
	switch t := s.SelfTest; {
	case t == nil:
		p.line(0, "self-test", "none yet")
	case t.Effective:
		p.line(0, "self-test", "enforcement was effective at %s", stamp(t.At))
	default:
		p.line(0, "self-test", "enforcement was NOT effective at %s: %s", stamp(t.At), t.Reason)
	}
}

func (p *page) loaded(label string, l control.Loaded) {
	text := l.Where
	if l.Digest != "" {
		text += ", " + l.Digest.String() + ", read at " + stamp(l.At)
	}
	p.line(0, label, "%s", text)
	if l.Error != "" {
		p.line(1, "not in force", "%s", l.Error)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
