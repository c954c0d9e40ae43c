// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/receipt"
)

func auditCommand(stdio Stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit COMMAND",
		Short: "Prove what was decided on a node",
		Long: `audit works on receipts: the log that a node keeps of every decision, see
docs/receipts.md.`,
		Example: `  plomb audit verify-log /var/lib/plomb/receipts
  plomb audit history --since 24h /var/lib/plomb/receipts`,
		Args: aCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(auditVerifyLogCommand(stdio), auditHistoryCommand(stdio))
	return cmd
}

type verifyLogFlags struct {
	form        string
	keys        []string
	checkpoints string
}

func auditVerifyLogCommand(stdio Stdio) *cobra.Command {
	var f verifyLogFlags
	cmd := &cobra.Command{
		Use:        "verify-log [flags] DIR",
		Short:      "Check that no receipt was changed, removed or added",
		SuggestFor: []string{"check-log", "verify"},
		Long: `verify-log reads a folder of receipts and checks that each line names the hash of
the one before, that no file is missing, and that the log agrees with the
checkpoints in the folder. What is wrong is named with file and line.

The chain shows what was changed in its middle. That its end was cut off shows
only by checkpoints; give those that were kept elsewhere with --checkpoints.

Exit status: 0 the log is whole, 1 something speaks against it, 2 it could not be
checked, 64 wrong usage.`,
		Example: `  plomb audit verify-log /var/lib/plomb/receipts
  plomb audit verify-log --key receipts.pub --checkpoints kept.jsonl --output json ./copy`,
		Args: aLog,
		RunE: func(_ *cobra.Command, args []string) error { return f.run(args[0], stdio) },
	}
	f.register(cmd)
	return cmd
}

// aLog wants one folder.
func aLog(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("give one DIR with receipts, not %d", len(args))
	}
	return nil
}

func (f *verifyLogFlags) register(cmd *cobra.Command) {
	registerForm(cmd, &f.form)
	cmd.Flags().StringArrayVar(&f.keys, "key", nil, "`FILE` with a public key in PEM that checkpoints must be signed with; may be repeated")
	cmd.Flags().StringVar(&f.checkpoints, "checkpoints", "", "`FILE` of checkpoints that was kept elsewhere")
	_ = cmd.MarkFlagFilename("checkpoints", "jsonl")
}

// checker is what the flags ask for.
func (f *verifyLogFlags) checker() (receipt.Checker, error) {
	if err := checkForm(f.form); err != nil {
		return receipt.Checker{}, err
	}
	checker := receipt.Checker{Against: f.checkpoints}
	for _, path := range f.keys {
		key, err := receipt.ReadPublicKey(path)
		if err != nil {
			return checker, fmt.Errorf("--key: %w", err)
		}
		checker.Keys = append(checker.Keys, key)
	}
	return checker, nil
}

func (f *verifyLogFlags) run(dir string, stdio Stdio) error {
	checker, err := f.checker()
	if err != nil {
		return err
	}
	report, err := checker.Check(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if err := f.print(report, stdio); err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if !report.Sound() {
		return errExit(exitDeny)
	}
	return nil
}

func (f *verifyLogFlags) print(r receipt.Report, stdio Stdio) error {
	if f.form == "json" {
		return printJSON(stdio.Out, r)
	}
	p := newPage(stdio)
	p.log(r, len(f.keys) > 0)
	_, err := fmt.Fprintln(stdio.Out, soundness(r))
	return errors.Join(p.err, err)
}

// log is what was found out about a log.
func (p *page) log(r receipt.Report, keys bool) {
	for _, fault := range r.Faults {
		p.line(0, "fault", "%s: %s [%s]", fault.Where(), fault.Reason, fault.Code)
	}
	if r.More > 0 {
		p.line(0, "fault", "and %d more", r.More)
	}
	for _, note := range r.Notes {
		p.line(0, "note", "%s: %s [%s]", note.Where(), note.Reason, note.Code)
	}
	p.line(0, "receipts", "%d in %d %s, %d bytes", r.Receipts, r.Files, plural("file", r.Files), r.Bytes)
	if r.First != nil {
		p.line(0, "from", "%s to %s", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
		p.line(0, "head", "%s", r.Head)
	}
	p.line(0, "checkpoints", "%s", sealed(r, keys))
}

// soundness is the verdict on a log.
func soundness(r receipt.Report) string {
	if r.Sound() {
		return "whole: every receipt follows the one before"
	}
	return fmt.Sprintf("not whole: %d %s", len(r.Faults)+r.More, plural("fault", len(r.Faults)+r.More))
}

// sealed says how much of a log checkpoints vouch for.
func sealed(r receipt.Report, keys bool) string {
	switch {
	case r.Checkpoints == 0:
		return "none: a cut at the end would not show"
	case !keys:
		return fmt.Sprintf("%d agree, signatures not verified (give --key); %d %s came after the last", r.Checkpoints, r.After, plural("receipt", r.After))
	}
	return fmt.Sprintf("%d agree and are signed; %d %s came after the last", r.Signed, r.After, plural("receipt", r.After))
}
