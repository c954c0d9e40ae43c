// SPDX-License-Identifier: Apache-2.0

package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/relay"
)

// patience is for tests that would otherwise hang; none expects to use it up.
const patience = time.Minute

// serve starts a server; stop ends it and returns what Serve returned.
func serve(t *testing.T, h relay.Handler) (path string, stop func() error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run", "agent.sock")
	l, err := relay.Listen(path)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- relay.Serve(ctx, l, h) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return path, stop
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// ask makes one call, and returns everything that came back after the ack.
func ask(t *testing.T, path string, request []byte) []byte {
	t.Helper()
	conn := dial(t, path)
	var ack [1]byte
	_, err := io.ReadFull(conn, ack[:])
	require.NoError(t, err)
	require.EqualValues(t, relay.Ack, ack[0])
	_, _ = conn.Write(request) // it may hang up in the middle
	answer, _ := io.ReadAll(conn)
	return answer
}

func request(args ...string) []byte {
	return relay.AppendRequest(nil, relay.Request{Args: args, Stdin: []byte("in")})
}

func answer(status byte, stdout string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{status}, uint32(len(stdout)))
	return append(b, stdout...)
}

func echo(_ context.Context, args []string, stdin []byte) (int, []byte) {
	return 1, []byte(strings.Join(args, " ") + " < " + string(stdin) + "\n")
}

func TestCalls(t *testing.T) {
	path, stop := serve(t, echo)
	require.Equal(t, answer(1, "-name x < in\n"), ask(t, path, request("-name", "x")))
	require.Equal(t, answer(1, " < in\n"), ask(t, path, request()))
	require.NoError(t, stop())
	_, err := os.Lstat(path)
	require.ErrorIs(t, err, fs.ErrNotExist, "nothing is left")
}

// TestSomebodyIsThere: the program does not wait long for a sign, so a server
// whose hands are full says that it is there all the same.
func TestSomebodyIsThere(t *testing.T) {
	release := make(chan struct{})
	path, _ := serve(t, func(context.Context, []string, []byte) (int, []byte) { <-release; return 0, []byte("x\n") })
	var open []net.Conn
	for range relay.Concurrent + 20 {
		conn := dial(t, path)
		_, err := io.ReadFull(conn, make([]byte, 1))
		require.NoError(t, err)
		_, err = conn.Write(request())
		require.NoError(t, err)
		open = append(open, conn)
	}
	close(release)
	for _, conn := range open {
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, answer(0, "x\n"), got)
	}
}

func TestSoManyAtATime(t *testing.T) {
	var now, most atomic.Int64
	path, _ := serve(t, func(context.Context, []string, []byte) (int, []byte) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		time.Sleep(time.Millisecond)
		return 0, []byte("x\n")
	})
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for range 2 * relay.Concurrent {
		wg.Go(func() {
			conn, err := net.Dial("unix", path)
			if err != nil {
				wrong.Add(1)
				return
			}
			defer conn.Close()
			_, _ = conn.Write(request())
			if got, _ := io.ReadAll(conn); !bytes.Equal(got, append([]byte{relay.Ack}, answer(0, "x\n")...)) {
				wrong.Add(1)
			}
		})
	}
	wg.Wait()
	require.Zero(t, wrong.Load())
	require.LessOrEqual(t, most.Load(), int64(relay.Concurrent))
}

// TestCallsThatAreNone get no answer at all, and cost no others theirs.
func TestCallsThatAreNone(t *testing.T) {
	var called atomic.Bool
	path, _ := serve(t, func(ctx context.Context, args []string, stdin []byte) (int, []byte) {
		called.Store(true)
		return echo(ctx, args, stdin)
	})
	length := func(n uint32) string { return string(binary.BigEndian.AppendUint32(nil, n)) }
	for name, bytes := range map[string]string{
		"another protocol":     "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"another version":      "PLOMB2\n" + length(0) + length(0),
		"too many arguments":   relay.Magic + length(relay.MaxArgs+1),
		"a gigabyte of name":   relay.Magic + length(1) + length(1<<30) + "x",
		"too much stdin":       relay.Magic + length(0) + length(relay.MaxStdin+1) + "x",
		"four gigabytes of it": relay.Magic + length(0) + length(1<<32-1),
	} {
		require.Empty(t, ask(t, path, []byte(bytes)), name)
	}
	conn := dial(t, path) // half a request, and away
	_, err := conn.Write(request()[:9])
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.False(t, called.Load())
	require.Equal(t, answer(1, " < in\n"), ask(t, path, request()))
}

