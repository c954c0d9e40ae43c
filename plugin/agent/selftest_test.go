// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify/decision"
)

func TestSelfTest(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		name   string
		mode   admission.Mode
		prove  func(context.Context) error
		reason string
	}{
		{"proved", admission.Enforce, func(context.Context) error { return nil }, ""},
		{"disproved", admission.Enforce, func(context.Context) error { return errors.New("the unsigned image was pulled") }, "unsigned image was pulled"},
		{"a bug", admission.Enforce, func(context.Context) error { panic("index") }, "please report it"},
		{"audit", admission.Audit, func(context.Context) error { return nil }, "audit mode"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.mode(c.mode)
			w.opts.Prove = c.prove
			w.selfTest(t.Context())
			got := w.status().SelfTest
			require.Equal(t, c.reason == "", got.Effective)
			require.Contains(t, got.Reason, c.reason)
			require.Equal(t, c.reason == "", count(w.metrics.effective) == 1)

			last := w.log()[len(w.log())-1]
			require.Contains(t, last, `"point":"self-test"`)
			require.Contains(t, last, c.reason)
			require.Contains(t, last, `"mode":"`+string(c.mode)+`"`)
			verdict := decision.Deny
			if c.reason == "" {
				verdict = decision.Allow
			}
			require.Contains(t, last, `"verdict":"`+string(verdict)+`"`)
		})
	}
}

// What was proved ends with the mode.
func TestEffectiveEndsWithTheMode(t *testing.T) {
	w := newWorld(t)
	w.opts.Prove = func(context.Context) error { return nil }
	w.selfTest(t.Context())
	require.Equal(t, 1, count(w.metrics.effective))
	w.mode(admission.Warn)
	w.refresh()
	require.Zero(t, count(w.metrics.effective))
}
