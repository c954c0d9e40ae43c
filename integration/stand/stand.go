// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrDifferent reports a running stand that is not the one asked for.
var ErrDifferent = errors.New("another stand runs in this folder")

// Stand is a running set of daemons. Its fields do not change while it runs.
type Stand struct {
	// Dir is the stand's folder, absolute and without symbolic links.
	Dir string
	// Bin is the folder of the programs (PLOMB_BIN).
	Bin string
	// Registry is host:port; plain http, no authentication.
	Registry string
	// BuildkitHost is buildkitd's address, unix://...
	BuildkitHost string
	// ContainerdAddress is the path of containerd's socket.
	ContainerdAddress string
	// Sigstore is the folder with trusted_root.json and signing_config.json.
	Sigstore string
	// Policy is the folder that the verifier reads.
	Policy string
	// Frontend is the frontend image with its digest; empty if none was pushed.
	Frontend string
	// Snapshotter is buildkitd's.
	Snapshotter string
	// Reused tells that Start found the stand running and left it alone.
	Reused bool

	layout           layout
	root             string
	names            []string
	sigstoreAddr     string
	streamAddr       string
	metricsAddr      string
	buildkitdProgram string
	verifierProgram  string
	workerAddress    string // of the containerd that buildkitd works in, or empty
	log              io.Writer
	logMu            *sync.Mutex
}

// TrustedRoot is the path of the local Sigstore's trusted root.
func (s *Stand) TrustedRoot() string { return filepath.Join(s.Sigstore, "trusted_root.json") }

// Start brings up what opts ask for and returns when all of it answers. A
// stand that runs already is left alone; one that was left half started is
// cleaned up first. After an error nothing of the start runs anymore, and the
// folder keeps its logs.
func Start(ctx context.Context, opts Options) (*Stand, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, err
	}
	if err := opts.checkPrograms(); err != nil {
		return nil, err
	}
	l, err := resolve(opts.Dir)
	if err != nil {
		return nil, err
	}
	// Asked before and after taking the lock: nothing, not even the lock's
	// file, may be left in a folder that is refused.
	if _, err := l.claim(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder for the stand: %w", err)
	}
	unlock, err := l.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	old, err := l.claim()
	if err != nil {
		return nil, err
	}
	if old != nil {
		s, err := reuse(ctx, l, *old, opts)
		if s != nil || err != nil {
			return s, err
		}
	}
	return startNew(ctx, l, old, opts)
}

// Open returns the stand in dir as its marker describes it, running or not.
func Open(dir string, log io.Writer) (*Stand, error) {
	l, err := resolve(dir)
	if err != nil {
		return nil, err
	}
	st, err := l.load()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = io.Discard
	}
	return fromState(l, *st, Options{Log: log}), nil
}

func fromState(l layout, st state, opts Options) *Stand {
	return &Stand{
		Dir: l.dir, Bin: st.Bin, Registry: st.Registry, Sigstore: st.SigstoreDir, Policy: st.Policy,
		BuildkitHost: "unix://" + l.buildkitSocket(), ContainerdAddress: l.containerdSocket(),
		Frontend: st.Frontend, Snapshotter: st.Snapshotter,
		layout: l, root: opts.Root, names: st.Daemons, sigstoreAddr: st.Sigstore, streamAddr: st.Stream, metricsAddr: st.Metrics,
		buildkitdProgram: st.Buildkitd, verifierProgram: st.Verifier, workerAddress: st.WorkerAddress,
		log: opts.Log, logMu: new(sync.Mutex),
	}
}

// reuse returns the running stand, or nil after cleaning up one that is not
// whole.
func reuse(ctx context.Context, l layout, st state, opts Options) (*Stand, error) {
	s := fromState(l, st, opts)
	if !s.anyRuns() {
		s.say("starting the stopped stand in %s again", l.dir)
		return nil, s.stopAll(ctx)
	}
	if err := s.healthy(ctx); err != nil {
		s.say("found a stand that is not whole (%v); cleaning up", err)
		return nil, s.stopAll(ctx)
	}
	// The env file is the last thing that a start writes.
	if _, err := os.Stat(s.EnvFile()); err != nil {
		s.say("found a stand whose start did not finish; cleaning up")
		return nil, s.stopAll(ctx)
	}
	same := st.Snapshotter == opts.Snapshotter && st.Bin == opts.Bin &&
		slices.Equal(sorted(st.Daemons), sorted(opts.Only))
	if !same {
		return nil, fmt.Errorf("%w: %s runs %s with snapshotter %s and programs of %s: run hack/down %s first",
			ErrDifferent, l.dir, strings.Join(st.Daemons, ", "), st.Snapshotter, st.Bin, l.dir)
	}
	s.Reused = true
	s.say("runs already in %s, left as it is", l.dir)
	return s, s.writeEnv()
}

