// SPDX-License-Identifier: Apache-2.0

// Package bindir is the edge to containerd's bindir image verifier
// (https://github.com/containerd/containerd/blob/main/docs/image-verification.md):
// containerd's call in, one judgement and one receipt, exit status and reason
// out.
//
//	plomb-verifier -name REF -digest SHA -stdin-media-type TYPE < descriptor
//
// It exits with 0 if and only if the image is admitted and with 1 otherwise;
// standard output is the reason, on one line. It never admits an image because
// something is missing, slow or broken; on a node in audit or warn mode it
// admits what it refuses elsewhere, and says so.
//
// Answer is for the agent as well, which is sent the same calls. It makes no
// verdicts of its own and remembers none.
package bindir

import (
	"context"
	"fmt"
	"io"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
)

const (
	// grace is how long after its deadline a judgement may take to notice,
	// before the answer is given without it.
	grace = 200 * time.Millisecond

	// Settle is how long after that an admission may take, which waits for a
	// receipt to be on disk. All of it is done before containerd kills a
	// verifier with the default settings, which nobody would get a reason for.
	Settle = 700 * time.Millisecond

	exitAdmit  = 0
	exitRefuse = 1
)

// A Judgement is a decision about the image of a call.
type Judgement struct {
	Decision *decision.Decision
	// Cached tells that the decision is an earlier one.
	Cached bool
}

// A Gate judges images, and settles what becomes of them.
type Gate interface {
	// Judge decides about one image. It should end with ctx.
	Judge(ctx context.Context, name string, desc ocispec.Descriptor) Judgement
	// Admit says what containerd is told, by the rules of the node, and makes
	// that durable. The judgement may also be one on a call that was none, or
	// that was not judged in time.
	Admit(ctx context.Context, j Judgement) admission.Outcome
}

// Answer answers one call, within timeout and a little: the exit status and the
// standard output of the program.
func Answer(ctx context.Context, timeout time.Duration, gate Gate, args []string, stdin io.Reader) (status int, stdout []byte, out admission.Outcome) {
	settling, cancel := context.WithTimeout(ctx, timeout+grace+Settle)
	defer cancel()
	c, err := readFlags(args)
	var j Judgement
	if err != nil {
		j = c.refused(err)
	} else {
		j = c.judge(ctx, timeout, gate, stdin)
	}
	out = c.admit(settling, gate, j)
	status = exitRefuse
	if out.Admitted {
		status = exitAdmit
	}
	return status, []byte(Reason(out) + "\n"), out
}

func (c call) judge(ctx context.Context, timeout time.Duration, gate Gate, stdin io.Reader) Judgement {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	done := make(chan Judgement, 1)
	go func() { done <- c.guarded(ctx, gate, stdin) }()
	select {
	case j := <-done:
		return j
	case <-after(ctx, grace):
		return c.refused(fmt.Errorf("%w after %s", context.DeadlineExceeded, timeout))
	}
}

// after fires some time after ctx has ended.
func after(ctx context.Context, d time.Duration) <-chan struct{} {
	fired := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(d, func() { close(fired) }) })
	return fired
}

// guarded turns a panic into a refusal: a crash would refuse as well, but
// without a reason that anybody reads.
func (c call) guarded(ctx context.Context, gate Gate, stdin io.Reader) (j Judgement) {
	defer func() {
		if p := recover(); p != nil {
			j = c.refused(fmt.Errorf("%w: %v; please report it", verify.ErrPanic, p))
		}
	}()
	desc, err := c.readDescriptor(stdin)
	if err != nil {
		return c.refused(err)
	}
	if j = gate.Judge(ctx, c.name, desc); j.Decision == nil {
		return c.refused(fmt.Errorf("%w: it gave no decision", verify.ErrPanic))
	}
	return j
}

// admit refuses if the gate fails to say what becomes of the image.
func (c call) admit(ctx context.Context, gate Gate, j Judgement) admission.Outcome {
	done := make(chan admission.Outcome, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- c.unsettled(fmt.Errorf("%w: %v; please report it", verify.ErrPanic, p))
			}
		}()
		out := gate.Admit(ctx, j)
		if out.Decision == nil {
			out = c.unsettled(fmt.Errorf("%w: it gave no outcome", verify.ErrPanic))
		}
		done <- out
	}()
	select {
	case out := <-done:
		return out
	case <-after(ctx, grace):
		return c.unsettled(fmt.Errorf("%w: the admission was not settled in time", context.DeadlineExceeded))
	}
}

// unsettled is the outcome of a call that no rule was applied to.
func (c call) unsettled(err error) admission.Outcome {
	return admission.Outcome{Decision: c.refused(err).Decision, By: admission.ByDecision, Mode: admission.Enforce}
}
