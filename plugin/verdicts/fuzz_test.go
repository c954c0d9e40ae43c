// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

// FuzzParse: what is taken for a verdict is an allow, by the policy it is filed
// under, and is written as it was read.
func FuzzParse(f *testing.F) {
	data, err := encode(record{Schema, inUse, *decided(decision.Allow)})
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte(digest.FromString("").String() + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parse(data)
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
			return
		}
		require.Equal(t, decision.Allow, r.Decision.Verdict)
		require.Equal(t, r.Basis.Policy, r.Decision.Basis.Policy)
		again, err := encode(r)
		require.NoError(t, err)
		_, err = parse(again)
		require.NoError(t, err)
	})
}
