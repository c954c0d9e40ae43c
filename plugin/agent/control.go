// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/relay"
	"github.com/plombproject/plomb/verify/receipt"
)

const (
	// maxQuestion bounds a question on the control socket, in bytes.
	maxQuestion = 64 << 10
	// maxOperators is how many connections the control socket has at a time.
	maxOperators = 32
	// controlTime bounds a question and its answer.
	controlTime = 30 * time.Second
)

// errQuestion reports a question that cannot be answered.
var errQuestion = errors.New("not a question for the agent")

// operators serves plomb node, plomb import and the self-test.
type operators struct {
	status func() control.Status
	ask    func(ctx context.Context, q control.Question) (control.Answer, error)
}

// handler is the API of package control.
func (o operators) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { reply(w, o.status()) })
	mux.HandleFunc("POST /v1/verify", func(w http.ResponseWriter, r *http.Request) {
		data, err := limit.ReadAll(r.Body, maxQuestion)
		var q control.Question
		if err == nil {
			err = strictjson.Unmarshal(data, &q)
		}
		var a control.Answer
		if err == nil {
			a, err = o.ask(r.Context(), q)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		reply(w, a)
	})
	return mux
}

func reply(w http.ResponseWriter, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data) // who hung up does not want it
}

// serveControl answers at the listener until ctx ends.
func serveControl(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h, ReadTimeout: controlTime, WriteTimeout: controlTime, IdleTimeout: controlTime,
		MaxHeaderBytes: maxQuestion, ErrorLog: silent(),
	}
	return serveHTTP(ctx, server, &callers{Listener: l, open: make(chan struct{}, maxOperators), may: relay.CheckPeer})
}

// callers lets in who may, and not too many.
type callers struct {
	net.Listener
	open chan struct{}
	// may refuses others than root and the agent's own user; nil: anybody may.
	may func(net.Conn) error
}

// Accept implements net.Listener.
func (c *callers) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c.may != nil && c.may(conn) != nil {
			conn.Close()
			continue
		}
		select {
		case c.open <- struct{}{}:
			return newCaller(conn, c.open), nil
		default:
			conn.Close()
		}
	}
}

type caller struct {
	net.Conn
	done func()
}

// newCaller is one of those that are counted in open. A server closes a
// connection from several goroutines.
func newCaller(conn net.Conn, open chan struct{}) *caller {
	return &caller{Conn: conn, done: sync.OnceFunc(func() { <-open })}
}

// Close implements net.Conn.
func (c *caller) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// asked answers a question on the control socket.
func (a *agent) asked(ctx context.Context, q control.Question) (control.Answer, error) {
	switch q.Point {
	case receipt.Import, receipt.Check:
	default:
		return control.Answer{}, fmt.Errorf("%w: point is %q, want %s or %s: the others are containerd's to ask", errQuestion, q.Point, receipt.Import, receipt.Check)
	}
	if err := q.Digest.Validate(); err != nil {
		return control.Answer{}, fmt.Errorf("%w: digest: %w", errQuestion, err)
	}
	question := Question{Point: q.Point, Name: q.Name, Descriptor: ocispec.Descriptor{Digest: q.Digest}}
	if q.Stored {
		question.Stored = a.store.At(q.Name)
	}
	out := a.gate.Ask(ctx, question)
	return control.Answer{Admitted: out.Admitted, By: out.By, Line: out.Line(), Decision: out.Decision}, nil
}
