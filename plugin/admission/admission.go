// SPDX-License-Identifier: Apache-2.0

// Package admission turns a decision about an image into what containerd is
// told, by the mode of the node, its snapshot and an open break-glass.
//
// It never makes a decision better: what was denied stays denied in the
// receipt, with the reason why it was admitted all the same. What it cannot
// read counts as if it were not there, which refuses.
package admission

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
)

// By is what admitted or refused an image.
type By string

const (
	// ByDecision: the decision itself, which the node enforces.
	ByDecision By = "decision"
	// ByMode: the node is in audit or warn mode.
	ByMode By = "mode"
	// BySnapshot: the image was on the node when its snapshot was taken.
	BySnapshot By = "snapshot"
	// ByBreakGlass: an administrator broke the glass.
	ByBreakGlass By = "break-glass"
)

// An Outcome is what containerd is told about one image.
type Outcome struct {
	// Decision is what was decided. It is not changed by what admitted it.
	Decision *decision.Decision
	// Admitted tells whether the image may be pulled or started.
	Admitted bool
	// By is what says so.
	By By
	// Mode is the node's.
	Mode Mode
	// Note is one line on why a refused image is admitted: the reason of a
	// break-glass, when a snapshot was taken. Empty otherwise.
	Note string
	// Faults are files that should have counted and could not be read.
	Faults []error
}

// codeDenyList is the reason code of an image that somebody put on a deny list.
const codeDenyList = "denied"

// Rules are the files that an admission is made by. They are read at every
// call: they are small, and a mode that is changed has to hold at once.
type Rules struct {
	// Mode, Snapshot and BreakGlass are paths.
	Mode, Snapshot, BreakGlass string
}

// RulesOf are those of a node.
func RulesOf(s settings.Settings) Rules {
	return Rules{Mode: s.Mode(), Snapshot: s.Snapshot(), BreakGlass: s.BreakGlass()}
}

// Admit says what containerd is told. digests are those that name the image
// besides the one decided on: all manifests that the node could run, and their
// configs.
func (r Rules) Admit(d *decision.Decision, now time.Time, digests ...digest.Digest) Outcome {
	out := Outcome{Decision: d, By: ByDecision, Admitted: d.Verdict == decision.Allow}
	state, err := ReadMode(r.Mode)
	out.note(err)
	out.Mode = state.Mode
	if out.Admitted {
		return out
	}
	if state.Mode != Enforce {
		out.Admitted, out.By = true, ByMode
		return out
	}
	glass, err := ReadBreakGlass(r.BreakGlass, now)
	out.note(err)
	if glass != nil {
		out.Admitted, out.By, out.Note = true, ByBreakGlass, glass.String()
		return out
	}
	if d.Code == codeDenyList {
		return out // somebody named this very image
	}
	snapshot, err := ReadSnapshot(r.Snapshot)
	out.note(err)
	if name := snapshot.Covers(d.Image.Digest, digests...); name != "" {
		out.Admitted, out.By = true, BySnapshot
		out.Note = "on the node since before " + snapshot.TakenAt.UTC().Format(time.RFC3339) + " as " + name
	}
	return out
}

// Enforced tells that the node refuses what it does not allow.
func (o Outcome) Enforced() bool { return o.Mode == Enforce && o.By != ByBreakGlass }

// Line says the outcome on one line.
func (o Outcome) Line() string {
	line := o.Decision.Line()
	switch o.By {
	case ByMode:
		return string(o.Mode) + " mode, admitted: " + line
	case BySnapshot:
		return "admitted by the node's snapshot (" + decision.OneLine(o.Note) + "): " + line
	case ByBreakGlass:
		return "admitted, the glass is broken (" + decision.OneLine(o.Note) + "): " + line
	case ByDecision:
	}
	return line
}

func (o *Outcome) note(err error) {
	if err != nil {
		o.Faults = append(o.Faults, err)
	}
}
