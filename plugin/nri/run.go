// SPDX-License-Identifier: Apache-2.0

package nri

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

const (
	// DefaultName is what required_plugins has to list.
	DefaultName = "plomb"
	// DefaultIndex is the plugin's place among others: early, so that none of
	// them prepares anything for a container that is refused.
	DefaultIndex = "05"

	// Without the plugin no container is created, so it is not away for longer
	// than a second more than containerd is.
	minPause, maxPause = 50 * time.Millisecond, time.Second

	// registration bounds the steps until containerd has configured the plugin.
	// What follows, Synchronize, waits for containers that are being stopped,
	// which can take their whole grace period, and is not bounded.
	registration = 15 * time.Second
	// letGo is how long a stub gets to notice that its connection is gone.
	letGo = time.Second
)

var (
	// ErrOptions reports Options that no plugin can be run with.
	ErrOptions = errors.New("NRI plugin cannot start")
	// ErrLost reports a connection that containerd ended, or that was not made.
	ErrLost = errors.New("not connected to containerd's NRI")
)

// Options say where containerd is and who knows verdicts.
type Options struct {
	// Socket is containerd's socket for plugins.
	Socket string
	// Index is two digits; empty is DefaultIndex.
	Index string
	// Name is the plugin's; empty is DefaultName.
	Name string
	// Gate is who knows verdicts. It is required.
	Gate Gate
	// OnState is told whether containerd asks this plugin, and what it calls
	// itself, such as "containerd v2.4.2"; err says why it does not. It is called
	// when that changes. Nil: nobody is told.
	OnState func(connected bool, runtime string, err error)
	// Log is for the plugin's own messages; nil discards them.
	Log *slog.Logger
}

// Run keeps the plugin registered with containerd until ctx ends, and returns
// its error. A containerd that is not there yet, or restarts, is waited for.
func Run(ctx context.Context, opts Options) error {
	if opts.Index == "" {
		opts.Index = DefaultIndex
	}
	if opts.Name == "" {
		opts.Name = DefaultName
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := opts.check(); err != nil {
		return err
	}
	r := &runner{opts: opts, registration: registration}
	pause := minPause
	for {
		before := r.connections()
		err := r.connect(ctx)
		if ctx.Err() != nil {
			r.report(state{text: ctx.Err().Error()}, ctx.Err())
			return ctx.Err()
		}
		r.report(state{text: err.Error()}, err)
		if r.connections() > before {
			pause = minPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

func (o Options) check() error {
	if o.Gate == nil {
		return fmt.Errorf("%w: nobody knows verdicts", ErrOptions)
	}
	if o.Socket == "" {
		return fmt.Errorf("%w: no socket: set nri.socket", ErrOptions)
	}
	if err := api.CheckPluginIndex(o.Index); err != nil {
		return fmt.Errorf("%w: nri.index: %w", ErrOptions, err)
	}
	if err := api.CheckPluginName(o.Name); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return nil
}

// runner makes one connection after the other.
type runner struct {
	opts         Options
	registration time.Duration

	mu    sync.Mutex
	said  state
	made  int
	spoke bool
}

type state struct {
	connected     bool
	runtime, text string
}

func (r *runner) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.made
}

// report tells OnState what is new.
func (r *runner) report(s state, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.connected {
		r.made++
	}
	if r.spoke && s == r.said {
		return
	}
	r.spoke, r.said = true, s
	if s.connected {
		r.opts.Log.Info("containerd asks before it creates a container", "runtime", s.runtime)
	} else {
		r.opts.Log.Warn("containerd does not ask before it creates a container", "reason", s.text)
	}
	if r.opts.OnState != nil {
		r.opts.OnState(s.connected, s.runtime, err)
	}
}

// connect makes one connection and returns when it has ended, with the reason.
func (r *runner) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	raw, err := (&net.Dialer{Timeout: letGo}).DialContext(ctx, "unix", r.opts.Socket)
	if err != nil {
		return fmt.Errorf("%w: %w: is containerd running, with NRI enabled?", ErrLost, err)
	}
	conn := &watched{Conn: raw, gone: make(chan struct{})}
	defer conn.Close()
	s := newSession(r.opts, func(runtime string) { r.report(state{connected: true, runtime: runtime}, nil) })
	st, err := stub.New(s, stub.WithPluginName(r.opts.Name), stub.WithPluginIdx(r.opts.Index),
		stub.WithConnection(conn), stub.WithLogger(quiet{r.opts.Log}))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- st.Run(ctx) }()
	late := time.NewTimer(r.registration)
	defer late.Stop()
	select {
	case err = <-ended:
	case <-conn.gone:
		err = closed(ended)
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.configured:
		select {
		case err = <-ended:
		case <-conn.gone:
			err = closed(ended)
		case <-ctx.Done():
			err = ctx.Err()
		}
	case <-late.C:
		err = fmt.Errorf("containerd did not register the plugin within %s", r.registration)
	}
	if err == nil {
		err = errors.New("containerd closed the connection")
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

// closed waits a moment for the stub's own error. A stub whose connection breaks
// between registration and configuration never returns (nri 0.12.3,
// stub.Start waits for it with the lock that its end needs), and is left behind.
func closed(ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	case <-time.After(letGo):
		return nil
	}
}

// watched tells when a connection is broken.
type watched struct {
	net.Conn
	once sync.Once
	gone chan struct{}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.once.Do(func() { close(w.gone) })
	}
	return n, err
}

// quiet is the stub's logger: what it calls information is for debugging here.
type quiet struct{ log *slog.Logger }

func (q quiet) Debugf(ctx context.Context, format string, args ...any) {
	q.log.DebugContext(ctx, fmt.Sprintf(format, args...))
}

func (q quiet) Infof(ctx context.Context, format string, args ...any) { q.Debugf(ctx, format, args...) }

func (q quiet) Warnf(ctx context.Context, format string, args ...any) {
	q.log.WarnContext(ctx, fmt.Sprintf(format, args...))
}

func (q quiet) Errorf(ctx context.Context, format string, args ...any) {
	q.log.ErrorContext(ctx, fmt.Sprintf(format, args...))
}
