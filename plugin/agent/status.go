// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"os"
	"sync"
	"time"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
)

// nriState is the connection to containerd as it was told last.
type nriState struct {
	mu    sync.Mutex
	state control.NRI
}

func (n *nriState) get() control.NRI {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state
}

// set is nri.Options.OnState.
func (n *nriState) set(connected bool, runtime string, err error, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now = now.UTC()
	n.state = control.NRI{Connected: connected, Since: &now, Runtime: runtime}
	if err != nil {
		n.state.Error = err.Error()
	}
}

// status is what the control socket tells.
func (a *agent) status() control.Status {
	f := a.gate.reloader.inForce()
	s := control.Status{
		Schema: control.Schema, Version: a.opts.Version, PID: os.Getpid(), Since: a.since, Node: a.settings.Node.Name,
		Policy: f.policyLoaded, Trust: f.trustLoaded, NRI: a.nri.get(), ImageService: a.settings.Node.ImageService.Listen,
		Verdicts: a.gate.verdicts.Len(), SelfTest: a.lastTest.Load(), Running: a.containers.unverified(),
	}
	faults := a.standing(&s)
	s.Faults = append(faults, a.faults.list()...)
	for what, l := range map[string]control.Loaded{"policy: ": f.policyLoaded, "trusted roots: ": f.trustLoaded} {
		if l.Error != "" {
			s.Faults = append(s.Faults, what+l.Error)
		}
	}
	return s
}

// standing reads the files that admissions are made by.
func (a *agent) standing(s *control.Status) (faults []string) {
	faults = []string{}
	note := func(err error) {
		if err != nil {
			faults = append(faults, err.Error())
		}
	}
	var err error
	s.Mode, err = admission.ReadMode(a.settings.Mode())
	note(err)
	s.BreakGlass, err = admission.ReadBreakGlass(a.settings.BreakGlass(), a.gate.now())
	note(err)
	snapshot, err := admission.ReadSnapshot(a.settings.Snapshot())
	note(err)
	if s.Pinned = len(snapshot.Images); s.Pinned > 0 {
		s.PinnedAt = &snapshot.TakenAt
	}
	return faults
}

// refresh brings the metrics up to date that no event sets.
func (a *agent) refresh() {
	state, _ := admission.ReadMode(a.settings.Mode())
	glass, _ := admission.ReadBreakGlass(a.settings.BreakGlass(), a.gate.now())
	a.metrics.standing(state.Mode, glass != nil)
	a.metrics.unverified.Set(float64(len(a.containers.unverified())))
	a.metrics.nriConnected.Set(oneIf(a.nri.get().Connected))
	// What was proved of another mode says nothing of this one.
	if state.Mode != admission.Enforce || glass != nil {
		a.metrics.effective.Set(0)
	}
}

// proclaim says loudly, at the start and then every hour, that the node does not
// enforce, and why.
func (a *agent) proclaim() {
	s := control.Status{}
	a.standing(&s)
	switch {
	case s.BreakGlass != nil:
		a.log.Error("THE GLASS IS BROKEN: every image is admitted", "reason", s.BreakGlass.Reason, "until", s.BreakGlass.Until)
	case s.Mode.Mode != admission.Enforce:
		a.log.Warn("the node does not enforce", "mode", s.Mode.Mode, "since", s.Mode.Since, "reason", s.Mode.Reason)
	}
}
