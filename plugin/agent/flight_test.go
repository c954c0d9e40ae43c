// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
)

func newTestFlights() *flights { return newFlights(newMetrics("test"), time.Minute) }

func TestFlightsAreBounded(t *testing.T) {
	f := newTestFlights()
	var now, most, perHost, mostPerHost atomic.Int64
	peak := func(n *atomic.Int64, most *atomic.Int64) {
		v := n.Add(1)
		for old := most.Load(); v > old && !most.CompareAndSwap(old, v); old = most.Load() {
		}
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			registry := fmt.Sprint("registry-", i%5)
			_, err := f.do(t.Context(), fmt.Sprint(i), registry, func(context.Context) *decision.Decision {
				peak(&now, &most)
				defer now.Add(-1)
				if i%5 == 0 {
					peak(&perHost, &mostPerHost)
					defer perHost.Add(-1)
				}
				time.Sleep(time.Millisecond)
				return &decision.Decision{}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, most.Load(), int64(maxParallel))
	require.LessOrEqual(t, mostPerHost.Load(), int64(maxPerHost))
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Empty(t, f.open)
	require.Empty(t, f.hosts)
}

// A registry that hangs leaves turns to the others.
func TestAHungRegistry(t *testing.T) {
	f := newTestFlights()
	release := make(chan struct{})
	var all sync.WaitGroup
	for i := range 3 * maxParallel {
		all.Go(func() {
			_, _ = f.do(t.Context(), fmt.Sprint(i), "hung", func(context.Context) *decision.Decision {
				<-release
				return &decision.Decision{}
			})
		})
	}
	require.Eventually(t, func() bool { return count(f.metrics.running) == maxPerHost }, 5*time.Second, time.Millisecond)
	_, err := f.do(t.Context(), "other", "healthy", func(context.Context) *decision.Decision { return &decision.Decision{} })
	require.NoError(t, err)
	close(release)
	all.Wait()
}

func TestTooManyFlights(t *testing.T) {
	f := newTestFlights()
	release := make(chan struct{})
	given, cancel := context.WithCancel(t.Context())
	cancel()
	wait := func(context.Context) *decision.Decision { <-release; return &decision.Decision{} }
	for i := range maxFlights {
		_, err := f.do(given, fmt.Sprint(i), "a", wait)
		require.ErrorIs(t, err, context.Canceled)
	}
	_, err := f.do(t.Context(), "one more", "a", wait)
	require.ErrorIs(t, err, errBusy)
	close(release)
	require.Eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.open) == 0 }, 5*time.Second, time.Millisecond)
}

// A bug in one verification refuses its image and harms no other.
func TestPanickingFlight(t *testing.T) {
	f := newTestFlights()
	_, err := f.do(t.Context(), "a", "a", func(context.Context) *decision.Decision { panic("index out of range") })
	require.ErrorIs(t, err, verify.ErrPanic)
	d, err := f.do(t.Context(), "a", "a", func(context.Context) *decision.Decision { return &decision.Decision{} })
	require.NoError(t, err)
	require.NotNil(t, d)
}
