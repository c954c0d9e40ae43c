// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/evidence"
)

// maxModest is how much one verification may read while others do the same, in
// bytes. Index, manifest and signatures of most images are a tenth of it.
const maxModest = 2 << 20

// large has verifications that read more than maxModest take turns: each is
// bounded by verify, and what is read takes a multiple of it when it is parsed,
// so some of them at once would end the agent.
type large struct{ turn chan struct{} }

func newLarge() *large { return &large{turn: make(chan struct{}, 1)} }

// appetite is what one verification has read.
type appetite struct {
	large *large
	mu    sync.Mutex
	read  int
	holds bool
}

type appetiteKey struct{}

// begin counts what is read with the context until end is called.
func (l *large) begin(ctx context.Context) (_ context.Context, end func()) {
	a := &appetite{large: l}
	return context.WithValue(ctx, appetiteKey{}, a), a.end
}

func (a *appetite) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.holds {
		a.holds = false
		<-a.large.turn
	}
}

// take waits for the turn if it has come to that.
func (a *appetite) take(ctx context.Context, n int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read += n
	if a.holds || a.read <= maxModest {
		return nil
	}
	select {
	case a.large.turn <- struct{}{}:
		a.holds = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// weighed is a location whose bytes count.
type weighed struct{ evidence.Location }

// weigh is judge.Judge.Around.
func weigh(l evidence.Location) evidence.Location { return weighed{l} }

// Open implements evidence.Location.
func (w weighed) Open(ctx context.Context, kind evidence.Kind, dgst digest.Digest) (io.ReadCloser, error) {
	body, err := w.Location.Open(ctx, kind, dgst)
	a, ok := ctx.Value(appetiteKey{}).(*appetite)
	if err != nil || !ok {
		return body, err
	}
	return &weighedBody{ReadCloser: body, ctx: ctx, appetite: a}, nil
}

type weighedBody struct {
	io.ReadCloser
	ctx      context.Context
	appetite *appetite
}

// Read implements io.Reader.
func (b *weighedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if waited := b.appetite.take(b.ctx, n); waited != nil {
		return 0, waited
	}
	return n, err
}
