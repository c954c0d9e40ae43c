// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policytest"
)

type policyTestFlags struct {
	form    string
	pattern string
	verbose bool
}

// testSchema identifies the form of testReport.
const testSchema = "https://plombproject.github.io/policy-test/v1"

// A testReport is what `plomb policy test --output json` prints.
type testReport struct {
	Schema string              `json:"schema"`
	Cases  []policytest.Result `json:"cases"`
	OK     int                 `json:"ok"`
	Failed int                 `json:"failed"`
}

func policyTestCommand(stdio Stdio) *cobra.Command {
	var f policyTestFlags
	cmd := &cobra.Command{
		Use:   "test [flags] DIR...",
		Short: "Run policies on evidence that is written down",
		Long: `test finds every folder below DIR that has policies and a folder of cases, and
runs the policies on each case: an image, who is supposed to have signed it and
what they are supposed to have said, and the decision that is expected. Nothing
is fetched and no signature is needed. docs/policy-test.md has the format:

  DIR/policy.yaml                 and every other policy*.yaml, .yml, .json
  DIR/cases/NAME/input.yaml
  DIR/cases/NAME/expected.yaml

Exit status: 0 every case is as expected, 1 one is not, 64 wrong usage.`,
		Example: `  plomb policy test ./policies
  plomb policy test --run leak ./policies`,
		Args: func(_ *cobra.Command, args []string) error { return paths(args) },
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), args, stdio) },
	}
	cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	registerForm(cmd, &f.form)
	cmd.Flags().StringVar(&f.pattern, "run", "", "only cases whose path matches `REGEXP`")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print the reason of every decision")
	return cmd
}

func (f *policyTestFlags) run(ctx context.Context, args []string, stdio Stdio) error {
	if err := checkForm(f.form); err != nil {
		return err
	}
	wanted, err := regexp.Compile(f.pattern)
	if err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	var suites []policytest.Suite
	for _, dir := range args {
		found, err := policytest.Find(dir)
		if err != nil {
			return err
		}
		suites = append(suites, found...)
	}
	begin := time.Now()
	report := testReport{Schema: testSchema, Cases: []policytest.Result{}}
	for _, s := range suites {
		for _, r := range s.Run(ctx, wanted.MatchString) {
			report.add(r)
			if f.form == "text" {
				f.print(r, stdio)
			}
		}
	}
	if f.form == "json" {
		err = printJSON(stdio.Out, report)
	} else {
		_, err = fmt.Fprintf(stdio.Out, "%d ok, %d failed in %s\n", report.OK, report.Failed, time.Since(begin).Round(time.Millisecond))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if len(report.Cases) == 0 {
		return fmt.Errorf("no case matches --run %q", f.pattern)
	}
	if report.Failed > 0 {
		return errExit(exitDeny)
	}
	return nil
}

func (r *testReport) add(one policytest.Result) {
	r.Cases = append(r.Cases, one)
	if one.OK {
		r.OK++
	} else {
		r.Failed++
	}
}

func (f *policyTestFlags) print(r policytest.Result, stdio Stdio) {
	word := "ok  "
	if !r.OK {
		word = "FAIL"
	}
	fmt.Fprintf(stdio.Out, "%s  %s\n", word, decision.OneLine(r.Case))
	for _, failure := range r.Failures {
		fmt.Fprintf(stdio.Out, "      %s\n", failure)
	}
	if f.verbose && r.Decision != nil {
		fmt.Fprintf(stdio.Out, "      %s\n", r.Decision.Line())
	}
}
