// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/nri"
	"github.com/plombproject/plomb/plugin/store"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

const (
	// maxBackground is how many images may wait for a verification that nobody
	// waits for; kubelet asks again for those that found no place.
	maxBackground = 1024
	// workers verify them.
	workers = 4
	// maxNames and maxTargets bound how many names and targets of one image on
	// the node are tried.
	maxNames, maxTargets = 4, 4
	// lateReason is how long the reason of a verification that came to no verdict
	// is told to who asks again; no longer, since the next may come to one.
	lateReason = 5 * time.Second
	// recheckTime is how often containers that run are looked at again: whether
	// they still run, and have a verdict.
	recheckTime = time.Minute
	// maxRunning bounds how many are.
	maxRunning = 8192
	// maxReasons bounds how many are kept.
	maxReasons = 256
)

// errNoVerdict is the reason before the first verification of an image on the node.
var errNoVerdict = errors.New("there is no verdict yet and verification has been started: try again in a few seconds")

// containers is the gate for images on the node: what creates ask comes from
// memory, and what is not there is looked for in the background.
type containers struct {
	gate  *gate
	store *store.Store
	queue chan nri.Container

	mu      sync.Mutex
	queued  map[string]bool
	reasons map[string]late
	// running were found by containerd's account of them, or created since.
	running []nri.Container
}

// errNameless reports an image that no name leads to.
var errNameless = errors.New("no image with this digest and the name of a registry is on the node")

// late is a decision that was no verdict.
type late struct {
	decision *decision.Decision
	at       time.Time
}

var _ nri.Gate = (*containers)(nil)

func newContainers(g *gate, s *store.Store) *containers {
	return &containers{gate: g, store: s, queue: make(chan nri.Container, maxBackground), queued: map[string]bool{}, reasons: map[string]late{}}
}

// Known implements nri.Gate. Without a verdict the image is undecided, which a
// node that does not enforce, its snapshot or a break-glass admits all the same.
func (c *containers) Known(ctx context.Context, of nri.Container) (admission.Outcome, bool) {
	q := Question{Point: receipt.Create, Name: of.Name, Subject: of.Subject}
	if len(of.Digests) > 0 {
		q.Descriptor.Digest = of.Digests[0]
	}
	if d := c.verdict(of); d != nil {
		c.gate.metrics.cacheHits.WithLabelValues(string(q.Point)).Inc()
		out := c.gate.settle(ctx, q, bindir.Judgement{Decision: d, Cached: true})
		c.watch(of, out)
		return out, true
	}
	c.gate.metrics.cacheMisses.WithLabelValues(string(q.Point)).Inc()
	d, recent := c.lately(of)
	if !recent {
		d = verify.Refused(of.Name, q.Descriptor, errNoVerdict, c.gate.now())
		c.Verify(of)
	}
	out := c.gate.settle(ctx, q, bindir.Judgement{Decision: d})
	c.watch(of, out)
	return out, recent || out.Admitted
}

// watch has an image that a container was created of counted among those that
// run, so that what a node that only looks on lets start is told by its status.
// Known is called twice for one container.
func (c *containers) watch(of nri.Container, out admission.Outcome) {
	if !out.Admitted {
		return
	}
	// A self-test removes what it creates, and proves more than a list could.
	if _, probe, _ := canary.Policy(c.gate.settings.Canary(), of.Name, c.gate.now()); probe {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	same := func(r nri.Container) bool { return r.Subject == of.Subject && keyOf(r) == keyOf(of) }
	if len(c.running) < maxRunning && !slices.ContainsFunc(c.running, same) {
		c.running = append(c.running, of)
	}
}

// verdict is the one in force that admits the image, or failing that, one that
// denies it under its own name.
func (c *containers) verdict(of nri.Container) *decision.Decision {
	found := c.gate.verdicts.Find(c.gate.inForce(of.Name).basis, c.gate.now(), of.Digests...)
	for _, d := range found {
		if d.Verdict == decision.Allow || d.Image.Name == of.Name {
			return d
		}
	}
	return nil
}

// Verify implements nri.Gate.
func (c *containers) Verify(of nri.Container) {
	if len(of.Digests) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queued[keyOf(of)] {
		return
	}
	select {
	case c.queue <- of:
		c.queued[keyOf(of)] = true
	default:
		c.gate.log.Warn("too many images wait for verification", "subject", of.Subject, "image", of.Name)
	}
}

// Found implements nri.Gate.
func (c *containers) Found(running []nri.Container) {
	c.mu.Lock()
	c.running = running
	c.mu.Unlock()
	for _, of := range running {
		c.note(of)
	}
	c.gate.metrics.unverified.Set(float64(len(c.unverified())))
}

// note makes a receipt for a container that was found running, and has it
// verified if nobody did.
func (c *containers) note(of nri.Container) {
	q := Question{Point: receipt.Running, Name: of.Name, Subject: of.Subject}
	if len(of.Digests) > 0 {
		q.Descriptor.Digest = of.Digests[0]
	}
	d := c.verdict(of)
	cached := d != nil
	if !cached {
		d = verify.Refused(of.Name, q.Descriptor, errNoVerdict, c.gate.now())
		c.Verify(of)
	}
	c.gate.settle(context.Background(), q, bindir.Judgement{Decision: d, Cached: cached})
}

// unverified are the containers that run and have no verdict that admits them by
// now.
func (c *containers) unverified() []control.Running {
	c.mu.Lock()
	running := slices.Clone(c.running)
	c.mu.Unlock()
	list := []control.Running{}
	for _, of := range running {
		r := control.Running{Subject: of.Subject, Name: of.Name, Verdict: decision.Undecided, Reason: errNoVerdict.Error()}
		if len(of.Digests) > 0 {
			r.Digest = of.Digests[0]
		}
		d := c.verdict(of)
		if d == nil {
			d, _ = c.lately(of)
		}
		if d != nil {
			if d.Verdict == decision.Allow {
				continue
			}
			r.Verdict, r.Reason = d.Verdict, d.Reason
		}
		list = append(list, r)
	}
	return list
}

// run verifies what is queued until ctx ends.
func (c *containers) run(ctx context.Context) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				select {
				case of := <-c.queue:
					c.background(ctx, of)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	all.Wait()
}

// background looks for a verdict that admits the image under one of its names.
func (c *containers) background(ctx context.Context, of nri.Container) {
	defer func() {
		if p := recover(); p != nil {
			c.gate.log.Error("verifying in the background failed", "subject", of.Subject, "panic", p)
		}
		c.mu.Lock()
		delete(c.queued, keyOf(of))
		c.mu.Unlock()
	}()
	ctx, cancel := context.WithTimeout(ctx, 2*c.gate.settings.Timeout)
	defer cancel()
	d := c.search(ctx, of)
	c.gate.log.Info("verified in the background", "subject", of.Subject, "decision", d.Line())
	if d.Verdict == decision.Allow {
		c.forget(of)
	} else {
		c.remember(of, d)
	}
	if c.runs(of) {
		q := Question{Point: receipt.Running, Name: of.Name, Subject: of.Subject}
		c.gate.settle(ctx, q, bindir.Judgement{Decision: d})
	}
}

// search tries the names and targets of an image until one is allowed. Of those
// that are not, it gives the first that was decided.
func (c *containers) search(ctx context.Context, of nri.Container) *decision.Decision {
	last := verify.Refused(of.Name, ocispec.Descriptor{Digest: of.Digests[0]}, errNameless, c.gate.now())
	tried := false
	for _, target := range c.targets(ctx, of) {
		for _, name := range c.names(ctx, of, target) {
			q := Question{Point: receipt.Create, Name: name, Descriptor: ocispec.Descriptor{Digest: target}, Subject: of.Subject, Stored: c.store.At(name)}
			d := c.gate.judge(ctx, q).Decision
			if d.Verdict == decision.Allow {
				return d
			}
			if !tried || last.Verdict == decision.Undecided && d.Verdict == decision.Deny {
				last, tried = d, true
			}
		}
	}
	return last
}

// runs tells whether a container was found running, or created since.
func (c *containers) runs(of nri.Container) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.running, func(r nri.Container) bool { return r.Subject == of.Subject && keyOf(r) == keyOf(of) })
}

