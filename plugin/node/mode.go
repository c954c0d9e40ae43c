// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

// An Appender keeps receipts. receipt.Log is one.
type Appender interface {
	Append(ctx context.Context, receipts ...*receipt.Receipt) (digest.Digest, error)
}

// A modeSwitch is from one mode to another.
type modeSwitch struct {
	// from is the node's mode now; empty: nobody set one.
	from, to  admission.Mode
	probation time.Duration
	force     bool
	// set tells that an administrator named the mode.
	set bool
}

func (n *Node) planSwitch(o InstallOptions) (*modeSwitch, error) {
	now, err := onDisk(n.Settings.Mode())
	if err != nil {
		return nil, err
	}
	s := &modeSwitch{to: o.Mode, probation: o.Probation, force: o.Force, set: o.Mode != ""}
	if now != nil {
		// A broken file counts as enforce, and is replaced by a whole one.
		state, _ := admission.ReadMode(n.Settings.Mode())
		s.from = state.Mode
	}
	if s.to == "" {
		if s.to = s.from; s.to == "" {
			s.to = admission.Audit
		}
	}
	return s, s.to.Check()
}

// milder tells that the node admits more after it than before.
func (s modeSwitch) milder() bool {
	return slices.Index(admission.Modes, s.to) < slices.Index(admission.Modes, s.from)
}

// requires tells that containerd has to require the agent. A node that only
// looks on does not stop creating containers because the agent is gone.
func (s modeSwitch) requires() bool { return s.to == admission.Enforce }

// lower sets a mode that admits more than the present one. A node that has none
// yet is in audit mode until it may enforce.
func (r *run) lower(ctx context.Context, s *modeSwitch) error {
	switch {
	case s.from == "":
		first := s.to
		if first == admission.Enforce {
			first = admission.Audit
		}
		if err := r.setMode(ctx, first, 0, "plomb node install"); err != nil {
			return err
		}
		s.from = first
	case s.milder():
		if err := r.setMode(ctx, s.to, 0, "an administrator"); err != nil {
			return err
		}
		s.from = s.to
	}
	return nil
}

// raise sets a mode that admits less than the present one. It comes last.
func (r *run) raise(ctx context.Context, s *modeSwitch) error {
	if s.from == s.to {
		return nil
	}
	probation := s.probation
	if s.to != admission.Enforce {
		probation = 0
	}
	reason := "an administrator"
	if s.force && s.to == admission.Enforce {
		reason = "an administrator, by force"
	}
	return r.setMode(ctx, s.to, probation, reason)
}

// mayEnforce refuses a switch to enforce that would deny what runs. s is then a
// switch to nothing, so that the rest can be installed.
func (r *run) mayEnforce(ctx context.Context, s *modeSwitch) error {
	if s.to != admission.Enforce || s.from == admission.Enforce || s.force {
		return nil
	}
	if r.dry {
		if _, err := r.Agent.Status(ctx); err != nil {
			r.note("mode", "whether what runs would be denied is asked of the agent, which does not run yet")
			return nil
		}
	}
	denied, err := r.Denied(ctx)
	if err != nil {
		return err
	}
	if len(denied) == 0 {
		return nil
	}
	s.to = s.from
	return &DeniedError{Mode: s.from, Containers: denied}
}

// setMode writes mode.json, with a receipt.
func (r *run) setMode(ctx context.Context, mode admission.Mode, probation time.Duration, reason string) error {
	state := admission.State{Mode: mode, Since: r.Now().UTC(), Reason: "set by " + reason}
	if probation > 0 {
		until := state.Since.Add(probation)
		state.Probation = &until
	}
	old, _ := admission.ReadMode(r.Settings.Mode())
	if !r.dry {
		text := fmt.Sprintf("%s, was %s: %s", mode, old.Mode, state.Reason)
		if err := r.receipt(ctx, "mode", text, mode); err != nil {
			// A node that cannot write receipts admits nothing once it enforces.
			if mode == admission.Enforce {
				return err
			}
			r.note("mode", "%v", err)
		}
	}
	data, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	_, err = r.write("mode", File{Path: r.Settings.Mode(), Mode: 0o600, Data: append(data, '\n'), free: true})
	return err
}

// receipt notes that an administrator changed what the node admits.
func (n *Node) receipt(ctx context.Context, what, text string, mode admission.Mode) error {
	now := n.Now().UTC()
	rec := &receipt.Receipt{
		Schema: receipt.Schema, Time: now, DecidedAt: now, Node: n.Settings.Node.Name, Point: receipt.Mode,
		Name: what, Verdict: decision.Allow, Admitted: true, By: "administrator",
		Reason: decision.OneLine(text), Mode: string(mode), Verifier: "plomb " + n.Version,
	}
	_, err := n.Receipts.Append(ctx, rec)
	return err
}

// ModeOptions say how the mode is changed.
type ModeOptions struct {
	Mode      admission.Mode
	Probation time.Duration
	Force     bool
	Progress  func(Event)
}

// SetMode changes the mode of a node. Where plomb is installed, containerd is
// made to require the agent for enforce, and not to otherwise.
func (n *Node) SetMode(ctx context.Context, o ModeOptions) error {
	r, err := n.begin(false, o.Progress)
	if err != nil {
		return err
	}
	s, err := n.planSwitch(InstallOptions{Mode: o.Mode, Probation: o.Probation, Force: o.Force})
	if err != nil {
		return err
	}
	if s.from == "" {
		s.from = admission.Enforce // what a node does that nobody told anything
	}
	if r.manifest == nil || len(r.manifest.Files) == 0 {
		return fmt.Errorf("%w: run plomb node install --mode %s", ErrNotInstalled, o.Mode)
	}
	defer r.release()
	if err := r.change(); err != nil {
		return err
	}
	// First of all: it has to work with a broken containerd as well.
	if err := r.lower(ctx, s); err != nil {
		return err
	}
	p, err := n.find(ctx)
	if err != nil {
		return err
	}
	if s.to == admission.Enforce {
		if _, err := n.Agent.Status(ctx); err != nil {
			return fmt.Errorf("enforce needs the agent: %w", err)
		}
	}
	err = r.finish(ctx, p, s, nil)
	if errors.Is(err, ErrNoRestart) && s.to != admission.Enforce {
		r.note("restart", "%v", err)
		return nil
	}
	return err
}
