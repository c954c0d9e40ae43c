// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"
	"time"
)

// progress tells somebody who has waited for a second what for, and again
// whenever that is something else a second later.
type progress struct {
	mu   sync.Mutex
	what string
	quit chan struct{}
	done chan struct{}
}

func startProgress(stdio Stdio) *progress {
	p := &progress{quit: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for said := ""; ; {
			select {
			case <-p.quit:
				return
			case <-tick.C:
			}
			p.mu.Lock()
			what := p.what
			p.mu.Unlock()
			if what != said {
				note(stdio, "waiting for %s", what)
				said = what
			}
		}
	}()
	return p
}

// now says what is being done from now on.
func (p *progress) now(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
}

// stop returns when nothing will be said any more.
func (p *progress) stop() {
	close(p.quit)
	<-p.done
}
