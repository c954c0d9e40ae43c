// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/stand"
)

// A fault is one row: what breaks, and what becomes of images then. An unsigned
// one is neither pulled nor made a container of, whatever the row; afterwards
// everything works again, and every answer has its receipt.
type fault struct {
	name string
	// spoil breaks the node and returns how it is mended.
	spoil func(n *node) (mend func())
	// pull is what becomes of a signed image that is not on the node yet, and
	// create of one that was pulled before, and has a verdict.
	pull, create outcome
	// look is for what else is to be seen while it is broken.
	look func(n *node)
	// open tells that containerd asks nobody about pulls, unrecorded that there
	// can be no receipts of refusals, and lost that what was written meanwhile
	// goes when it is mended.
	open, unrecorded, lost bool
	// remedy is what an administrator does; empty: nothing, it passes by itself.
	remedy string
}

// An outcome of a fault for a signed image.
type outcome struct {
	kind string
	// reason is a part of the refusal.
	reason string
}

const (
	worksKind   = "works"
	soonKind    = "works when tried again"
	refusedKind = "refused"
)

var (
	works = outcome{kind: worksKind}
	soon  = outcome{kind: soonKind, reason: "there is no verdict yet"}
	// locked is what containerd says without the agent.
	locked = refused(`required plugin "plomb" not present`)
)

func refused(reason string) outcome { return outcome{kind: refusedKind, reason: reason} }

// is compares an outcome with what happens.
func (o outcome) is(n *node, what string, try func() error) {
	n.t.Helper()
	err := try()
	switch o.kind {
	case worksKind:
		require.NoError(n.t, err, what)
	case soonKind:
		require.ErrorContains(n.t, err, o.reason, what)
		n.soon(what, try)
	case refusedKind:
		require.Error(n.t, err, what)
		// The first call on a plugin that went away says so in its own words, and
		// what has to be verified is refused for that before there is a reason.
		n.soon(what, func() error {
			if strings.Contains(err.Error(), o.reason) {
				return nil
			}
			err = try()
			require.Error(n.t, err, what)
			return err
		})
	}
}

// rows are all of them, in the order of the documentation.
func rows() []group {
	return []group{
		{"The agent", agentFaults}, {"Sockets and ports", socketFaults}, {"Disk and state", stateFaults},
		{"Policy, trust and settings", ruleFaults}, {"Registry", registryFaults}, {"containerd and the verifier", containerdFaults},
	}
}

type group struct {
	name   string
	faults []fault
}

// TestFaults breaks one node in every way, one after the other.
func TestFaults(t *testing.T) {
	n := newNode(t)
	n.honest()
	for _, g := range rows() {
		for _, f := range g.faults {
			t.Run(f.name, func(t *testing.T) {
				outer := n.t
				n.t = t
				defer func() { n.t = outer }()
				n.endure(f)
			})
		}
	}
}

// endure is one row.
func (n *node) endure(f fault) {
	good, bad, later := n.image(signed), n.image(unsigned), n.image(signed)
	n.ledger.open, n.ledger.unrecorded = f.open || f.lost, f.unrecorded
	began, mend, mended := time.Now(), func() {}, false
	defer func() {
		n.t.Logf("%.1f s", time.Since(began).Seconds())
		if !mended { // the row failed: the next ones are to have a chance
			mend()
			n.revive()
		}
		if n.t.Failed() {
			n.ledger.given = nil
		}
	}()
	mend = f.spoil(n)
	f.pull.is(n, "pull of a signed image", func() error { return n.pull(good) })
	n.notPulled(bad, f.open)
	f.create.is(n, "container of a signed image", func() error { return n.create(n.known) })
	n.notStarted(n.stored)
	if f.look != nil {
		f.look(n)
	}
	mended = true
	mend()
	n.ledger.open, n.ledger.unrecorded = false, false
	n.recovered(later, bad)
	n.honest()
}

// notPulled demands that an unsigned image is not pulled; where containerd asks
// nobody, that it is of no use.
func (n *node) notPulled(i image, open bool) {
	n.t.Helper()
	err := n.pull(i)
	if open {
		require.NoError(n.t, err)
		n.notStarted(i)
		require.NoError(n.t, n.cri.RemoveImage(n.t.Context(), i.ref))
		return
	}
	require.Error(n.t, err, "an unsigned image is pulled")
	_, err = n.cri.ImageStatus(n.t.Context(), i.ref)
	if !errors.Is(err, cri.ErrNoImage) {
		require.ErrorContains(n.t, err, "connect", "an unsigned image is on the node")
	}
}

// notStarted demands that no container is made of an unsigned image.
func (n *node) notStarted(i image) {
	n.t.Helper()
	for range 2 {
		_, err := n.container(i)
		require.Error(n.t, err, "a container of an unsigned image")
	}
}

// recovered demands that everything is as before.
func (n *node) recovered(good, bad image) {
	n.t.Helper()
	n.soon("a signed image is pulled again", func() error { return n.pull(good) })
	var id string
	n.soon("a container of a signed image starts again", func() (err error) {
		id, err = n.container(good)
		return err
	})
	require.NoError(n.t, n.cri.StartContainer(n.t.Context(), id))
	runs, err := n.cri.Running(n.t.Context(), id)
	require.NoError(n.t, err)
	require.True(n.t, runs)
	require.NoError(n.t, n.cri.RemoveContainer(n.t.Context(), id))
	n.soon("so does one of an image with an old verdict", func() error { return n.create(n.known) })
	n.notPulled(bad, false)
	n.notStarted(n.stored)
}

// revive starts what a row that failed left dead.
func (n *node) revive() {
	n.registry.behave()
	if _, runs := n.PID(stand.Containerd); !runs {
		_ = n.StartDaemon(n.t.Context(), stand.Containerd)
	}
	if _, runs := n.PID(stand.Agent); !runs {
		_ = n.StartAgent(n.t.Context())
	}
	n.ledger.open, n.ledger.unrecorded = false, false
}
