// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
)

// The node goes back to audit if it is not ready for long enough, during the
// probation, and in no other case.
func TestRevert(t *testing.T) {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	down := errors.New("network plugin is not initialised")
	for _, c := range []struct {
		name  string
		mode  admission.Mode
		until time.Duration // of the probation; 0: none
		// looks are seconds after noon at which the node is not ready, negative
		// at which it is.
		looks   []int
		reverts bool
	}{
		{"down for two minutes", admission.Enforce, time.Hour, []int{0, 60, 119, 120}, true},
		{"down for less", admission.Enforce, time.Hour, []int{0, 60, 119}, false},
		{"up in between", admission.Enforce, time.Hour, []int{0, 60, -90, 100, 180}, false},
		{"after the probation", admission.Enforce, time.Minute, []int{0, 60, 120, 180}, false},
		{"no probation", admission.Enforce, 0, []int{0, 120, 600}, false},
		{"not enforcing", admission.Warn, time.Hour, []int{0, 120, 600}, false},
		{"the clock goes back", admission.Enforce, time.Hour, []int{300, 0, 119}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			state := admission.State{Mode: c.mode, Since: noon}
			if c.until > 0 {
				until := noon.Add(c.until)
				state.Probation = &until
			}
			require.NoError(t, admission.WriteMode(w.settings.Mode(), state))
			g := &guard{agent: w.agent}
			for _, at := range c.looks {
				if at < 0 {
					g.look(t.Context(), nil, noon.Add(time.Duration(-at)*time.Second))
					continue
				}
				g.look(t.Context(), down, noon.Add(time.Duration(at)*time.Second))
			}
			now, err := admission.ReadMode(w.settings.Mode())
			require.NoError(t, err)
			if !c.reverts {
				require.Equal(t, c.mode, now.Mode)
				require.Empty(t, w.log())
				return
			}
			require.Equal(t, admission.Audit, now.Mode)
			require.Contains(t, now.Reason, down.Error())
			require.Equal(t, 1, count(w.metrics.reverts))
			require.Len(t, w.log(), 1)
			require.Contains(t, w.log()[0], `"point":"mode"`)
			require.Contains(t, w.log()[0], down.Error())
		})
	}
}

// Where nobody answers, the node is not ready.
func TestAbsentContainerd(t *testing.T) {
	w := newWorld(t)
	r, disconnect, err := newReadiness(w.settings.Containerd, "")
	require.NoError(t, err)
	defer disconnect()
	require.ErrorIs(t, r.check(t.Context()), errNotReady)
}
