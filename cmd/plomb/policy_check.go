// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/explain"
	"github.com/plombproject/plomb/verify/policy"
)

type policyCheckFlags struct {
	form   string
	strict bool
	quiet  bool
}

// checkSchema identifies the form of checkReport.
const checkSchema = "https://plombproject.github.io/policy-check/v1"

// A checkReport is what `plomb policy check --output json` prints.
type checkReport struct {
	Schema string `json:"schema"`
	// Faults are why the policies cannot be used, a line each with file:line.
	Faults []string `json:"faults"`
	// Risks are what is easily meant otherwise.
	Risks []explain.Risk `json:"risks"`
	// Policies is how many there are.
	Policies int `json:"policies"`
}

func policyCheckCommand(stdio Stdio) *cobra.Command {
	var f policyCheckFlags
	cmd := &cobra.Command{
		Use:        "check [flags] PATH...",
		Short:      "Find faults and risks in policies",
		SuggestFor: []string{"lint", "validate"},
		Long: `check reads policy files and folders as plomb verify does, and reports every
fault with file and line. All PATHs together are one set of policies.

Of sound policies it reports what is easily meant otherwise: as a warning where
a policy probably admits more or less than was meant, as a note where it does
what it says.

Exit status: 0 sound, 1 a fault, or with --strict a warning, 64 wrong usage.`,
		Example: `  plomb policy check /etc/plomb/policy
  plomb policy check --strict --output json policy.yaml`,
		Args: func(_ *cobra.Command, args []string) error { return paths(args) },
		RunE: func(_ *cobra.Command, args []string) error { return f.run(args, stdio) },
	}
	registerForm(cmd, &f.form)
	cmd.Flags().BoolVar(&f.strict, "strict", false, "exit with 1 for a warning as well")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "do not print notes")
	return cmd
}

func (f *policyCheckFlags) run(args []string, stdio Stdio) error {
	if err := checkForm(f.form); err != nil {
		return err
	}
	report := checkReport{Schema: checkSchema, Faults: []string{}, Risks: []explain.Risk{}}
	set, err := loadAll(args)
	if err != nil {
		for _, fault := range faults(err) {
			report.Faults = append(report.Faults, strings.TrimPrefix(fault, policy.ErrInvalid.Error()+": "))
		}
	} else {
		report.Policies = len(set.Policies())
		report.Faults = append(report.Faults, unusable(set)...)
		report.Risks = append(report.Risks, f.risks(set)...)
	}
	if err := f.print(report, stdio); err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if len(report.Faults) > 0 || f.strict && report.warnings() > 0 {
		return errExit(exitDeny)
	}
	return nil
}

func (f *policyCheckFlags) risks(set *policy.Set) []explain.Risk {
	var risks []explain.Risk
	if len(set.Policies()) == 0 && len(set.TrustRoots()) == 0 {
		risks = append(risks, explain.Risk{
			Level: explain.Warning, Code: "no-policy", Origin: set.Where(),
			Text: "there is no policy, so every image is refused: write an ImagePolicy or a ClusterImagePolicy",
		})
	}
	for _, r := range explain.Risks(set, time.Now()) {
		if !f.quiet || r.Level != explain.Note {
			risks = append(risks, r)
		}
	}
	return risks
}

// unusable is what a set refers to and cannot use.
func unusable(set *policy.Set) []string {
	var out []string
	for _, err := range verify.CheckTrust(set, time.Now()) {
		out = append(out, decision.OneLine(err.Error()))
	}
	for _, name := range set.MissingPolicies() {
		out = append(out, fmt.Sprintf("materials.baseImages.policy names %q, and there is no such policy in %s", name, set.Where()))
	}
	return out
}

func (r checkReport) warnings() int {
	n := 0
	for _, risk := range r.Risks {
		if risk.Level == explain.Warning {
			n++
		}
	}
	return n
}

func (f *policyCheckFlags) print(r checkReport, stdio Stdio) error {
	if f.form == "json" {
		return printJSON(stdio.Out, r)
	}
	var text strings.Builder
	for _, fault := range r.Faults {
		fmt.Fprintf(&text, "fault: %s\n", fault)
	}
	for _, risk := range r.Risks {
		fmt.Fprintf(&text, "%s: %s: %s [%s]\n", risk.Level, risk.Origin, decision.OneLine(risk.Text), risk.Code)
	}
	if len(r.Faults) > 0 {
		fmt.Fprintf(&text, "%d %s: every image would be refused\n", len(r.Faults), plural("fault", len(r.Faults)))
	} else {
		fmt.Fprintf(&text, "sound: %d %s, %d %s\n", r.Policies, plural("policy", r.Policies), r.warnings(), plural("warning", r.warnings()))
	}
	_, err := fmt.Fprint(stdio.Out, text.String())
	return err
}

// faults takes an error apart into what it joins.
func faults(err error) []string {
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return []string{decision.OneLine(err.Error())}
	}
	var out []string
	for line := range strings.Lines(err.Error()) {
		out = append(out, decision.OneLine(line))
	}
	return out
}

func plural(word string, n int) string {
	switch {
	case n == 1:
		return word
	case strings.HasSuffix(word, "y"):
		return strings.TrimSuffix(word, "y") + "ies"
	}
	return word + "s"
}
