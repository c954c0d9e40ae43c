// SPDX-License-Identifier: Apache-2.0

package admission

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzAdmit has the three files with the same content that somebody else
// wrote. What admits an image must be one of the documents, in force.
func FuzzAdmit(f *testing.F) {
	for _, seed := range []string{"", "null", auditMode, openGlass, `{"takenAt":"2026-02-03T11:00:00Z","images":[]}`, `{"mode":"warn","probation":null}`, `[]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := rules(t)
		for _, path := range []string{r.Mode, r.BreakGlass, r.Snapshot} {
			put(t, path, text, 0o600)
		}
		out := r.Admit(denied(), noon)
		switch out.By {
		case ByDecision:
			require.False(t, out.Admitted)
		case ByMode:
			state, err := ReadMode(r.Mode)
			require.NoError(t, err)
			require.NotEqual(t, Enforce, state.Mode)
		case ByBreakGlass:
			b, err := ReadBreakGlass(r.BreakGlass, noon)
			require.NoError(t, err)
			require.NoError(t, b.Check())
			require.LessOrEqual(t, b.Until.Sub(b.Since), MaxBreakGlass)
		case BySnapshot:
			s, err := ReadSnapshot(r.Snapshot)
			require.NoError(t, err)
			require.NotEmpty(t, s.Images)
		}
	})
}