// recheck has running containers verified again that have no verdict anymore: it
// has expired, or policy and trusted roots are others. Those that ended are
// dropped; alive tells the subjects of those that did not.
func (c *containers) recheck(ctx context.Context, alive func(context.Context) (map[string]bool, error)) {
	tick := time.NewTicker(recheckTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		subjects, err := alive(ctx)
		if err != nil { // containerd is restarting; NRI tells what runs when it is back
			continue
		}
		for _, of := range c.drop(subjects) {
			if c.verdict(of) == nil {
				c.Verify(of)
			}
		}
	}
}

// drop forgets the containers that do not run any more, and returns the others.
func (c *containers) drop(alive map[string]bool) []nri.Container {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = slices.DeleteFunc(slices.Clone(c.running), func(of nri.Container) bool { return !alive[of.Subject] })
	return slices.Clone(c.running)
}

// targets are the digests that the image could be verified by: those it is known
// by, and for a config what it is the config of.
func (c *containers) targets(ctx context.Context, of nri.Container) []digest.Digest {
	list := []digest.Digest{of.Digests[0]}
	for i, d := range of.Digests {
		found, err := c.store.Resolve(ctx, d)
		if err != nil {
			c.gate.log.Warn("containerd's images cannot be listed", "error", err)
			break
		}
		if i == 0 && len(found) > 0 && !slices.Contains(found, d) {
			list = nil // it is a config
		}
		list = append(list, found...)
	}
	return first(list, maxTargets)
}

// names are what the image is called on the node, those first that a policy is
// about: others could be anybody's, and as many as he likes. Of these the one
// that the runtime gave is the first.
func (c *containers) names(ctx context.Context, of nri.Container, target digest.Digest) []string {
	found, err := c.store.Names(ctx, target)
	if err != nil {
		c.gate.log.Warn("containerd's images cannot be listed", "error", err)
	}
	if of.Name != "" {
		found = slices.Insert(found, 0, of.Name)
	}
	set := c.gate.inForce(of.Name).policy
	welcome, others := []string{}, []string{}
	for _, name := range found {
		if set != nil {
			if _, err := set.Select(name, target); err != nil {
				others = append(others, name)
				continue
			}
		}
		welcome = append(welcome, name)
	}
	return first(append(welcome, others...), maxNames)
}

// first are the first different ones.
func first[T comparable](list []T, most int) []T {
	var out []T
	for _, v := range list {
		if len(out) < most && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func keyOf(of nri.Container) string { return fmt.Sprint(of.Name, of.Digests) }

func (c *containers) lately(of nri.Container) (*decision.Decision, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.reasons[keyOf(of)]
	if age := c.gate.now().Sub(l.at); !ok || age < 0 || age > lateReason {
		return nil, false
	}
	return l.decision, true
}

func (c *containers) remember(of nri.Container, d *decision.Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.reasons) >= maxReasons {
		clear(c.reasons)
	}
	short := *d
	short.Checks = nil // of any length, and in no answer
	c.reasons[keyOf(of)] = late{&short, c.gate.now()}
}

func (c *containers) forget(of nri.Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reasons, keyOf(of))
}
