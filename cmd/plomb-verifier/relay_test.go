// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/relay"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/verifytest"
)

// node is a machine on which the program verifies by itself, and an image that
// it then allows.
type node struct {
	dir, name string
	signed    digest.Digest
	env       []string
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{dir: t.TempDir()}
	require.NoError(t, os.Chmod(n.dir, 0o700))
	store, sigstore := verifytest.NewStore(), verifytest.NewSigstore(t)
	n.name = store.Serve(t) + "/app:v1"
	n.signed = store.Image(t, verifytest.ImageOptions{
		Platforms: []string{platforms.Format(platforms.Normalize(platforms.DefaultSpec()))},
		Bundle: func(subjects []provenance.Subject) []byte {
			return sigstore.Bundle(t, verifytest.Statement(t, subjects), verifytest.BundleOptions{})
		},
	}).Index
	require.NoError(t, os.Mkdir(n.path("policy"), 0o700))
	require.NoError(t, os.WriteFile(n.path("policy/p.json"), []byte(policy), 0o600))
	require.NoError(t, os.WriteFile(n.path("root.json"), sigstore.TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	n.env = []string{
		actAsVerifier + "=1",
		"PLOMB_POLICY=" + n.path("policy"), "PLOMB_TRUSTED_ROOT=" + n.path("root.json"), "PLOMB_HOSTS=" + n.path("hosts"),
		"PLOMB_STATE=" + n.path("state"), "PLOMB_NODE_CONFIG=" + n.path("node.yaml"), "PLOMB_SOCKET=" + n.path("agent.sock"),
	}
	return n
}

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

func (n *node) args() []string {
	return []string{"-name", n.name, "-digest", n.signed.String(), "-stdin-media-type", ocispec.MediaTypeDescriptor}
}

func (n *node) descriptor() string { return fmt.Sprintf(`{"digest":%q}`, n.signed) }

// result is how the program ended.
type result struct {
	status         int
	stdout, stderr string
}

// run starts the program as containerd does.
func (n *node) run(t *testing.T, stdin io.Reader, env ...string) result {
	t.Helper()
	r, err := n.start(stdin, env...)
	require.NoError(t, err)
	return r
}

// ask is run on a node with an agent. Where a machine is so busy that the agent
// took too long to be there, it is asked again.
func (n *node) ask(t *testing.T, stdin string, env ...string) (r result) {
	t.Helper()
	for range 10 {
		r = n.run(t, strings.NewReader(stdin), env...)
		if !strings.Contains(r.stderr, "nobody is there: no answer in time") {
			break
		}
	}
	return r
}

func (n *node) start(stdin io.Reader, env ...string) (result, error) {
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	cmd := exec.Command(self, n.args()...)
	cmd.Env, cmd.Stdin = append(append([]string{}, n.env...), env...), stdin
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		return result{}, err
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, nil
}

// agent serves calls with h.
func (n *node) agent(t *testing.T, h relay.Handler) {
	t.Helper()
	l, err := relay.Listen(n.path("agent.sock"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = relay.Serve(ctx, l, h) }()
	t.Cleanup(func() { cancel(); <-done })
}

// impostor does with each connection what f does.
func (n *node) impostor(t *testing.T, f func(conn net.Conn)) {
	t.Helper()
	l, err := net.Listen("unix", n.path("agent.sock"))
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); f(conn) }()
		}
	}()
}

func reply(status byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{status}, uint32(len(text))), text...)
}

// TestTheAgentAnswers: what it is sent is the call, and what it says is said.
func TestTheAgentAnswers(t *testing.T) {
	n := newNode(t)
	var args []string
	var stdin string
	status := 0
	n.agent(t, func(_ context.Context, a []string, in []byte) (int, []byte) {
		args, stdin = a, string(in)
		return status, []byte("the agent said so\n")
	})
	for _, status = range []int{0, 1, 125} {
		r := n.ask(t, n.descriptor())
		require.Equal(t, result{status, "the agent said so\n", ""}, r)
		require.Equal(t, n.args(), args)
		require.Equal(t, n.descriptor(), stdin)
	}
	big := `{"digest":"x","data":"` + strings.Repeat("A", 900<<10) + `"}`
	require.Equal(t, 125, n.ask(t, big).status)
	require.Equal(t, big, stdin)
}

