// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/integration/stand"
)

const (
	startAgain = "systemd starts it again; without systemd: `plomb node install`."
	continued  = "Find out who stopped it; SIGCONT, or a restart of the agent."
)

var agentFaults = []fault{
	{
		name: "the agent is killed before it is asked", pull: works, create: locked, remedy: startAgain,
		spoil: func(n *node) func() { n.killAgent(); return n.startAgent },
	},
	{
		name: "the agent is killed as soon as it was asked", pull: works, create: locked, remedy: startAgain,
		spoil: func(n *node) func() {
			i := n.image(signed)
			// It is stopped, so that the call waits in its queue.
			n.signalAgent(syscall.SIGSTOP)
			done := n.background(i)
			n.verifierRuns()
			n.killAgent()
			require.NoError(n.t, <-done)
			return n.startAgent
		},
	},
	{
		name: "the agent is killed while it verifies", pull: works, create: locked, remedy: startAgain,
		spoil: func(n *node) func() {
			good, bad := n.image(signed), n.image(unsigned)
			came, release := n.registry.hold()
			defer release()
			goodDone, badDone := n.background(good), n.background(bad)
			n.during(came, goodDone)
			n.killAgent()
			release()
			require.NoError(n.t, <-goodDone)
			require.ErrorContains(n.t, <-badDone, "unsigned")
			return n.startAgent
		},
	},
	{
		name: "the agent is killed while it writes a receipt", pull: works, create: locked, remedy: startAgain,
		spoil: func(n *node) func() {
			i := n.image(signed)
			release := n.lockReceipts()
			defer release()
			done := n.background(i)
			n.soon("a verification", func() error { return n.remembered(i) })
			n.killAgent()
			release()
			require.NoError(n.t, <-done)
			return n.startAgent
		},
	},
	{
		name: "the agent is killed at any moment, and starts again", pull: works, create: works,
		spoil: func(n *node) func() {
			for k := range 6 {
				var all sync.WaitGroup
				bad := n.image(unsigned)
				errs := make([]error, 3)
				for j, i := range []image{bad, n.image(signed), n.known} {
					all.Go(func() { errs[j] = n.pull(i) })
				}
				time.Sleep(time.Duration(k*15) * time.Millisecond)
				n.killAgent()
				all.Wait()
				require.Error(n.t, errs[0], "an unsigned image was pulled")
				n.startAgent()
			}
			n.soon("the agent is listed", func() error { return n.create(n.known) })
			return func() {}
		},
	},
	{
		name: "the agent is killed while it writes a verdict, and starts again", pull: works, create: works,
		spoil: func(n *node) func() {
			n.killAgent()
			// What durable.WriteFile leaves, and what a file system without order leaves of it.
			n.write(filepath.Join(n.verdicts(), ".new-123"), "half a verd")
			n.write(filepath.Join(n.verdicts(), strings.Repeat("0", 64)+".verdict"), "")
			n.startAgent()
			n.soon("the agent is listed", func() error { return n.create(n.known) })
			require.NoFileExists(n.t, filepath.Join(n.verdicts(), ".new-123"))
			return func() {}
		},
	},
	{
		name: "the agent is stopped", pull: works, create: locked, remedy: continued,
		spoil: func(n *node) func() {
			n.signalAgent(syscall.SIGSTOP)
			return func() { n.signalAgent(syscall.SIGCONT) }
		},
	},
	{
		name: "the agent is stopped while it verifies", pull: works, create: locked, remedy: continued,
		spoil: func(n *node) func() {
			good, bad := n.image(signed), n.image(unsigned)
			came, release := n.registry.hold()
			defer release()
			goodDone, badDone := n.background(good), n.background(bad)
			n.during(came, goodDone)
			n.signalAgent(syscall.SIGSTOP)
			release()
			// Should a busy machine need longer, containerd has given the verifier up.
			require.Regexp(n.t, "the agent did not answer|image verifier bindir returned error", (<-goodDone).Error())
			require.Error(n.t, <-badDone)
			return func() { n.signalAgent(syscall.SIGCONT) }
		},
	},
	{
		name: "the agent is out of memory", pull: works, create: locked, remedy: startAgain,
		spoil: func(n *node) func() {
			n.limitAgent(unix.RLIMIT_AS, 1)
			n.exhaust()
			return func() { n.killAgent(); n.startAgent() }
		},
	},
	{
		name: "the agent is out of file descriptors", pull: works, create: refused("there is no verdict yet"), unrecorded: true, remedy: "Raise the limit (LimitNOFILE=), and find out what holds them.",
		spoil: func(n *node) func() {
			before := n.limitAgent(unix.RLIMIT_NOFILE, 3)
			return func() { n.limitAgent(unix.RLIMIT_NOFILE, before) }
		},
		look: func(n *node) { require.NoError(n.t, n.remembered(n.known), "what cannot be read now is not forgotten") },
	},
	{
		name: "a second agent is started", pull: works, create: works,
		spoil: func(n *node) func() { n.agentRefuses("another agent is running"); return func() {} },
	},
	{
		name: "the agent starts before containerd", pull: works, create: works,
		spoil: func(n *node) func() {
			n.stopAgent()
			require.NoError(n.t, n.StopDaemon(n.t.Context(), stand.Containerd))
			require.NoError(n.t, n.StartAgent(n.t.Context()))
			n.startContainerd()
			return func() {}
		},
	},
	{
		name: "the agent is killed in the middle of 200 pulls of 20 images", pull: works, create: locked, remedy: startAgain,
		spoil: func(n *node) func() {
			var images []image
			for k := range 20 {
				images = append(images, n.image(k%2 == 0))
			}
			errs := make([]error, 200)
			var all sync.WaitGroup
			for k := range errs {
				all.Go(func() { errs[k] = n.pull(images[k%20]) })
			}
			n.soon("some are answered", func() error {
				if len(n.found()) < 5 {
					return errors.New("not yet")
				}
				return nil
			})
			n.killAgent()
			all.Wait()
			admitted := 0
			for k, err := range errs {
				if k%2 == 1 {
					require.Error(n.t, err, "an unsigned image was pulled")
				} else if err == nil {
					admitted++
				}
			}
			n.t.Logf("%d of 100 pulls of signed images went on without the agent", admitted)
			return n.startAgent
		},
	},
}

