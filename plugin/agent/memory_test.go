// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLongLived(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	longLived()
	require.EqualValues(t, memoryLimit, debug.SetMemoryLimit(-1))
	require.Equal(t, gcPercent, debug.SetGCPercent(gcPercent))

	debug.SetMemoryLimit(math.MaxInt64)
	t.Setenv("GOMEMLIMIT", "1GiB")
	longLived()
	require.EqualValues(t, math.MaxInt64, debug.SetMemoryLimit(-1), "who sets it means it")
}

// Only what is a copy of the program's file is given back.
func TestCopies(t *testing.T) {
	const clean, relocated = "Rss:  8 kB\nAnonymous:             0 kB\nVmFlags: rd ex\n", "Rss:  8 kB\nAnonymous:             4 kB\n"
	for head, ok := range map[string]bool{
		"00400000-00c6d000 r-xp 00000000 fe:00 12 /bin/plomb\n": true,
		"00c6d000-01200000 r--p 0086d000 fe:00 12 /bin/plomb\n": true,
		"01200000-01300000 rw-p 00e00000 fe:00 12 /bin/plomb\n": false,
		"00400000-00c6d000 r-xp 00000000 fe:00 12 /lib/other\n": false,
		"c000000000-c000400000 rw-p 00000000 00:00 0 \n":        false,
		"7ffd0000-7ffe0000 r-xp 00000000 00:00 0 [vdso]\n":      false,
		"00c6d000-00400000 r-xp 00000000 fe:00 12 /bin/plomb\n": false,
		"x-y r-xp 00000000 fe:00 12 /bin/plomb\n":               false,
	} {
		other := "c000000000-c000400000 rw-p 00000000 00:00 0 \n"
		require.Equal(t, ok, len(copies(other+relocated+head+clean+other+relocated, "/bin/plomb")) == 1, head)
		require.Empty(t, copies(head+relocated, "/bin/plomb"), head)
		require.Empty(t, copies(head+other+clean, "/bin/plomb"), head)
		require.Empty(t, copies(head, "/bin/plomb"), head)
	}
	giveBack() // and the program goes on
}