// TestNoAgentNoDifference: without an answer the program verifies by itself,
// with all of standard input, and says why it had to. The image is signed.
func TestNoAgentNoDifference(t *testing.T) {
	ack := []byte{relay.Ack}
	read := func(conn net.Conn) { _, _ = relay.ReadRequest(conn) }
	says := func(b ...[]byte) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = conn.Write(ack)
			read(conn)
			_, _ = conn.Write(bytes.Join(b, nil))
		}
	}
	hang := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) } // until the program hangs up
	for name, c := range map[string]struct {
		agent  func(t *testing.T, n *node)
		reason string
	}{
		"no socket":    {func(*testing.T, *node) {}, "no such file"},
		"a file there": {func(t *testing.T, n *node) { require.NoError(t, os.WriteFile(n.path("agent.sock"), nil, 0o600)) }, "connection refused"},
		"a dead socket": {func(t *testing.T, n *node) {
			l, err := net.Listen("unix", n.path("agent.sock"))
			require.NoError(t, err)
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			require.NoError(t, l.Close())
		}, "connection refused"},
		"a stopped agent": {func(t *testing.T, n *node) { // the kernel takes the call, nobody else does
			l, err := net.Listen("unix", n.path("agent.sock"))
			require.NoError(t, err)
			t.Cleanup(func() { l.Close() })
		}, "nobody is there: no answer in time"},
		"no ack":   {func(t *testing.T, n *node) { n.impostor(t, hang) }, "nobody is there: no answer in time"},
		"hangs up": {func(t *testing.T, n *node) { n.impostor(t, func(net.Conn) {}) }, "nobody is there"},
		"something else": {func(t *testing.T, n *node) {
			n.impostor(t, func(c net.Conn) { _, _ = c.Write([]byte("220 mail\r\n")); read(c) })
		}, "something else"},
		"killed while it reads": {func(t *testing.T, n *node) {
			n.impostor(t, func(c net.Conn) { _, _ = c.Write(ack); _, _ = c.Read(make([]byte, 3)) })
		}, ""},
		"killed before it answers": {func(t *testing.T, n *node) { n.impostor(t, says()) }, "it broke off"},
		"killed after the status":  {func(t *testing.T, n *node) { n.impostor(t, says([]byte{0})) }, "it broke off"},
		"killed in mid-answer":     {func(t *testing.T, n *node) { n.impostor(t, says(reply(0, "allowed: all of them\n")[:12])) }, "it broke off"},
		"no text":                  {func(t *testing.T, n *node) { n.impostor(t, says(reply(0, ""))) }, "answer is none"},
		"no status":                {func(t *testing.T, n *node) { n.impostor(t, says(reply(126, "x\n"))) }, "answer is none"},
		"status 255":               {func(t *testing.T, n *node) { n.impostor(t, says(reply(255, "x\n"))) }, "answer is none"},
		"a gigabyte of text":       {func(t *testing.T, n *node) { n.impostor(t, says([]byte{0, 0x40, 0, 0, 0}, make([]byte, 1<<16))) }, "answer is none"},
		"an escape sequence":       {func(t *testing.T, n *node) { n.impostor(t, says(reply(0, "\x1b[2Kallowed\n"))) }, "no line of text"},
		"two lines":                {func(t *testing.T, n *node) { n.impostor(t, says(reply(0, "allowed\nallowed\n"))) }, "no line of text"},
		"garbage":                  {func(t *testing.T, n *node) { n.impostor(t, says([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))) }, "answer is none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			c.agent(t, n)
			r := n.run(t, strings.NewReader(n.descriptor()))
			require.Equal(t, 0, r.status, "%+v", r)
			require.Contains(t, r.stdout, "allowed: "+n.name)
			require.NotContains(t, r.stdout, "all of them")
			require.Contains(t, r.stderr, "verifying without the agent")
			require.Contains(t, r.stderr, c.reason)
		})
	}
}

