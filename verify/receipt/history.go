// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"strings"
	"time"

	"github.com/plombproject/plomb/verify/decision"
)

// HistorySchema identifies the JSON form of a History. Added members do not
// change it.
const HistorySchema = "https://plombproject.github.io/receipt-history/v1"

// maxEvents bounds a history: of a node that changes so often, the first ones
// say enough.
const maxEvents = 10_000

// longestGlass is how long a glass may be broken: package admission's limit.
const longestGlass = 12 * time.Hour

// A History is what a log tells of the enforcement on a node, for people who
// were not there.
type History struct {
	Schema string `json:"schema"`
	// Log is what was found out about the log itself: a history is worth no more
	// than the log that it is read from.
	Log Report `json:"log"`
	// Since and Until are the part of it that was asked for.
	Since *time.Time `json:"since,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	// Events are in the order of the log. More were left out.
	Events []Event `json:"events"`
	More   int     `json:"more,omitempty"`
	// Decisions are counted by the point where they were asked for.
	Decisions map[Point]*Tally `json:"decisions"`
	// Canaries are the decisions about the images of self-tests, by their name.
	Canaries Tally `json:"canaries"`
}

// An Event is a change of what a node admits, or a row of self-tests with one
// result.
type Event struct {
	Node string `json:"node"`
	// What is mode, snapshot, break-glass, uninstall, self-test or gap.
	What string    `json:"what"`
	Time time.Time `json:"time"`
	// Mode is the node's, as the receipt has it.
	Mode   string `json:"mode,omitempty"`
	Reason string `json:"reason"`
	// Effective, Times and Last are those of self-tests.
	Effective *bool      `json:"effective,omitempty"`
	Times     int        `json:"times,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
	// Before tells that it is older than Since, and the last of its kind.
	Before bool `json:"before,omitempty"`
}

// A Tally counts decisions by what became of them.
type Tally struct {
	Allowed int `json:"allowed"`
	Refused int `json:"refused"`
	// Against counts what was admitted although it was not allowed, by what
	// admitted it: mode, snapshot, break-glass.
	Against map[string]int `json:"against,omitempty"`
}

func (t *Tally) count(r *Receipt) {
	switch {
	case !r.Admitted:
		t.Refused++
	case r.Verdict == decision.Allow:
		t.Allowed++
	default:
		if t.Against == nil {
			t.Against = map[string]int{}
		}
		t.Against[r.By]++
	}
}

// Span says which part of a log a history is of. Zero times are its ends.
type Span struct {
	Since, Until time.Time
	// Gap is how long may pass without a self-test before that is an event; zero
	// is for ever.
	Gap time.Duration
}

// History checks the log in dir and tells what it says of enforcement. Lines that
// are no receipts are faults of the log, and passed over.
func (c Checker) History(dir string, span Span) (History, error) {
	report, err := c.Check(dir)
	if err != nil {
		return History{}, err
	}
	h := History{Schema: HistorySchema, Log: report, Events: []Event{}, Decisions: map[Point]*Tally{}}
	if !span.Since.IsZero() {
		h.Since = &span.Since
	}
	if !span.Until.IsZero() {
		h.Until = &span.Until
	}
	t := teller{history: &h, span: span}
	for e, err := range Entries(dir) {
		if err == nil {
			t.read(&e.Receipt)
		}
	}
	t.end()
	return h, nil
}

// teller reads the receipts of a log in their order.
type teller struct {
	history *History
	span    Span
	// standing is what held when the span began: the last change of mode, and of
	// the glass.
	standing, glass *Event
	// tested is the time of the last self-test, in a mode that is proved.
	tested time.Time
	// open tells that the last event is a row of self-tests that may go on.
	open bool
}

func (t *teller) read(r *Receipt) {
	if !t.span.Until.IsZero() && r.Time.After(t.span.Until) {
		return
	}
	e := Event{Node: r.Node, What: r.Name, Time: r.Time, Mode: r.Mode, Reason: r.Reason}
	if r.Time.Before(t.span.Since) {
		e.Before = true
		switch {
		case r.Point != Mode:
		case r.Name == "break-glass":
			t.glass = &e
		case r.Name != "snapshot":
			t.standing = &e
		}
		return
	}
	t.begin()
	switch r.Point {
	case Mode:
		t.add(e)
		t.open = false
	case SelfTest:
		t.selfTest(e, r.Verdict == decision.Allow)
	default:
		t.tally(r)
	}
}

// begin says what held when the span began.
func (t *teller) begin() {
	if t.standing != nil {
		t.add(*t.standing)
	}
	// No glass stays broken for longer.
	if t.glass != nil && t.span.Since.Sub(t.glass.Time) < longestGlass {
		t.add(*t.glass)
	}
	t.standing, t.glass = nil, nil
}

// end says so of a span without any receipt, and whether self-tests ended early.
func (t *teller) end() {
	t.begin()
	if !t.span.Until.IsZero() {
		t.gap(Event{Time: t.span.Until})
	}
}

func (t *teller) add(e Event) {
	if len(t.history.Events) >= maxEvents {
		t.history.More++
		return
	}
	t.history.Events = append(t.history.Events, e)
}

// selfTest adds one to the row of those with the same result, or begins a new row.
func (t *teller) selfTest(e Event, effective bool) {
	t.gap(e)
	t.tested = e.Time
	e.What, e.Effective, e.Times, e.Last = "self-test", &effective, 1, &e.Time
	if events := t.history.Events; t.open && len(events) > 0 {
		last := &events[len(events)-1]
		if last.What == e.What && *last.Effective == effective && last.Reason == e.Reason && last.Node == e.Node && last.Mode == e.Mode {
			last.Times++
			last.Last = &e.Time
			return
		}
	}
	t.add(e)
	t.open = true
}

// gap says that nothing was proved for too long before e.
func (t *teller) gap(e Event) {
	from := t.tested
	if from.IsZero() {
		from = t.span.Since
	}
	if t.span.Gap == 0 || from.IsZero() || e.Time.Sub(from) <= t.span.Gap {
		return
	}
	t.add(Event{Node: e.Node, What: "gap", Time: from, Last: &e.Time, Reason: "no self-test for " + e.Time.Sub(from).Round(time.Second).String()})
	t.open = false
}

func (t *teller) tally(r *Receipt) {
	if strings.HasPrefix(r.Name, "127.0.0.1:") && strings.Contains(r.Name, "/plomb-canary/") {
		t.history.Canaries.count(r)
		return
	}
	of := t.history.Decisions[r.Point]
	if of == nil {
		of = &Tally{}
		t.history.Decisions[r.Point] = of
	}
	of.count(r)
}
