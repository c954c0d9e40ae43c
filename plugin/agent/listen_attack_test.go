// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every user of the node, and every pod in its network, can open connections to
// the loopback address of the metrics. They must not cost the agent, without
// which no container starts, its memory and files.
func TestMetricsHaveFewCallers(t *testing.T) {
	w := newWorld(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.serveHealthAt(ctx, inner) }()
	defer func() { cancel(); require.NoError(t, <-ended) }()

	open := 0
	for range 4 * maxScrapers {
		conn, err := net.Dial("tcp", inner.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		// Who is let in gets an answer, and then stays.
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			open++
		}
	}
	require.LessOrEqual(t, open, maxScrapers)
	require.NotZero(t, open)
}

// Only who gets metrics makes the agent look at each container for them.
func TestOnlyMetricsAreRefreshed(t *testing.T) {
	w := newWorld(t)
	w.metrics.nriConnected.Set(1) // refresh would set it back
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPost, "/metrics", nil), httptest.NewRequest(http.MethodGet, "/healthz", nil),
	} {
		w.healthHandler().ServeHTTP(httptest.NewRecorder(), r)
	}
	families, err := w.metrics.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "plomb_nri_connected" {
			require.InDelta(t, 1, f.GetMetric()[0].GetGauge().GetValue(), 0)
		}
	}
}

// What everybody on the node can read names no image and no pod.
func TestMetricsNameNoImage(t *testing.T) {
	w := newWorld(t)
	out, _ := w.containers.Known(t.Context(), container("private.example/secret-project:v1"))
	require.False(t, out.Admitted)
	rec := httptest.NewRecorder()
	w.healthHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, word := range []string{"private.example", "secret-project", "default/web"} {
		require.NotContains(t, rec.Body.String(), word)
	}
}

// A connection that server and shutdown close at the same time is one fewer,
// and not two.
func TestCallersAreCountedOnce(t *testing.T) {
	open := make(chan struct{}, 2)
	open <- struct{}{}
	open <- struct{}{}
	a, b := net.Pipe()
	defer b.Close()
	c := newCaller(a, open)
	done := make(chan struct{})
	for range 2 {
		go func() { _ = c.Close(); done <- struct{}{} }()
	}
	<-done
	<-done
	require.Len(t, open, 1)
}
