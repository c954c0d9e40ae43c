// SPDX-License-Identifier: Apache-2.0

package bindir

import (
	"context"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

// CodeReceipts is the reason code of what is refused since no receipt of it can
// be written.
const CodeReceipts = "receipts"

// A Log keeps receipts; receipt.Log does.
type Log interface {
	Append(ctx context.Context, receipts ...*receipt.Receipt) (digest.Digest, error)
}

// A Recorder settles what becomes of an image, and makes a receipt of it first.
type Recorder struct {
	Rules admission.Rules
	// Log gives the log at each call, since a disk may be full for a while.
	Log func() (Log, error)
	// Node is the node's name and Verifier the program's, with its version.
	Node, Verifier string
	// Now is the clock.
	Now func() time.Time
}

// Settle applies the rules of the node to a judgement and writes the receipt.
// Without a receipt nothing is admitted that the node has to enforce; what it
// admits anyway is admitted, and the failure is among the outcome's faults.
// subject is the pod and container, at a create.
func (r Recorder) Settle(ctx context.Context, at receipt.Point, j Judgement, subject string) admission.Outcome {
	now := r.Now()
	out := r.Rules.Admit(j.Decision, now, Digests(j.Decision)...)
	rec := receipt.Of(j.Decision)
	rec.Time, rec.Node, rec.Point, rec.Subject = now, r.Node, at, subject
	rec.Admitted, rec.By, rec.Mode = out.Admitted, string(out.By), string(out.Mode)
	rec.Note = decision.OneLine(out.Note)
	rec.Verifier, rec.Cached = r.Verifier, j.Cached
	if err := r.record(ctx, &rec); err != nil {
		return r.unrecorded(out, err, now)
	}
	return out
}

// record does not wait longer for a disk than ctx.
func (r Recorder) record(ctx context.Context, rec *receipt.Receipt) error {
	done := make(chan error, 1)
	go func() {
		log, err := r.Log()
		if err == nil {
			_, err = log.Append(ctx, rec)
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w: the disk is too slow", receipt.ErrLog, context.Cause(ctx))
	}
}

// unrecorded is what becomes of an outcome that there is no receipt of.
func (r Recorder) unrecorded(out admission.Outcome, err error, now time.Time) admission.Outcome {
	out.Faults = append(out.Faults, err)
	if !out.Admitted || !out.Enforced() {
		return out
	}
	// The rules do not look at it for what is allowed. Whoever breaks the glass
	// because of a full disk means these images too.
	if glass, _ := admission.ReadBreakGlass(r.Rules.BreakGlass, now); glass != nil {
		out.By, out.Note = admission.ByBreakGlass, glass.String()
		return out
	}
	d := *out.Decision
	d.Verdict, d.Code = decision.Undecided, CodeReceipts
	d.Reason = decision.OneLine(err.Error()) + "; make room or mend the folder of PLOMB_STATE, nothing is admitted without a receipt"
	return admission.Outcome{Decision: &d, By: admission.ByDecision, Mode: out.Mode, Faults: out.Faults}
}

// Digests are those besides its own that name an image in a snapshot: its
// manifest and config, if there is one manifest that this node could run. With
// several, one that is pinned would let in the others.
func Digests(d *decision.Decision) []digest.Digest {
	if len(d.Manifests) != 1 {
		return nil
	}
	return []digest.Digest{d.Manifests[0].Digest, d.Manifests[0].Config}
}
