// SPDX-License-Identifier: Apache-2.0

//go:build integration

package doctor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/doctor"
)

func TestLive(t *testing.T) {
	healthy(t)
	d := diagnose(t)
	t.Log(d.text)
	for _, id := range []string{doctor.CheckCRIUnsigned, doctor.CheckCRISigned, doctor.CheckUnsigned, doctor.CheckSigned, doctor.CheckCreate, doctor.CheckCreateSigned, doctor.CheckCleanup} {
		found := d.find(id)
		require.Len(t, found, 1, id)
		require.Equal(t, doctor.Pass, found[0].Status, d.text)
	}
}

// An agent needs a moment to find a containerd that was just restarted, and that
// is no reason to say that nothing enforces.
func TestAskedAtOnceAfterARestart(t *testing.T) {
	healthy(t)
	restarted(t)
	d := diagnose(t)
	require.Zero(t, d.status, d.text)
}
