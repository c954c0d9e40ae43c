// SPDX-License-Identifier: Apache-2.0

package early

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/relay"
	"github.com/plombproject/plomb/plugin/settings"
)

// TestImportsNothingThatTakesTime: one import more, and all of its own are
// initialised before the agent is asked.
func TestImportsNothingThatTakesTime(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{join .Imports " "}}`, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, "syscall unsafe", strings.TrimSpace(string(out)))
	out, err = exec.Command("go", "list", "-deps", ".").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, p := range strings.Fields(string(out)) {
		require.NotContains(t, []string{"os", "time", "io", "fmt", "net", "reflect", "unicode"}, p)
		require.True(t, strings.HasSuffix(p, "/relay/early") || !strings.Contains(strings.Split(p, "/")[0], "."), p)
	}
}

func TestBoundsAreTheAgents(t *testing.T) {
	require.Equal(t, relay.Magic, magic)
	require.Equal(t, relay.Ack, ack)
	require.Equal(t, relay.MaxArgs, maxArgs)
	require.Equal(t, relay.MaxArg, maxArg)
	require.Equal(t, relay.MaxStdin, maxStdin)
	require.Equal(t, bindir.MaxDescriptor, maxStdin)
	require.Equal(t, relay.MaxStdout, maxStdout)
	require.Equal(t, relay.MaxStatus, maxStatus)
	require.Equal(t, settings.DefaultSocket, defaultSocket)
	require.Equal(t, settings.DefaultTimeout, time.Duration(defaultTimeout))
	require.Less(t, settings.DefaultTimeout+slack, 10*time.Second, "containerd's patience")
	require.Greater(t, time.Duration(slack), bindir.Settle+2*200*time.Millisecond, "the agent's own patience")
}

func TestRequestsAreWhatTheAgentReads(t *testing.T) {
	for _, want := range []relay.Request{
		{Args: []string{"-name", "", "é\n"}, Stdin: []byte("{}")},
		{Stdin: []byte{}},
		{Args: make([]string, maxArgs), Stdin: make([]byte, maxStdin)},
		{Args: []string{strings.Repeat("x", maxArg)}, Stdin: []byte{0}},
	} {
		data, why := request(want.Args, want.Stdin)
		require.Empty(t, why)
		require.Equal(t, relay.AppendRequest(nil, want), data)
		got, err := relay.ReadRequest(bytes.NewReader(data))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, why := request(make([]string, maxArgs+1), nil)
	require.NotEmpty(t, why)
	_, why = request([]string{strings.Repeat("x", maxArg+1)}, nil)
	require.NotEmpty(t, why)
}

func TestAnswers(t *testing.T) {
	for _, b := range [][5]byte{{126, 0, 0, 0, 9}, {255, 0, 0, 0, 9}, {0, 0, 0, 0, 0}, {0, 0, 0, 0x10, 1}, {0, 0x40, 0, 0, 0}, {0, 0xff, 0xff, 0xff, 0xff}} {
		_, _, why := header(b)
		require.NotEmpty(t, why, "%v", b)
	}
	status, n, why := header([5]byte{125, 0, 0, 0x10, 0})
	require.Equal(t, []any{125, 4096, ""}, []any{status, n, why})

	for _, good := range []string{"allowed: x\n", "é…\n"} {
		require.True(t, isLine([]byte(good)), good)
	}
	for _, bad := range []string{"", "\n", "x", "x\ny\n", "x\r\n", "\x1b[2Kx\n", "x\x00\n", "x\x7f\n", "x\n\n"} {
		require.False(t, isLine([]byte(bad)), "%q", bad)
	}
}

func TestDurations(t *testing.T) {
	for _, s := range []string{"8s", "1m30s", "1.5s", "300ms", "1ns", "100us", ".5s", "5.s", "2h", "08s"} {
		want, err := time.ParseDuration(s)
		require.NoError(t, err)
		got, ok := duration(s)
		require.True(t, ok, s)
		require.Equal(t, want, time.Duration(got), s)
	}
	for _, s := range []string{"soon", "8", "-8s", "+8s", "s", ".s", "8 s", "8d", "0s", "1..5s", "9999999999h", "999999999h", "8s8"} {
		_, ok := duration(s)
		require.False(t, ok, "%q is for main", s)
	}
}

// FuzzDuration: what is read means what it means to main.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"8s", "1m30s", "1.5s", "1e3s", "", "9223372036854775807ns"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := duration(s)
		if !ok {
			return
		}
		want, err := time.ParseDuration(s)
		require.NoError(t, err)
		require.InDelta(t, want, got, float64(time.Microsecond))
	})
}

// FuzzAnswer: an answer that is passed on is a status and one harmless line.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x02x\n"))
	f.Add([]byte("\x01\xff\xff\xff\xffx\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 5 {
			return
		}
		status, n, why := header([5]byte(data[:5]))
		if why != "" {
			return
		}
		require.True(t, status >= 0 && status <= maxStatus && n > 0 && n <= maxStdout)
		if len(data) >= 5+n && isLine(data[5:5+n]) {
			require.Equal(t, 1, bytes.Count(data[5:5+n], []byte("\n")))
			require.NotContains(t, string(data[5:5+n]), "\x1b")
		}
	})
}

func TestArguments(t *testing.T) {
	require.Equal(t, []string{"a", "", "b"}, split([]byte("a\x00\x00b\x00")))
	require.Empty(t, split(nil))
	require.True(t, isCall([]string{"-name", "x", "-stdin-media-type", "y"}))
	require.False(t, isCall([]string{"-h"}))
	require.False(t, isCall(nil))
}