// background pulls and gives the end of it.
func (n *node) background(i image) <-chan error {
	done := make(chan error, 1)
	go func() { done <- n.pull(i) }()
	return done
}

// remembered tells whether there is a verdict about an image on disk.
func (n *node) remembered(i image) error {
	files, err := filepath.Glob(filepath.Join(n.verdicts(), "*.verdict"))
	if err != nil {
		return err
	}
	for _, path := range files {
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), i.ref) {
			return nil
		}
	}
	return fmt.Errorf("no verdict about %s", i.ref)
}

func (n *node) signalAgent(s syscall.Signal) {
	n.t.Helper()
	require.NoError(n.t, syscall.Kill(n.agentPID(), s))
}

// limitAgent sets a limit of the process that runs, and returns the old one.
func (n *node) limitAgent(resource int, to uint64) (before uint64) {
	n.t.Helper()
	return n.limit(n.agentPID(), resource, to)
}

func (n *node) limit(pid, resource int, to uint64) (before uint64) {
	n.t.Helper()
	var old unix.Rlimit
	require.NoError(n.t, unix.Prlimit(pid, resource, nil, &old))
	require.NoError(n.t, unix.Prlimit(pid, resource, &unix.Rlimit{Cur: to, Max: old.Max}, nil))
	return old.Cur
}

// exhaust has the agent need more memory than it may have, until it ends.
func (n *node) exhaust() {
	n.t.Helper()
	log := filepath.Join(n.Dir, "log", stand.Agent+".log")
	before := n.read(log)
	for range 30 {
		if _, runs := n.PID(stand.Agent); !runs {
			require.Regexp(n.t, "out of memory|cannot allocate memory|newosproc", n.read(log)[len(before):])
			return
		}
		var all sync.WaitGroup
		for range 8 {
			i := n.image(signed)
			all.Go(func() { _ = n.pull(i) })
		}
		all.Wait()
	}
	n.t.Fatal("the agent needs no memory")
}

// verifierRuns waits until containerd has started plomb-verifier.
func (n *node) verifierRuns() {
	n.t.Helper()
	n.soon("plomb-verifier runs", func() error {
		if len(n.verifierPIDs()) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
}

// verifierPIDs are the processes of this node's plomb-verifier.
func (n *node) verifierPIDs() []int {
	entries, err := os.ReadDir("/proc")
	require.NoError(n.t, err)
	var list []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe")); err == nil && strings.HasPrefix(exe, n.verifier()) {
			list = append(list, pid)
		}
	}
	return list
}

// lockReceipts holds the lock of the log, as a writer does whose disk hangs.
func (n *node) lockReceipts() (release func()) {
	n.t.Helper()
	f, err := os.OpenFile(filepath.Join(n.receipts(), "lock"), os.O_RDWR, 0o600)
	require.NoError(n.t, err)
	require.NoError(n.t, unix.Flock(int(f.Fd()), unix.LOCK_EX))
	return sync.OnceFunc(func() { f.Close() })
}
