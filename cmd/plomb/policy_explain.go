// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/explain"
	"github.com/plombproject/plomb/verify/policy"
)

// explainSchema identifies the form of explainReport.
const explainSchema = "https://plombproject.github.io/policy-explain/v1"

// An explainReport is what `plomb policy explain --output json` prints.
type explainReport struct {
	Schema   string             `json:"schema"`
	Decision *decision.Decision `json:"decision"`
	Hints    []explain.Hint     `json:"hints"`
}

func policyExplainCommand(stdio Stdio) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "explain [flags] IMAGE",
		Short: "Say what a refused image would need to pass",
		Long: `explain decides about one image as plomb verify does, and of every policy that
does not admit it says who signed, how the closest signer differs from those who
are welcome, what evidence was found and where, and what would let it pass.

The flags and the exit status are those of plomb verify: 0 allowed, 1 denied,
2 undecided, 64 wrong usage.`,
		Example: `  plomb policy explain registry.example/shop/app:v1
  plomb policy explain --policy ./policy --output json oci-layout:./image`,
		Args: oneImage,
		RunE: func(cmd *cobra.Command, args []string) error { return explainImage(cmd, &f, args[0], stdio) },
	}
	f.register(cmd, stdio)
	return cmd
}

func explainImage(cmd *cobra.Command, f *verifyFlags, arg string, stdio Stdio) error {
	matcher, err := f.checkUsage(arg)
	if err != nil {
		return err
	}
	source, err := f.policy(cmd, stdio)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	set, loadErr := source()
	d := f.decide(ctx, arg, matcher, func() (*policy.Set, error) { return set, loadErr }, stdio)
	report := explainReport{Schema: explainSchema, Decision: d, Hints: explain.Explain(d, set)}
	if report.Hints == nil {
		report.Hints = []explain.Hint{}
	}
	if err := report.print(stdio, f.output); err != nil {
		return fmt.Errorf("%w: write the explanation: %w", errFailed, err)
	}
	return exitWith(d)
}

func (r explainReport) print(stdio Stdio, form string) error {
	if form == "json" {
		return printJSON(stdio.Out, r)
	}
	p := newPage(stdio)
	p.head(r.Decision.Verdict, r.Decision.Image.String())
	p.line(1, "reason", "%s", r.Decision.Reason)
	for _, h := range r.Hints {
		p.hint(h)
	}
	for _, w := range r.Decision.Warnings {
		p.line(1, "warning", "%s", w)
	}
	p.line(1, "requests", "%d", r.Decision.Requests)
	return p.err
}

func (p *page) hint(h explain.Hint) {
	switch {
	case h.Authority != "":
		p.line(1, "authority", "%s (%s) %s", h.Authority, h.Origin, h.Platform)
	case h.Policy != "":
		p.line(1, "policy", "%s (%s)", h.Policy, h.Origin)
	}
	p.line(2, "because", "%s", h.Text)
	if h.Where != "" {
		p.line(2, "found in", "%s", h.Where)
	}
	for _, d := range h.Differs {
		p.line(3, d.Part, "%s", d.Got)
		p.line(3, "wanted", "%s", d.Want)
	}
	if h.Pass != "" {
		p.line(2, "would pass", "if %s", h.Pass)
	}
}
