// SPDX-License-Identifier: Apache-2.0

package shortlived

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const use = "PLOMB_TEST_USE"

var kept [][]byte

// TestMain is also a program that uses as many bytes as it is told to, and
// prints how often there was a collection, and whether collecting is as usual.
func TestMain(m *testing.M) {
	n, err := strconv.Atoi(os.Getenv(use))
	if err != nil {
		os.Exit(m.Run())
	}
	for range n >> 10 {
		kept = append(kept, make([]byte, 1<<10))
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	usual := os.Getenv("GOMEMLIMIT") != ""
	for end := time.Now().Add(5 * time.Second); !usual && stats.NumGC > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		usual = debug.SetMemoryLimit(-1) == math.MaxInt64 // the finalizer has a goroutine of its own
	}
	println(stats.NumGC, usual)
}

func collections(t *testing.T, bytes int, env ...string) (n int, usual bool) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(env, use+"="+strconv.Itoa(bytes))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	fields := strings.Fields(string(out))
	require.Len(t, fields, 2)
	n, err = strconv.Atoi(fields[0])
	require.NoError(t, err)
	return n, fields[1] == "true"
}

func TestNothingIsCollectedAtFirst(t *testing.T) {
	n, _ := collections(t, Memory/2)
	require.Zero(t, n)
}

func TestCollectedAsUsualAfterwards(t *testing.T) {
	n, usual := collections(t, 4*Memory)
	require.Positive(t, n)
	require.Less(t, n, 50, "not at every allocation")
	require.True(t, usual)
}

func TestWhoSetsTheCollectorUpMeansIt(t *testing.T) {
	for _, env := range []string{"GOGC=100", "GOMEMLIMIT=1GiB"} {
		n, _ := collections(t, Memory/2, env)
		require.Positive(t, n, env)
	}
}
