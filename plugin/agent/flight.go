// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
)

const (
	// maxParallel is how many verifications run at a time. Each holds documents
	// of some hundred kilobytes; more would gain nothing on the processors of a node.
	maxParallel = 16
	// maxPerHost is how many of them may be about one registry: one that hangs
	// must not keep the images of the others waiting.
	maxPerHost = 8
	// maxFlights is how many may run or wait.
	maxFlights = 512
)

// errBusy is the reason for a question that came on top of too many.
var errBusy = fmt.Errorf("more than %d verifications are waiting: try again", maxFlights)

// flights have each question decided once at a time, however many ask it.
type flights struct {
	metrics *metrics
	// timeout bounds one verification, from its turn on.
	timeout time.Duration
	turns   chan struct{}

	mu    sync.Mutex
	open  map[string]*flight
	hosts map[string]*host
}

// flight is a verification under way.
type flight struct {
	done     chan struct{}
	decision *decision.Decision
	err      error
}

// host has the turns of one registry.
type host struct {
	turns chan struct{}
	users int
}

func newFlights(m *metrics, timeout time.Duration) *flights {
	return &flights{metrics: m, timeout: timeout, turns: make(chan struct{}, maxParallel), open: map[string]*flight{}, hosts: map[string]*host{}}
}

// do waits for the decision that decide makes, or joins the one that is being
// made for the same key. A caller who gives up leaves it running: others may
// wait for it, and who comes again finds it remembered. Values of ctx, such as
// credentials lent for one pull, are passed on.
func (f *flights) do(ctx context.Context, key, registry string, decide func(context.Context) *decision.Decision) (*decision.Decision, error) {
	f.mu.Lock()
	one, ok := f.open[key]
	if !ok {
		if len(f.open) >= maxFlights {
			f.mu.Unlock()
			return nil, errBusy
		}
		one = &flight{done: make(chan struct{})}
		f.open[key] = one
		go f.fly(context.WithoutCancel(ctx), key, registry, one, decide)
	}
	f.mu.Unlock()
	select {
	case <-one.done:
		return one.decision, one.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the verification goes on: %w", ctx.Err())
	}
}

func (f *flights) fly(ctx context.Context, key, registry string, one *flight, decide func(context.Context) *decision.Decision) {
	defer func() {
		if p := recover(); p != nil {
			one.decision, one.err = nil, fmt.Errorf("%w: %v; please report it", verify.ErrPanic, p)
		}
		f.mu.Lock()
		delete(f.open, key)
		f.mu.Unlock()
		close(one.done)
	}()
	defer f.turn(registry)()
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	one.decision = decide(ctx)
}

// turn waits for one of the turns of a registry, and then for one of all.
func (f *flights) turn(registry string) (done func()) {
	f.metrics.waiting.Inc()
	f.mu.Lock()
	h := f.hosts[registry]
	if h == nil {
		h = &host{turns: make(chan struct{}, maxPerHost)}
		f.hosts[registry] = h
	}
	h.users++
	f.mu.Unlock()
	h.turns <- struct{}{}
	f.turns <- struct{}{}
	f.metrics.waiting.Dec()
	f.metrics.running.Inc()
	return func() {
		f.metrics.running.Dec()
		<-f.turns
		<-h.turns
		f.mu.Lock()
		defer f.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(f.hosts, registry)
		}
	}
}

// registryOf is the host of an image name.
func registryOf(name string) string {
	host, _, _ := strings.Cut(name, "/")
	return host
}