// TestAnswersThatAreNone: the program would misread them, or pass them on.
func TestAnswersThatAreNone(t *testing.T) {
	for _, status := range []int{-1, 126, 255, 256} {
		path, _ := serve(t, func(context.Context, []string, []byte) (int, []byte) { return status, []byte("x\n") })
		require.Empty(t, ask(t, path, request()), "%d", status)
	}
	path, _ := serve(t, func(context.Context, []string, []byte) (int, []byte) { return 0, make([]byte, relay.MaxStdout+1) })
	require.Empty(t, ask(t, path, request()))
}

func TestPanicsRefuse(t *testing.T) {
	path, _ := serve(t, func(context.Context, []string, []byte) (int, []byte) { panic("index\nout of \x1b range") })
	got := string(ask(t, path, request()))
	require.Equal(t, byte(1), got[0])
	require.Contains(t, got, `the agent failed: "index\nout of \x1b range"; please report it`)
}

// TestTheEnd: a call that is being answered when the agent ends is answered, or
// broken off, so that the program goes on by itself; it is not refused.
func TestTheEnd(t *testing.T) {
	entered := make(chan struct{})
	path, stop := serve(t, func(ctx context.Context, _ []string, _ []byte) (int, []byte) {
		close(entered)
		<-ctx.Done()
		return 1, []byte("undecided: context canceled\n")
	})
	conn := dial(t, path)
	_, err := conn.Write(request())
	require.NoError(t, err)
	<-entered
	require.NoError(t, stop())
	got, _ := io.ReadAll(conn)
	require.Equal(t, []byte{relay.Ack}, got)
}

func TestCallsAreFinishedFirst(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	path, stop := serve(t, func(ctx context.Context, _ []string, _ []byte) (int, []byte) {
		close(entered)
		<-release
		return 0, []byte("x\n")
	})
	conn := dial(t, path)
	_, err := conn.Write(request())
	require.NoError(t, err)
	<-entered
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	for { // the listener is closed first
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		c.Close()
	}
	close(release)
	got, _ := io.ReadAll(conn)
	require.Equal(t, append([]byte{relay.Ack}, answer(0, "x\n")...), got)
	require.NoError(t, <-stopped)
}

func TestListen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	path := filepath.Join(dir, "agent.sock")
	l, err := relay.Listen(path)
	require.NoError(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, fs.ModeSocket|0o600, info.Mode())
	info, err = os.Lstat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())

	_, err = relay.Listen(path)
	require.ErrorIs(t, err, relay.ErrInUse)

	// What a crash leaves.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	_, err = os.Lstat(path)
	require.NoError(t, err)
	l, err = relay.Listen(path)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

// TestListenRemovesNothingElse, and trusts no folder that others could put
// another socket into.
func TestListenRemovesNothingElse(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(file, link))
	for _, path := range []string{file, link} {
		_, err := relay.Listen(path)
		require.ErrorIs(t, err, relay.ErrSocket)
		_, err = os.Lstat(path)
		require.NoError(t, err)
	}
	for _, mode := range []fs.FileMode{0o775, 0o757, 0o777 | fs.ModeSticky} {
		require.NoError(t, os.Chmod(dir, mode))
		_, err := relay.Listen(filepath.Join(dir, "agent.sock"))
		require.ErrorIs(t, err, relay.ErrSocket)
		require.Contains(t, err.Error(), "chmod 755")
	}
}

type broken struct{ net.Listener }

func (broken) Accept() (net.Conn, error) { return nil, errors.New("broken") }

func TestABrokenListenerEndsTheServer(t *testing.T) {
	l, err := relay.Listen(filepath.Join(t.TempDir(), "run", "agent.sock"))
	require.NoError(t, err)
	err = relay.Serve(context.Background(), broken{l}, echo)
	require.ErrorContains(t, err, "broken")
}

// TestNobodyUnknown: a connection that does not say whose it is.
func TestNobodyUnknown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go relay.Serve(ctx, l, echo)
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	got, _ := io.ReadAll(conn)
	require.Empty(t, got)
}
