// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// shutdownTime is how long answers that are under way get at the end.
	shutdownTime = 2 * time.Second
	// maxScrapes is how many requests for metrics are answered at a time.
	maxScrapes = 4
	// maxScrapers is how many connections there are for that. Every user of the
	// node can make them, and containers start only while the agent has memory
	// and files to open.
	maxScrapers = 16
)

// silent is the log of a server whose callers' mistakes are theirs.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }

// healthHandler serves /metrics, /healthz (the agent runs) and /readyz (it has
// what it decides by).
func (a *agent) healthHandler() http.Handler {
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
	var refreshing sync.Mutex
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if refreshing.TryLock() { // it reads a file for each container
			a.refresh()
			refreshing.Unlock()
		}
		metrics.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := a.gate.reloader.inForce().ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// serveHealth serves metrics and health until ctx ends. An address that is
// taken is a fault and no reason to verify nothing: it is tried again.
func (a *agent) serveHealth(ctx context.Context) {
	if a.settings.Node.Metrics == "off" {
		return
	}
	for {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.settings.Node.Metrics)
		if err == nil {
			a.faults.set("metrics", nil)
			err = a.serveHealthAt(ctx, l)
		}
		if ctx.Err() != nil {
			return
		}
		a.faults.set("metrics", fmt.Errorf("metrics are not served at %s: %w", a.settings.Node.Metrics, err))
		select {
		case <-time.After(retryTime):
		case <-ctx.Done():
			return
		}
	}
}

func (a *agent) serveHealthAt(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: a.healthHandler(), ReadTimeout: controlTime, WriteTimeout: controlTime, IdleTimeout: controlTime,
		MaxHeaderBytes: maxQuestion, ErrorLog: silent(),
	}
	return serveHTTP(ctx, server, &callers{Listener: l, open: make(chan struct{}, maxScrapers)})
}

// serveHTTP serves until ctx ends, and then lets answers under way end.
func serveHTTP(ctx context.Context, server *http.Server, l net.Listener) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
		defer cancel()
		if server.Shutdown(end) != nil {
			server.Close()
		}
	})
	err := server.Serve(l)
	if stop() || !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-stopped
	return nil
}
