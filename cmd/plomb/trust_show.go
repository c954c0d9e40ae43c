// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/trust"
)

func trustShowCommand(common *trustFlags, stdio Stdio) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "show [flags] [NAME]",
		Short: "Show trusted roots: where they are from, how old, whom they trust and until when",
		Long: `show tells of one instance, or of all: where its trusted root comes from, when it
was last renewed and how long it may be used, and the authorities and logs in it.
What should worry an administrator begins with "warning".

Exit status: 0 each can be used, 2 one cannot, or there is none, 64 wrong usage.`,
		Example: `  plomb trust show
  plomb trust show --output json public-good`,
		Args:              oneInstance(false),
		ValidArgsFunction: common.complete,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			names, err := common.someNames(args)
			if err != nil {
				return err
			}
			report := common.store().Report(names, time.Now())
			if err := printTrust(stdio, output, report); err != nil {
				return fmt.Errorf("%w: write the report: %w", errFailed, err)
			}
			if slices.ContainsFunc(report.Instances, func(i trust.InstanceReport) bool { return !i.Usable }) {
				return errExit(exitUndecided)
			}
			return nil
		},
	}
	registerTrustOutput(cmd, &output)
	return cmd
}

func trustListCommand(common *trustFlags, stdio Stdio) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List the trust instances",
		Long: `list has a line for each trust instance.

Exit status: 0 listed, 2 the store could not be read, 64 wrong usage.`,
		Example: `  plomb trust list`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			names, err := common.names(nil)
			if err != nil {
				return err
			}
			report := common.store().Report(names, time.Now())
			if len(names) == 0 {
				note(stdio, "no instance in %s; run plomb trust update public-good, or plomb trust update NAME --from FILE", common.dir)
			}
			if output == "json" {
				err = printJSON(stdio.Out, report)
			} else {
				err = printTable(stdio, trustRows(report))
			}
			if err != nil {
				return fmt.Errorf("%w: write the list: %w", errFailed, err)
			}
			return nil
		},
	}
	registerTrustOutput(cmd, &output)
	return cmd
}

func trustExportCommand(common *trustFlags, stdio Stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "export NAME",
		Short: "Write the trusted_root.json of an instance",
		Long: `export writes the trusted root of an instance to standard output, byte by byte as
it was signed, for a machine without a network: plomb trust update --from installs
it there. A root that is too old is not exported, since nobody could see its age
any more.

Exit status: 0 written, 2 it could not be read or is too old, 64 wrong usage.`,
		Example:           `  plomb trust export public-good > trusted_root.json`,
		Args:              oneInstance(true),
		ValidArgsFunction: common.complete,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := common.store().Load(args[0], time.Now())
			if err != nil {
				return fmt.Errorf("%w: %w", errFailed, err)
			}
			for _, w := range l.Warnings {
				note(stdio, "%s", w)
			}
			if _, err := stdio.Out.Write(l.Data); err != nil {
				return fmt.Errorf("%w: write the trusted root: %w", errFailed, err)
			}
			return nil
		},
	}
}

func registerTrustOutput(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "`FORM` of the output: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func printTrust(stdio Stdio, form string, report *trust.Report) error {
	if form == "json" {
		return printJSON(stdio.Out, report)
	}
	p := newPage(stdio)
	for _, i := range report.Instances {
		p.instance(i, report.Time)
	}
	return p.err
}

func (p *page) instance(i trust.InstanceReport, now time.Time) {
	p.line(0, "instance", "%s", i.Name)
	p.line(1, "status", "%s", trustStatus(i, now))
	if i.Reason != "" {
		p.line(1, "reason", "%s", i.Reason)
	}
	for _, w := range i.Warnings {
		p.line(1, "warning", "%s", w)
	}
	p.line(1, "source", "%s", trustSource(i))
	if s := i.State; s != nil {
		p.line(1, "updated", "%s", when(s.Updated, now))
		if !s.Expires.IsZero() {
			p.line(1, "expires", "%s", when(s.Expires, now))
			p.line(1, "usable until", "%s", when(i.UsableUntil, now))
		}
		for _, role := range slices.Sorted(maps.Keys(s.Metadata)) {
			p.line(1, "metadata", "%s version %d, expires %s", role, s.Metadata[role].Version, when(s.Metadata[role].Expires, now))
		}
	}
	c := i.Contents
	if c == nil {
		return
	}
	p.line(1, "digest", "%s", c.Digest)
	for _, a := range c.CertificateAuthorities {
		p.authority("certificates", a, now)
	}
	for _, a := range c.TimestampAuthorities {
		p.authority("timestamps", a, now)
	}
	for _, l := range c.TLogs {
		p.line(1, "log", "%s %s, %s", l.URL, span(l.Validity, now), l.Key)
	}
	for _, l := range c.CTLogs {
		p.line(1, "CT log", "%s %s, %s", l.URL, span(l.Validity, now), l.Key)
	}
}

func (p *page) authority(label string, a trust.Authority, now time.Time) {
	p.line(1, label, "%s %s (%s)", a.URI, span(a.Validity, now), strings.Join(a.Subjects, " < "))
}

func trustRows(report *trust.Report) [][]string {
	rows := [][]string{{"NAME", "STATUS", "UPDATED", "USABLE UNTIL", "SOURCE"}}
	for _, i := range report.Instances {
		row := []string{i.Name, trustStatus(i, report.Time), "", "", trustSource(i)}
		if i.State != nil {
			row[2] = day(i.State.Updated)
		}
		if !i.UsableUntil.IsZero() {
			row[3] = day(i.UsableUntil)
		}
		rows = append(rows, row)
	}
	return rows
}

// trustStatus is one word, or few.
func trustStatus(i trust.InstanceReport, now time.Time) string {
	switch {
	case !i.Usable && !i.UsableUntil.IsZero() && now.After(i.UsableUntil):
		return "too old"
	case !i.Usable:
		return "unusable"
	case i.State != nil && !i.State.Expires.IsZero() && now.After(i.State.Expires):
		return "in grace"
	case len(i.Warnings) > 0:
		return "warning"
	}
	return "good"
}

func trustSource(i trust.InstanceReport) string {
	switch {
	case i.State == nil && i.Contents == nil:
		return "unknown"
	case i.State == nil:
		return "file " + i.Name + ".json"
	case i.State.Source.Mirror == "":
		return "file " + i.State.Source.File
	}
	return i.State.Source.Mirror
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// when is a time, and how far from now it is.
func when(t, now time.Time) string {
	text := t.UTC().Format(time.RFC3339)
	if t.After(now) {
		return text + " (in " + roughly(t.Sub(now)) + ")"
	}
	return text + " (" + roughly(now.Sub(t)) + " ago)"
}

func roughly(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// span says from when to when, and if that is not now.
func span(v trust.Validity, now time.Time) string {
	text := "from ever"
	if !v.From.IsZero() {
		text = "from " + v.From.UTC().Format(time.DateOnly)
	}
	switch {
	case now.Before(v.From):
		text += ", not yet in force"
	case !v.Until.IsZero() && now.After(v.Until):
		return text + " until " + v.Until.UTC().Format(time.DateOnly) + ", no longer in force"
	}
	if !v.Until.IsZero() {
		text += " until " + v.Until.UTC().Format(time.DateOnly)
	}
	return text
}