// TestAnAgentThatNeverAnswers: it has taken the call, so time is up before
// anybody knows; that refuses, and says why.
func TestAnAgentThatNeverAnswers(t *testing.T) {
	n := newNode(t)
	n.impostor(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte{relay.Ack})
		_, _ = io.Copy(io.Discard, conn)
	})
	r := n.ask(t, n.descriptor(), "PLOMB_TIMEOUT=1s")
	require.Equal(t, 1, r.status, "%+v", r)
	require.Contains(t, r.stdout, "undecided: "+n.name)
	require.Contains(t, r.stdout, "the agent did not answer within 1s")
}

// TestTooMuchStandardInput goes to nobody, and is refused.
func TestTooMuchStandardInput(t *testing.T) {
	n := newNode(t)
	var called atomic.Bool
	n.agent(t, func(context.Context, []string, []byte) (int, []byte) { called.Store(true); return 0, []byte("x\n") })
	r := n.ask(t, n.descriptor()+strings.Repeat(" ", relay.MaxStdin))
	require.Equal(t, 1, r.status, "%+v", r)
	require.Contains(t, r.stdout, "too large")
	require.False(t, called.Load())
}

// TestSettingsThatCannotBeMeant are not sent round either.
func TestSettingsThatCannotBeMeant(t *testing.T) {
	n := newNode(t)
	n.agent(t, func(context.Context, []string, []byte) (int, []byte) { return 0, []byte("x\n") })
	r := n.run(t, strings.NewReader(n.descriptor()), "PLOMB_TIMEOUT=soon")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.stdout, "PLOMB_TIMEOUT")
	r = n.run(t, strings.NewReader(n.descriptor()), "PLOMB_SOCKET=@"+n.path("agent.sock"))
	require.Contains(t, r.stderr, "not an absolute path", "an abstract name is anybody's")
	require.Equal(t, 0, r.status, r.stdout)
}

// TestManyAtOnce: each call gets the answer to itself.
func TestManyAtOnce(t *testing.T) {
	const calls = 300
	n := newNode(t)
	n.agent(t, func(_ context.Context, _ []string, stdin []byte) (int, []byte) {
		return 1, append([]byte("denied: "), append(stdin, '\n')...)
	})
	var wg sync.WaitGroup
	var fellBack atomic.Int64
	results := make([]error, calls)
	for i := range calls {
		wg.Go(func() {
			r, err := n.start(strings.NewReader(fmt.Sprint("call ", i)))
			switch {
			case err != nil:
			case strings.Contains(r.stderr, "nobody is there") && r.status == 1: // a machine that is this busy
				fellBack.Add(1)
			case r.status != 1 || r.stdout != fmt.Sprintf("denied: call %d\n", i):
				err = fmt.Errorf("%+v", r)
			}
			results[i] = err
		})
	}
	wg.Wait()
	for _, err := range results {
		require.NoError(t, err)
	}
	t.Logf("%d of %d calls found the agent too busy", fellBack.Load(), calls)
}

// TestBeforeAnythingHeavy: the agent's answer ends the process before the
// packages that only a verification needs are initialised.
func TestBeforeAnythingHeavy(t *testing.T) {
	n := newNode(t)
	heavy := regexp.MustCompile(`^(cuelang\.org/|github\.com/cockroachdb/|google\.golang\.org/|github\.com/sigstore/|go\.opentelemetry\.io/|` +
		`encoding/json$|regexp$|net$|net/http$|crypto/x509$|github\.com/open-policy-agent/opa/v1/(ast|rego)$|os$|time$)`)
	packages := func(r result) (all, found []string) {
		for _, m := range regexp.MustCompile(`(?m)^init (\S+) @`).FindAllStringSubmatch(r.stderr, -1) {
			all = append(all, m[1])
			if heavy.MatchString(m[1]) {
				found = append(found, m[1])
			}
		}
		return all, found
	}
	_, alone := packages(n.run(t, strings.NewReader(n.descriptor()), "GODEBUG=inittrace=1"))
	require.Greater(t, len(alone), 20, "the packages are there")

	n.agent(t, func(context.Context, []string, []byte) (int, []byte) { return 0, []byte("x\n") })
	r := n.ask(t, n.descriptor(), "GODEBUG=inittrace=1")
	require.Equal(t, "x\n", r.stdout)
	all, before := packages(r)
	require.Contains(t, all, "runtime")
	require.Empty(t, before)
}
