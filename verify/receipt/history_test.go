// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

// day writes what a node does in a day: it is installed, enforces, is tested
// every ten minutes, and its glass is broken once.
func day(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "receipts")
	l := open(t, dir, Options{})
	put := func(after time.Duration, r Receipt) {
		r.Time, r.DecidedAt, r.Node = noon.Add(after), noon.Add(after), "node-1"
		_, err := l.Append(t.Context(), &r)
		require.NoError(t, err)
	}
	change := func(after time.Duration, what, mode, reason string) {
		put(after, Receipt{Point: Mode, Name: what, Verdict: decision.Allow, Admitted: true, By: "administrator", Mode: mode, Reason: reason})
	}
	test := func(after time.Duration, v decision.Verdict, reason string) {
		put(after, Receipt{Point: SelfTest, Name: "self-test", Verdict: v, By: "self-test", Mode: "enforce", Reason: reason})
	}
	change(0, "mode", "enforce", "enforce, was audit")
	test(time.Minute, decision.Allow, "enforcement is effective")
	test(11*time.Minute, decision.Allow, "enforcement is effective")
	put(12*time.Minute, Receipt{Point: Pull, Name: "registry.example/a:v1", Verdict: decision.Allow, Admitted: true, By: "decision", Mode: "enforce"})
	put(12*time.Minute, Receipt{Point: Pull, Name: "registry.example/b:v1", Verdict: decision.Deny, By: "decision", Mode: "enforce"})
	put(12*time.Minute, Receipt{Point: Pull, Name: "127.0.0.1:4711/plomb-canary/x/y:canary", Verdict: decision.Deny, By: "decision", Mode: "enforce"})
	test(21*time.Minute, decision.Allow, "enforcement is effective")
	change(25*time.Minute, "break-glass", "enforce", "the glass is broken: INC-1")
	put(26*time.Minute, Receipt{Point: Create, Name: "registry.example/b:v1", Verdict: decision.Deny, Admitted: true, By: "break-glass", Mode: "enforce"})
	test(31*time.Minute, decision.Deny, "enforcement is not effective: the glass is broken")
	test(2*time.Hour, decision.Allow, "enforcement is effective")
	require.NoError(t, l.Close())
	return dir
}

func told(h History) []string {
	var list []string
	for _, e := range h.Events {
		list = append(list, strings.TrimSpace(e.Time.Format("15:04")+" "+e.What+" "+e.Reason))
	}
	return list
}

func TestHistory(t *testing.T) {
	h, err := Checker{}.History(day(t), Span{Gap: 30 * time.Minute})
	require.NoError(t, err)
	require.True(t, h.Log.Sound())
	require.Equal(t, []string{
		"12:00 mode enforce, was audit",
		"12:01 self-test enforcement is effective",
		"12:25 break-glass the glass is broken: INC-1",
		"12:31 self-test enforcement is not effective: the glass is broken",
		"12:31 gap no self-test for 1h29m0s",
		"14:00 self-test enforcement is effective",
	}, told(h))
	row := h.Events[1]
	require.True(t, *row.Effective)
	require.Equal(t, 3, row.Times)
	require.Equal(t, noon.Add(21*time.Minute), *row.Last)
	require.Equal(t, &Tally{Allowed: 1, Refused: 1}, h.Decisions[Pull])
	require.Equal(t, &Tally{Against: map[string]int{"break-glass": 1}}, h.Decisions[Create])
	require.Equal(t, Tally{Refused: 1}, h.Canaries, "told apart, and not hidden")
}

// The part of a log that was asked for begins with what held then, and silence
// in it is told, at its beginning and its end too.
func TestHistoryOfASpan(t *testing.T) {
	dir := day(t)
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	h, err := Checker{}.History(dir, Span{Since: at(20 * time.Minute), Until: at(25 * time.Minute), Gap: 30 * time.Minute})
	require.NoError(t, err)
	require.Equal(t, []string{
		"12:00 mode enforce, was audit", "12:21 self-test enforcement is effective", "12:25 break-glass the glass is broken: INC-1",
	}, told(h))
	require.True(t, h.Events[0].Before)
	require.Empty(t, h.Decisions)

	h, err = Checker{}.History(dir, Span{Since: at(3 * time.Hour), Until: at(5 * time.Hour), Gap: time.Hour})
	require.NoError(t, err)
	require.Equal(t, []string{
		"12:00 mode enforce, was audit", "12:25 break-glass the glass is broken: INC-1", "15:00 gap no self-test for 2h0m0s",
	}, told(h))

	h, err = Checker{}.History(dir, Span{Since: at(13 * time.Hour), Until: at(14 * time.Hour)})
	require.NoError(t, err)
	require.Equal(t, []string{"12:00 mode enforce, was audit"}, told(h), "no glass is broken for so long")

	l := open(t, dir, Options{})
	_, err = l.Append(t.Context(), &Receipt{Time: at(13 * time.Hour), DecidedAt: noon, Node: "node-1", Point: Mode, Name: "uninstall", Verdict: decision.Allow, Admitted: true, By: "administrator", Reason: "plomb is taken off the node"})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	h, err = Checker{}.History(dir, Span{Since: at(14 * time.Hour)})
	require.NoError(t, err)
	require.Equal(t, []string{"01:00 uninstall plomb is taken off the node"}, told(h))

	h, err = Checker{}.History(dir, Span{})
	require.NoError(t, err)
	require.NotContains(t, strings.Join(told(h), "\n"), "gap")
}

// A log that somebody edited tells its history, and that it is not whole.
func TestHistoryOfATamperedLog(t *testing.T) {
	dir := day(t)
	path := filepath.Join(dir, "receipts-000001.jsonl")
	replace(t, path, []byte("the glass is broken: INC-1"), []byte("the node was cleaned today"))
	h, err := Checker{}.History(dir, Span{})
	require.NoError(t, err)
	require.False(t, h.Log.Sound())
	require.NoError(t, os.RemoveAll(dir))
	_, err = Checker{}.History(dir, Span{})
	require.ErrorIs(t, err, ErrCheck)
}
