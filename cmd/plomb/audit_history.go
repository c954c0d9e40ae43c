// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/receipt"
)

type historyFlags struct {
	verifyLogFlags
	since, until string
	gap          time.Duration
}

func auditHistoryCommand(stdio Stdio) *cobra.Command {
	var f historyFlags
	cmd := &cobra.Command{
		Use:        "history [flags] DIR",
		Short:      "Tell when a node enforced, and what it admitted all the same",
		SuggestFor: []string{"report", "show", "timeline", "log"},
		Long: `history checks a folder of receipts as verify-log does, and tells what they say
of enforcement: each change of the node's mode, snapshot and break-glass; the
self-tests by which the agent proves that an unsigned image is refused, and the
times in which there was none; and how many images were allowed, refused, and
admitted against their verdict.

A TIME is 2026-02-03, 2026-02-03T12:00:00Z, or how long ago: 24h.

Exit status: 0 the log is whole, 1 something speaks against it, 2 it could not be
checked, 64 wrong usage. What the node did changes nothing about it.`,
		Example: `  plomb audit history /var/lib/plomb/receipts
  plomb audit history --since 2026-02-03 --until 2026-02-04 --key receipts.pub ./copy`,
		Args: aLog,
		RunE: func(_ *cobra.Command, args []string) error { return f.run(args[0], stdio) },
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.since, "since", "", "leave out what was before this `TIME`")
	cmd.Flags().StringVar(&f.until, "until", "", "leave out what was after this `TIME`")
	cmd.Flags().DurationVar(&f.gap, "gap", 30*time.Minute, "tell of every `TIME` as long as this without a self-test; 0: of none")
	return cmd
}

func (f *historyFlags) run(dir string, stdio Stdio) error {
	checker, err := f.checker()
	if err != nil {
		return err
	}
	span := receipt.Span{Gap: f.gap}
	now := time.Now()
	if span.Since, err = timeOf("--since", f.since, now); err != nil {
		return err
	}
	if span.Until, err = timeOf("--until", f.until, now); err != nil {
		return err
	}
	if f.gap < 0 || !span.Until.IsZero() && !span.Since.Before(span.Until) {
		return errors.New("--since has to be before --until, and --gap not below 0")
	}
	h, err := checker.History(dir, span)
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if err := f.print(h, stdio); err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	if !h.Log.Sound() {
		return errExit(exitDeny)
	}
	return nil
}

// timeOf reads a time, a day in UTC, or how long before now; zero for none.
func timeOf(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return now.Add(-ago).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s is %q, want a time such as 2026-02-03, 2026-02-03T12:00:00Z or 24h", flag, text)
}

func (f *historyFlags) print(h receipt.History, stdio Stdio) error {
	if f.form == "json" {
		return printJSON(stdio.Out, h)
	}
	p := newPage(stdio)
	p.log(h.Log, len(f.keys) > 0)
	p.line(0, "log", "%s", soundness(h.Log))
	node := ""
	for _, e := range h.Events {
		if e.Node != node && e.Node != "" {
			node = e.Node
			p.line(0, "node", "%s", node)
		}
		p.event(e)
	}
	if h.More > 0 {
		p.line(0, "", "and %d more", h.More)
	}
	for _, point := range slices.Sorted(maps.Keys(h.Decisions)) {
		text := tallyText(*h.Decisions[point])
		if point == receipt.Running || point == receipt.Check {
			text = strings.Replace(text, "refused", "would be refused", 1)
		}
		p.line(0, string(point), "%s", text)
	}
	p.line(0, "canaries", "%s", tallyText(h.Canaries))
	return p.err
}

func (p *page) event(e receipt.Event) {
	text := e.Reason
	switch {
	case e.Before:
		text += " (before, the last one until then)"
	case e.What == "self-test" && e.Times > 1:
		text = fmt.Sprintf("%s, %d times until %s", text, e.Times, stamp(*e.Last))
	case e.What == "gap":
		text += ", until " + stamp(*e.Last)
	}
	p.line(0, stamp(e.Time), "%-11s %s", e.What, text)
}

// tallyText is what became of decisions.
func tallyText(t receipt.Tally) string {
	text := fmt.Sprintf("%d allowed, %d refused", t.Allowed, t.Refused)
	for _, by := range slices.Sorted(maps.Keys(t.Against)) {
		text += fmt.Sprintf(", %d admitted against the verdict by %s", t.Against[by], by)
	}
	return text
}
