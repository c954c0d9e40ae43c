// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/plugin/verdicts"
	"github.com/plombproject/plomb/verify/policy"
)

// errNotLoaded is the reason while no policy was ever read.
var errNotLoaded = errors.New("no policy has been read yet")

// inForce is what decisions are made by at one time. It does not change; a
// reload makes another one.
type inForce struct {
	// policy is the last good set; nil, with policyErr, if there was none yet.
	policy    *policy.Set
	policyErr error
	roots     *roots
	// basis is what a verdict that is made with it rests on.
	basis verdicts.Basis
	// brief tells that verdicts are of no use for long.
	brief bool

	policyLoaded, trustLoaded control.Loaded
}

// load is judge.Judge.Load.
func (f *inForce) load() (*policy.Set, error) {
	if f.policy == nil {
		return nil, f.policyErr
	}
	return f.policy, nil
}

// reloader keeps what is in force up to date with the files. What is broken
// leaves the last good one in force, and is said in status, metrics and log.
type reloader struct {
	settings settings.Settings
	verifier string
	log      *slog.Logger
	metrics  *metrics
	now      func() time.Time

	mu      sync.Mutex // one reload at a time
	seen    string     // the fingerprint of the files at the last one
	current atomic.Pointer[inForce]
}

func newReloader(s settings.Settings, verifier string, log *slog.Logger, m *metrics) *reloader {
	r := &reloader{settings: s, verifier: verifier, log: log, metrics: m, now: time.Now}
	r.current.Store(&inForce{policyErr: errNotLoaded, roots: &roots{}})
	return r
}

// inForce is what counts now.
func (r *reloader) inForce() *inForce { return r.current.Load() }

// reload reads the files again if they look different than at the last time, or
// if something was wrong with them.
func (r *reloader) reload() {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := fingerprint(r.settings)
	if seen == r.seen {
		return
	}
	last := r.inForce()
	next := &inForce{policy: last.policy, policyLoaded: last.policyLoaded, trustLoaded: last.trustLoaded}
	policyErr := r.readPolicy(next)
	r.readTrust(next, last)
	if next.policy != nil {
		next.basis = verdicts.Basis{Policy: next.policy.Digest(), Trust: next.roots.digest, Verifier: r.verifier}
	}
	r.current.Store(next)
	r.metrics.loaded(next)
	r.seen = seen
	if policyErr != nil || next.trustLoaded.Error != "" {
		r.seen = "" // it may pass: look again at the next poll
	}
	if next.basis != last.basis {
		r.log.Info("policy and trusted roots in force", "policy", next.basis.Policy, "policies", policies(next.policy),
			"from", next.policyLoaded.Where, "trust", next.basis.Trust, "roots", next.trustLoaded.Where)
	}
}

func policies(s *policy.Set) int {
	if s == nil {
		return 0
	}
	return len(s.Policies())
}

func (r *reloader) readPolicy(next *inForce) error {
	next.policyLoaded.Where = r.settings.Policy
	set, err := judge.LoadPolicy(r.settings)
	if err != nil {
		r.metrics.reloadErrors.WithLabelValues("policy").Inc()
		if next.policyLoaded.Error != err.Error() {
			r.log.Error("the policy cannot be used", "folder", r.settings.Policy, "error", err, "remains", remains(next.policy != nil))
		}
		next.policyErr, next.policyLoaded.Error = err, err.Error()
		return err
	}
	if next.policy == nil || next.policy.Digest() != set.Digest() {
		next.policy = set
		next.policyLoaded.Digest, next.policyLoaded.At = set.Digest(), r.now().UTC()
	}
	next.policyLoaded.Error = ""
	return nil
}

func (r *reloader) readTrust(next, last *inForce) {
	next.roots = readRoots(r.settings, last.roots)
	fault := next.roots.fault()
	if fault != "" {
		r.metrics.reloadErrors.WithLabelValues("trust").Inc()
		if fault != last.trustLoaded.Error {
			r.log.Error("a trusted root cannot be used", "error", fault, "remains", remains(next.roots.good()))
		}
	}
	if next.trustLoaded.Digest != next.roots.digest {
		next.trustLoaded.Digest, next.trustLoaded.At = next.roots.digest, r.now().UTC()
	}
	next.trustLoaded.Where, next.trustLoaded.Error = next.roots.where, fault
}

func remains(good bool) string {
	if good {
		return "the last good one stays in force"
	}
	return "there is none, and images are undecided"
}

// ready tells why decisions cannot be made yet.
func (f *inForce) ready() error {
	if f.policy == nil {
		return fmt.Errorf("policy: %w", f.policyErr)
	}
	return nil
}
