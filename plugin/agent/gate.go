// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/plugin/verdicts"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/receipt"
)

// A Question is one image that somebody is about to use.
type Question struct {
	// Point is where it is asked.
	Point receipt.Point
	// Name is the fully qualified name, and Descriptor what would be run.
	Name       string
	Descriptor ocispec.Descriptor
	// Subject is the pod and container, if there is one.
	Subject string
	// Stored, if not nil, is a place on this node to look at before the registry.
	Stored evidence.Location
}

// gate is the one way to an answer: a remembered verdict or a verification, then
// the rules of the node, then the receipt.
type gate struct {
	settings settings.Settings
	log      *slog.Logger
	metrics  *metrics
	now      func() time.Time

	reloader *reloader
	verdicts *verdicts.Store
	flights  *flights
	large    *large
	recorder bindir.Recorder
	// credentials is judge.Judge's.
	credentials func(ctx context.Context, image string) func(host string) (user, secret string, err error)
}

// Ask answers within the time of one verification. The receipt is on disk when
// it returns.
func (g *gate) Ask(ctx context.Context, q Question) admission.Outcome {
	judging, cancel := context.WithTimeout(ctx, g.settings.Timeout)
	defer cancel()
	return g.settle(ctx, q, g.judge(judging, q))
}

// judge finds the verdict, or makes one.
func (g *gate) judge(ctx context.Context, q Question) bindir.Judgement {
	f := g.inForce(q.Name)
	if d := g.verdicts.Get(f.basis, q.Name, q.Descriptor.Digest, g.now()); d != nil {
		g.metrics.cacheHits.WithLabelValues(string(q.Point)).Inc()
		return bindir.Judgement{Decision: d, Cached: true}
	}
	g.metrics.cacheMisses.WithLabelValues(string(q.Point)).Inc()
	return bindir.Judgement{Decision: g.verify(ctx, f, q)}
}

// inForce is what counts for a name: what was loaded, or for one that a proof of
// enforcement is about, the policy of that proof.
func (g *gate) inForce(name string) *inForce {
	f := g.reloader.inForce()
	set, ok, err := canary.Policy(g.settings.Canary(), name, g.now())
	if err == nil && !ok {
		return f
	}
	proof := &inForce{policy: set, policyErr: err, roots: f.roots, brief: true}
	if err == nil {
		proof.basis = verdicts.Basis{Policy: set.Digest(), Trust: f.roots.digest, Verifier: g.reloader.verifier}
	}
	return proof
}

// verify joins or starts the verification. What was loaded is part of its key: a
// question that is asked after a reload does not get the answer of before.
func (g *gate) verify(ctx context.Context, f *inForce, q Question) *decision.Decision {
	key := fmt.Sprintf("%q %s %+v %t %t", q.Name, q.Descriptor.Digest, f.basis, q.Stored != nil, q.Point == receipt.Pull)
	d, err := g.flights.do(ctx, key, registryOf(q.Name), func(ctx context.Context) *decision.Decision {
		// Another flight may have landed since the caller looked.
		if d := g.verdicts.Get(f.basis, q.Name, q.Descriptor.Digest, g.now()); d != nil {
			return d
		}
		return g.decide(ctx, f, q)
	})
	if err == nil && d == nil {
		err = fmt.Errorf("%w: it gave no decision", verify.ErrPanic)
	}
	if err != nil {
		return verify.Refused(q.Name, q.Descriptor, err, g.now())
	}
	return d
}

// decide verifies, and remembers.
func (g *gate) decide(ctx context.Context, f *inForce, q Question) *decision.Decision {
	start := time.Now()
	ctx, end := g.large.begin(ctx)
	defer end()
	d := g.judged(ctx, g.judgeBy(f), f, q)
	g.metrics.verifications.WithLabelValues(string(d.Verdict)).Inc()
	g.metrics.verifying.Observe(time.Since(start).Seconds())
	g.metrics.requests.Add(float64(d.Requests))
	g.verdicts.Put(f.basis, d, f.brief || d.Verdict == decision.Allow && basisOf(f.policy, d) == onMemory)
	return d
}

// judgeBy is the one call of verify with what is in force.
func (g *gate) judgeBy(f *inForce) *judge.Judge {
	return &judge.Judge{Settings: g.settings, Credentials: g.credentials, Load: f.load, Trust: f.roots, Around: weigh}
}

// settle says what becomes of the image, by the node's mode, snapshot and
// break-glass, writes the receipt, and tells.
func (g *gate) settle(ctx context.Context, q Question, j bindir.Judgement) admission.Outcome {
	// Who gives up gets no answer, but what was asked is in the receipts.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bindir.Settle)
	defer cancel()
	out := g.recorder.Settle(ctx, q.Point, j, decision.OneLine(q.Subject))
	for _, fault := range out.Faults {
		g.log.Error("the node is at fault", "error", fault)
	}
	g.metrics.decided(q.Point, out)
	g.say(q, j, out)
	return out
}

// say logs an answer, loudly what is admitted against its verdict.
func (g *gate) say(q Question, j bindir.Judgement, out admission.Outcome) {
	level := slog.LevelInfo
	if out.Decision.Verdict != decision.Allow && (!out.Admitted || out.By == admission.ByBreakGlass || out.Mode == admission.Warn) {
		level = slog.LevelWarn
	}
	g.log.Log(context.Background(), level, out.Line(), "point", q.Point, "subject", q.Subject, "verdict", out.Decision.Verdict,
		"code", out.Decision.Code, "admitted", strconv.FormatBool(out.Admitted), "by", out.By, "mode", out.Mode, "cached", j.Cached)
}

// pulls is the gate for plomb-verifier's calls.
type pulls struct{ gate *gate }

var _ bindir.Gate = pulls{}

// Judge implements bindir.Gate.
func (p pulls) Judge(ctx context.Context, name string, desc ocispec.Descriptor) bindir.Judgement {
	return p.gate.judge(ctx, Question{Point: receipt.Pull, Name: name, Descriptor: desc})
}

// Admit implements bindir.Gate.
func (p pulls) Admit(ctx context.Context, j bindir.Judgement) admission.Outcome {
	i := j.Decision.Image
	return p.gate.settle(ctx, Question{Point: receipt.Pull, Name: i.Name, Descriptor: ocispec.Descriptor{Digest: i.Digest}}, j)
}

// answer is relay.Handler.
func (p pulls) answer(ctx context.Context, args []string, stdin []byte) (status int, stdout []byte) {
	status, stdout, _ = bindir.Answer(ctx, p.gate.settings.Timeout, p, args, bytes.NewReader(stdin))
	return status, stdout
}
