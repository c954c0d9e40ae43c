// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
)

// What a rollout does on a node that has never had a snapshot, it must not do
// again on one whose administrator has taken it back: by then, what is on the
// node may be anybody's.
func TestASnapshotThatWasTakenBackIsRemembered(t *testing.T) {
	m := newMachine(t)
	m.images = []admission.Pinned{container("one").Image}
	_, err := m.Pin(t.Context())
	require.NoError(t, err)
	had, err := m.Unpin(t.Context())
	require.NoError(t, err)
	require.True(t, had)
	require.FileExists(t, m.Settings.Snapshot(), "plomb node sync --snapshot looks whether there is one")
	s, err := admission.ReadSnapshot(m.Settings.Snapshot())
	require.NoError(t, err)
	require.Empty(t, s.Images)
	require.Empty(t, s.Has(m.images[0].Digests...))

	// A broken one admits nothing, and can be taken back as well.
	require.NoError(t, os.WriteFile(m.Settings.Snapshot(), []byte("{"), 0o600))
	had, err = m.Unpin(t.Context())
	require.NoError(t, err)
	require.True(t, had)
	_, err = admission.ReadSnapshot(m.Settings.Snapshot())
	require.NoError(t, err)
}
