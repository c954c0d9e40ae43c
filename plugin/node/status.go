// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
)

// Status is what the agent says; or, if it does not answer, what the files say,
// with that among the faults. answers tells which.
func (n *Node) Status(ctx context.Context) (s control.Status, answers bool) {
	s, err := n.Agent.Status(ctx)
	if err == nil {
		return s, true
	}
	s = control.Status{
		Schema: control.Schema, Version: n.Version, Node: n.Settings.Node.Name,
		Running: []control.Running{}, Faults: []string{err.Error()},
		ImageService: n.Settings.Node.ImageService.Listen,
		Policy:       control.Loaded{Where: n.Settings.Policy},
		Trust:        control.Loaded{Where: n.Settings.Trust},
	}
	if n.Settings.TrustedRoot != "" {
		s.Trust.Where = n.Settings.TrustedRoot
	}
	fault := func(err error) {
		if err != nil {
			s.Faults = append(s.Faults, err.Error())
		}
	}
	s.Mode, err = admission.ReadMode(n.Settings.Mode())
	fault(err)
	s.BreakGlass, err = admission.ReadBreakGlass(n.Settings.BreakGlass(), n.Now())
	fault(err)
	snapshot, err := admission.ReadSnapshot(n.Settings.Snapshot())
	fault(err)
	if s.Pinned = len(snapshot.Images); s.Pinned > 0 {
		s.PinnedAt = &snapshot.TakenAt
	}
	fault(n.half())
	return s, false
}

// half reports an installation that was not finished.
func (n *Node) half() error {
	m, err := records{n.Settings.State}.read()
	switch {
	case err != nil:
		return err
	case m == nil:
		return ErrNotInstalled
	case m.Stale != 0:
		return errors.New("containerd runs with an older configuration than plomb node install wrote: restart it")
	case !m.Complete:
		return errors.New("plomb node install did not come to its end: run it again, or plomb node uninstall")
	}
	return nil
}
