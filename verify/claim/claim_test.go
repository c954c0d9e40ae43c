// SPDX-License-Identifier: Apache-2.0

package claim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
)

// A timestamp proves that a signature is not younger. Anybody can have an old
// one stamped anew, so the age counts from what could not be renewed.
func TestAge(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		at, after, want time.Time
	}{
		"certificate of ten minutes": {now, now.Add(-10 * time.Minute), now},
		"certificate of a year":      {now, now.AddDate(0, -6, 0), now.AddDate(0, -6, 0)},
		"key, stamped or logged":     {now, time.Time{}, time.Time{}},
		"no trusted time":            {time.Time{}, now, time.Time{}},
	} {
		require.Equal(t, c.want, claim.Claim{SignedAt: c.at, SignedAfter: c.after}.Age(), name)
	}
	// The signer of a Notary Project signature says when it was made.
	notary := claim.Claim{Format: claim.Notation, SignedAt: now, SignedAfter: now.Add(-time.Minute)}
	require.Equal(t, now.Add(-time.Minute), notary.Age())
}
