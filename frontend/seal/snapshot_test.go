// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOfOneRun(t *testing.T) {
	one := &Report{Lower: "base", Upper: "1"}
	two := &Report{Lower: "1", Upper: "2"}
	again := &Report{Lower: "1 again", Upper: "2"}
	unknown := &Report{}
	require.True(t, OfOneRun(nil))
	require.True(t, OfOneRun([]*Report{one}))
	require.True(t, OfOneRun([]*Report{one, two}))
	require.False(t, OfOneRun([]*Report{one, again}))
	require.False(t, OfOneRun([]*Report{one, two, one}))
	require.True(t, OfOneRun([]*Report{one, unknown, again}))
}

func TestSnapshotAt(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	require.Empty(t, snapshotAt(a+"/missing"))
	require.Equal(t, snapshotAt(a), snapshotAt(a))
	if snapshotAt(a) == "" { // a filesystem that does not tell when a file was made
		require.Empty(t, snapshotAt(b))
		return
	}
	require.NotEqual(t, snapshotAt(a), snapshotAt(b))
}
