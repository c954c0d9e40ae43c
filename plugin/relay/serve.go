// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// Concurrent is how many calls are answered at a time; more wait.
	Concurrent = 256
	// Waiting is how many calls are open at a time, waiting or being answered.
	// More are not accepted: their programs find nobody there, and decide by
	// themselves.
	Waiting = 1024

	// requestTime is how long a program may take to send its call. It has all
	// of it at hand, except standard input that containerd is still writing.
	requestTime = 10 * time.Second
	// replyTime is how long a program may take to fetch its answer.
	replyTime = 2 * time.Second
	// drainTime is how long calls go on when the agent ends. Whoever has no
	// answer by then decides without the agent, in the time that is left.
	drainTime = time.Second
)

// A Handler answers a call: the exit status and standard output of the program,
// within MaxStatus and MaxStdout.
//
// ctx ends with the server, and not when a caller hangs up: what it has asked
// is asked again, and then there is an answer.
type Handler func(ctx context.Context, args []string, stdin []byte) (status int, stdout []byte)

// Serve answers calls with h until ctx ends, and then returns nil, or until the
// listener fails. It closes the listener and returns when no call is open. It
// speaks to nobody but root and the user that it runs as.
func Serve(ctx context.Context, l net.Listener, h Handler) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s := &server{handler: h, open: make(chan struct{}, Waiting), busy: make(chan struct{}, Concurrent)}
	defer context.AfterFunc(ctx, func() {
		l.Close()
		time.AfterFunc(drainTime, cancel)
	})()
	err := s.accept(ctx, calls, l)
	l.Close()
	if err != nil {
		cancel()
	}
	s.running.Wait()
	return err
}

type server struct {
	handler    Handler
	open, busy chan struct{}
	running    sync.WaitGroup
}

func (s *server) accept(ctx, calls context.Context, l net.Listener) error {
	for {
		select {
		case s.open <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := l.Accept()
		if err == nil {
			// Here, and not where the call is answered: the program waits for it.
			err = s.welcome(conn)
			if err == nil {
				s.running.Go(func() {
					defer func() { <-s.open }()
					s.call(calls, conn)
				})
				continue
			}
			conn.Close()
			report("a call is refused", err)
			<-s.open
			continue
		}
		<-s.open
		switch {
		case ctx.Err() != nil:
			return nil
		case !passes(err):
			return fmt.Errorf("agent's socket %s: %w", l.Addr(), err)
		}
		slog.Warn("a call is not accepted", "error", err)
		select {
		case <-time.After(10 * time.Millisecond): // until a file is closed
		case <-ctx.Done():
			return nil
		}
	}
}

// welcome tells the caller, if it may ask, that somebody is there.
func (s *server) welcome(conn net.Conn) error {
	if err := CheckPeer(conn); err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(replyTime)); err != nil {
		return err
	}
	_, err := conn.Write([]byte{Ack})
	return err
}

// call answers one call. The program takes a connection that ends for an agent
// that is gone, so what ends with the server ends without an answer.
func (s *server) call(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := s.answer(ctx, conn); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) {
		report("a call is not answered", err)
	}
}

// report tells of a fault; that a program did not wait is none.
func report(what string, err error) {
	level := slog.LevelWarn
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		level = slog.LevelDebug
	}
	slog.Log(context.Background(), level, what, "error", err)
}

func (s *server) answer(ctx context.Context, conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(requestTime)); err != nil {
		return err
	}
	req, err := ReadRequest(bufio.NewReader(conn))
	if errors.Is(err, io.EOF) {
		return nil // it hung up, having said nothing: a look whether we are there
	}
	if err != nil {
		return err
	}
	select {
	case s.busy <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	status, stdout := s.guarded(ctx, req)
	<-s.busy
	if err := ctx.Err(); err != nil {
		return err
	}
	reply, err := appendReply(nil, status, stdout)
	if err != nil {
		return err
	}
	if err := conn.SetWriteDeadline(time.Now().Add(replyTime)); err != nil {
		return err
	}
	_, err = conn.Write(reply)
	return err
}

// guarded turns a panic into a refusal with a reason.
func (s *server) guarded(ctx context.Context, req Request) (status int, stdout []byte) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("a call failed", "panic", p)
			status, stdout = 1, fmt.Appendf(nil, "undecided: the agent failed: %.200q; please report it\n", fmt.Sprint(p))
		}
	}()
	return s.handler(ctx, req.Args, req.Stdin)
}
