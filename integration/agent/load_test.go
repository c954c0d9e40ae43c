// SPDX-License-Identifier: Apache-2.0

//go:build integration

package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Fifty pulls at once of one image are one verification.
func TestOneVerification(t *testing.T) {
	n := newNode(t)
	good := n.image("good", n.key)
	n.store.Delay(20 * time.Millisecond)
	pullAll(t, n, 50, good)
	require.Equal(t, 1.0, n.metric("plomb_verifications_total"))
	require.Equal(t, 50.0, n.metric("plomb_decisions_total", `admitted="true"`))
	require.Equal(t, 50.0, n.metric("plomb_receipts_total"))
}

// 200 pulls of 20 images are 20 verifications, and the agent stays small.
func TestManyPulls(t *testing.T) {
	n := newNode(t)
	var images []image
	for i := range 20 {
		images = append(images, n.image(fmt.Sprint("image-", i), n.key))
	}
	pullAll(t, n, 200, images...)
	require.Equal(t, 20.0, n.metric("plomb_verifications_total"))
	require.Equal(t, 200.0, n.metric("plomb_receipts_total"))
	peak := n.peakMemory()
	t.Logf("peak memory of the agent: %d kB", peak)
	require.Less(t, peak, 64<<10)
}

func pullAll(t *testing.T, n *node, times int, images ...image) {
	t.Helper()
	var all sync.WaitGroup
	reasons := make([]string, times)
	for i := range times {
		all.Go(func() { reasons[i] = n.pull(images[i%len(images)]) })
	}
	all.Wait()
	for _, reason := range reasons {
		require.Empty(t, reason)
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the most that the agent had resident, in kB.
func (n *node) peakMemory() int {
	n.t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(n.status().PID), "status"))
	require.NoError(n.t, err)
	found := highWater.FindStringSubmatch(string(status))
	require.Len(n.t, found, 2)
	kb, err := strconv.Atoi(strings.TrimSpace(found[1]))
	require.NoError(n.t, err)
	return kb
}
