// SPDX-License-Identifier: Apache-2.0

// Package agent is the daemon of a node: it puts the points of enforcement
// around one memory of verdicts, so that an image is verified once, however
// often and wherever it is used.
//
//	plomb-verifier  → agent.sock   → pulls       ┐
//	containerd NRI  →                containers  ├ gate: verdict or verification → mode → receipt
//	plomb node      → control.sock → operators   ┘
//
// It composes: the verdict is verify's, by way of package judge; the admission
// is package admission's. Without the agent pulls are verified all the same, by
// plomb-verifier itself, and no container is created.
package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/credentials"
	"github.com/plombproject/plomb/plugin/imageservice"
	"github.com/plombproject/plomb/plugin/nri"
	"github.com/plombproject/plomb/plugin/relay"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/plugin/store"
	"github.com/plombproject/plomb/plugin/verdicts"
)

// retryTime is how long after a failure something is tried again.
const retryTime = 5 * time.Second

// Options are what the agent does not find on the node.
type Options struct {
	// Version is the program's.
	Version string
	// Log is where it says what it does.
	Log *slog.Logger
	// Prove proves that enforcement is live; nil: no self-test is made.
	Prove func(context.Context) error
}

// agent is what Run puts together.
type agent struct {
	settings settings.Settings
	opts     Options
	log      *slog.Logger
	since    time.Time

	metrics    *metrics
	faults     *faults
	receipts   *receipts
	store      *store.Store
	creds      *credentials.Chain
	gate       *gate
	containers *containers
	nri        nriState
	lastTest   atomic.Pointer[control.SelfTest]
}

// Run serves the node until ctx ends, and then answers what is under way. An
// error means that it could not begin, or that a socket was lost.
func Run(ctx context.Context, s settings.Settings, opts Options) error {
	longLived()
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	pullSocket, err := relay.Listen(s.Socket)
	if err != nil {
		return err
	}
	defer pullSocket.Close()
	controlSocket, err := relay.Listen(s.Control())
	if err != nil {
		return err
	}
	defer controlSocket.Close()
	a, err := compose(s, opts)
	if err != nil {
		return err
	}
	defer a.close()
	giveBack()
	return a.serve(ctx, pullSocket, controlSocket)
}

// compose makes the parts, and reads what decisions are made by.
func compose(s settings.Settings, opts Options) (*agent, error) {
	a := &agent{settings: s, opts: opts, log: opts.Log, since: time.Now().UTC(), metrics: newMetrics(opts.Version), faults: newFaults(opts.Log)}
	a.receipts = &receipts{settings: s, metrics: a.metrics}
	a.creds = credentials.New(s.Node.Credentials)
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return nil, fmt.Errorf("the agent's folder: %w", err)
	}
	remembered, err := verdicts.Open(s.Verdicts(), verdicts.Options{Fault: func(err error) {
		a.metrics.verdictErrors.Inc()
		a.log.Error("a remembered verdict cannot be used", "error", err)
	}})
	if err != nil {
		return nil, err
	}
	if a.store, err = store.Connect(s.Containerd); err != nil {
		return nil, err
	}
	a.gate = &gate{
		settings: s, log: a.log, metrics: a.metrics, now: time.Now, credentials: a.creds.For,
		reloader: newReloader(s, build(opts.Version), a.log, a.metrics),
		verdicts: remembered, flights: newFlights(a.metrics, s.Timeout), large: newLarge(),
		recorder: bindir.Recorder{Rules: admission.RulesOf(s), Log: a.receipts.log, Node: s.Node.Name, Verifier: "plomb " + opts.Version, Now: time.Now},
	}
	a.gate.reloader.reload()
	a.containers = newContainers(a.gate, a.store)
	return a, nil
}

func (a *agent) close() {
	if err := errors.Join(a.receipts.close(), a.store.Close()); err != nil {
		a.log.Warn("closing", "error", err)
	}
}

// serve runs the parts until ctx ends or one that must not end does.
func (a *agent) serve(ctx context.Context, pullSocket, controlSocket net.Listener) error {
	ready, disconnect, err := newReadiness(a.settings.Containerd, a.settings.Node.Kubelet)
	if err != nil {
		return err
	}
	defer disconnect()
	group, ctx := errgroup.WithContext(ctx)
	part := func(run func(context.Context)) {
		group.Go(func() error { run(ctx); return nil })
	}
	group.Go(func() error { return relay.Serve(ctx, pullSocket, pulls{a.gate}.answer) })
	group.Go(func() error {
		return serveControl(ctx, controlSocket, operators{status: a.status, ask: a.asked}.handler())
	})
	part(a.gate.reloader.watch)
	part(a.containers.run)
	part(func(ctx context.Context) { a.containers.recheck(ctx, ready.running) })
	part(a.serveImages)
	part(a.runNRI)
	part(a.serveHealth)
	part((&guard{agent: a, ready: ready.check}).watch)
	part(a.selfTests)
	part(a.remind)
	part(func(ctx context.Context) { watchdog(ctx, a.log, a.alive) })

	a.log.Info("the agent serves", "socket", a.settings.Socket, "version", a.opts.Version, "node", a.settings.Node.Name)
	notify(a.log, daemon.SdNotifyReady)
	context.AfterFunc(ctx, func() { notify(a.log, daemon.SdNotifyStopping) })
	err = group.Wait()
	a.log.Info("the agent ends", "error", err)
	return err
}

// runNRI keeps the connection that containerd asks about containers on.
func (a *agent) runNRI(ctx context.Context) {
	node := a.settings.Node.NRI
	if node.Off {
		return
	}
	err := nri.Run(ctx, nri.Options{
		Socket: node.Socket, Index: node.Index, Gate: a.containers, Log: a.log,
		OnState: func(connected bool, runtime string, err error) {
			a.nri.set(connected, runtime, err, a.gate.now())
			a.metrics.nriConnected.Set(oneIf(connected))
			if ctx.Err() == nil {
				a.faults.set("nri", err)
			}
		},
	})
	if ctx.Err() == nil {
		a.faults.set("nri", err) // options that no plugin can be run with
	}
}

// serveImages is the proxy for kubelet, if it is wanted, until ctx ends.
func (a *agent) serveImages(ctx context.Context) {
	path := a.settings.Node.ImageService.Listen
	for path != "" && ctx.Err() == nil {
		l, err := imageservice.Listen(path)
		if err == nil {
			a.faults.set("image service", nil)
			err = imageservice.Serve(ctx, l, a.settings.Containerd, a.creds.Lent)
		}
		if ctx.Err() != nil {
			return
		}
		a.faults.set("image service", fmt.Errorf("kubelet is not served at %s: %w", path, err))
		select {
		case <-time.After(retryTime):
		case <-ctx.Done():
		}
	}
}

// remind says every hour what must not be forgotten.
func (a *agent) remind(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		a.proclaim()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// alive tells whether the socket that pulls depend on still answers.
func (a *agent) alive() error {
	conn, err := net.DialTimeout("unix", a.settings.Socket, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}

// build is the version, and the digest of the program: two builds that call
// themselves the same may decide differently.
func build(version string) string {
	self, err := os.Executable()
	if err != nil {
		return version
	}
	f, err := os.Open(filepath.Clean(self))
	if err != nil {
		return version
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return version
	}
	return version + " " + digest.NewDigest(digest.SHA256, h).String()
}