func startNew(ctx context.Context, l layout, old *state, opts Options) (*Stand, error) {
	if err := l.makeFolders(); err != nil {
		return nil, err
	}
	st, err := newState(l, old, opts)
	if err != nil {
		return nil, err
	}
	// The marker comes first: from here on hack/down finds whatever starts.
	if err := l.save(st); err != nil {
		return nil, err
	}
	s := fromState(l, st, opts)
	if err := s.bringUp(ctx, opts); err != nil {
		s.say("stopping what was started")
		// The caller's context may be what ended the start.
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return nil, errors.Join(err, s.stopAll(stopCtx))
	}
	return s, nil
}

// newState decides addresses. A stand that is started again keeps its ports
// where it can, because the names of its images contain one of them.
func newState(l layout, old *state, opts Options) (state, error) {
	st := state{
		Version: stateVersion, Bin: opts.Bin, Snapshotter: opts.Snapshotter, Daemons: opts.Only,
		Buildkitd: opts.BuildkitdProgram, Verifier: opts.VerifierProgram,
		SigstoreDir: l.path("sigstore"), Policy: l.path("policy"),
	}
	ports, err := freePorts(4)
	if err != nil {
		return st, err
	}
	st.Registry, st.Sigstore, st.Stream, st.Metrics = ports[0], ports[1], ports[2], ports[3]
	if old != nil && isFree(old.Registry) && isFree(old.Sigstore) && isFree(old.Stream) && isFree(old.Metrics) {
		st.Registry, st.Sigstore, st.Stream, st.Metrics = old.Registry, old.Sigstore, old.Stream, old.Metrics
	}
	if opts.Beside != nil {
		if !opts.starts(Registry) {
			st.Registry = opts.Beside.Registry
		}
		if !opts.starts(Sigstore) {
			st.SigstoreDir = opts.Beside.Sigstore
		}
		if !opts.starts(Containerd) {
			st.Policy = opts.Beside.Policy
		}
		st.Frontend = opts.Beside.Frontend
	}
	if opts.ContainerdWorker {
		st.WorkerAddress = opts.Beside.ContainerdAddress
	}
	return st, nil
}

func (s *Stand) bringUp(ctx context.Context, opts Options) error {
	if opts.starts(Containerd) {
		if err := s.writePolicy(); err != nil {
			return err
		}
	}
	if err := s.writeRuncWrapper(); err != nil {
		return err
	}
	if err := s.startAll(ctx); err != nil {
		return err
	}
	if opts.starts(Containerd) {
		if err := s.importPause(ctx); err != nil {
			return err
		}
	}
	if opts.starts(Buildkitd) {
		if err := s.setUpBuildx(ctx); err != nil {
			return err
		}
	}
	if opts.pushesFrontend() {
		if err := s.pushFrontend(ctx); err != nil {
			return err
		}
	}
	return s.writeEnv()
}

// startAll starts the daemons side by side: none needs another one to start.
func (s *Stand) startAll(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error, len(s.names))
	for _, name := range s.names {
		go func() {
			err := s.startFirst(ctx, s.daemon(name))
			if err != nil {
				cancel()
			}
			results <- err
		}()
	}
	var all error
	for range s.names {
		// What was cancelled for another's failure says nothing of interest.
		if err := <-results; err != nil && (all == nil || !errors.Is(err, context.Canceled)) {
			all = errors.Join(all, err)
		}
	}
	return all
}

func (s *Stand) daemon(name string) daemon {
	switch name {
	case Registry:
		return s.registry()
	case Sigstore:
		return s.sigstore()
	case Buildkitd:
		return s.buildkitd()
	case Containerd:
		return s.containerd()
	case Agent:
		return s.agent()
	}
	panic("stand: no daemon is called " + name) // Options.complete has checked names
}

func (s *Stand) program(name string) string { return filepath.Join(s.Bin, name) }

// say writes a line of progress.
func (s *Stand) say(format string, args ...any) {
	s.logMu.Lock()
	defer s.logMu.Unlock()
	fmt.Fprintf(s.log, "stand: "+format+"\n", args...)
}

func splitAddr(addr string) (host, port string) {
	host, port, _ = net.SplitHostPort(addr)
	return host, port
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
