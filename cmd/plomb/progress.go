// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress tells somebody who has waited for a second what for, and again
// whenever that is something else a second later. Who reads a file or a log
// later is told nothing.
type progress struct {
	mu   sync.Mutex
	what string
	quit chan struct{}
	done chan struct{}
}

// waitFor begins to wait for one thing.
func waitFor(stdio Stdio, what string) *progress {
	p := startProgress(stdio)
	p.now(what)
	return p
}

func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func startProgress(stdio Stdio) *progress {
	p := &progress{quit: make(chan struct{}), done: make(chan struct{})}
	if !onTerminal(stdio.Err) {
		close(p.done)
		return p
	}
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
