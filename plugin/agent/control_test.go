// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/relay"
	"github.com/plombproject/plomb/verify/receipt"
)

// serveOperators has the control socket answer for the length of the test.
func (w *world) serveOperators() *control.Client {
	w.t.Helper()
	l, err := relay.Listen(w.settings.Control())
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveControl(ctx, l, operators{w.status, w.asked}.handler()) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	return control.New(w.settings.Control())
}

func TestControl(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	c := w.serveOperators()
	info, err := os.Stat(w.settings.Control())
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	for dgst, admitted := range map[digest.Digest]bool{good.Index: true, bad.Index: false} {
		a, err := c.Verify(t.Context(), control.Question{Point: receipt.Check, Name: w.name("app"), Digest: dgst})
		require.NoError(t, err)
		require.Equal(t, admitted, a.Admitted, a.Line)
		require.NotNil(t, a.Decision)
	}
	s, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, s.Verdicts)
	require.Equal(t, w.settings.Node.Name, s.Node)
	require.Equal(t, os.Getpid(), s.PID)
	require.NotNil(t, s.Running)

	for name, q := range map[string]control.Question{
		"point": {Point: receipt.Pull, Name: w.name("app"), Digest: good.Index},
		"mode":  {Point: receipt.Mode, Name: w.name("app"), Digest: good.Index},
		"none":  {Name: w.name("app"), Digest: good.Index},
		"short": {Point: receipt.Check, Name: w.name("app"), Digest: "sha256:1"},
	} {
		_, err := c.Verify(t.Context(), q)
		require.ErrorIs(t, err, control.ErrAgent, name)
	}
}

func TestControlRefusesOtherUsersAndTooMany(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0") // nobody's credentials are known there
	require.NoError(t, err)
	defer inner.Close()
	conn, err := net.Dial("tcp", inner.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	accepted, err := inner.Accept()
	require.NoError(t, err)
	defer accepted.Close()
	require.ErrorIs(t, relay.CheckPeer(accepted), relay.ErrPeer)

	w := newWorld(t)
	c := w.serveOperators()
	for range maxOperators {
		conn, err := net.Dial("unix", w.settings.Control())
		require.NoError(t, err)
		defer conn.Close()
	}
	_, err = c.Status(t.Context())
	require.ErrorIs(t, err, control.ErrAgent)
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	get := func(path string) (int, string) {
		rec := httptest.NewRecorder()
		w.healthHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		return rec.Code, rec.Body.String()
	}
	code, _ := get("/healthz")
	require.Equal(t, http.StatusOK, code)
	code, _ = get("/readyz")
	require.Equal(t, http.StatusOK, code)
	code, text := get("/metrics")
	require.Equal(t, http.StatusOK, code)
	for _, name := range []string{"plomb_mode", "plomb_break_glass", "plomb_enforcement_effective", "plomb_running_unverified", "plomb_nri_connected", "plomb_build_info", "plomb_loaded_timestamp_seconds"} {
		require.Contains(t, text, "\n"+name, name)
	}
	require.Contains(t, text, `plomb_mode{mode="enforce"} 1`)

	require.NoError(t, os.RemoveAll(w.settings.Policy))
	w.start()
	code, text = get("/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, text, "policy")
}

// FuzzQuestion: whatever is sent to the control socket has an answer, and
// nothing but a well-formed question about an image is asked.
func FuzzQuestion(f *testing.F) {
	f.Add(`{"point":"check","name":"registry.example/app:v1","digest":"` + digest.FromString("x").String() + `"}`)
	f.Add(`{"point":"check","point":"import"}`)
	f.Add(`[`)
	f.Fuzz(func(t *testing.T, body string) {
		asked := 0
		h := operators{ask: func(_ context.Context, q control.Question) (control.Answer, error) {
			asked++
			return control.Answer{}, nil
		}}.handler()
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/v1/verify", strings.NewReader(body)))
		require.Equal(t, asked == 1, rec.Code == http.StatusOK)
	})
}
