// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

const (
	// firstTest is how long after the start the first self-test comes: containerd
	// and the agent find each other before.
	firstTest = 5 * time.Second
	// testTime bounds one.
	testTime = 2 * time.Minute
)

// selfTests proves from time to time that enforcement is live, until ctx ends.
func (a *agent) selfTests(ctx context.Context) {
	every := a.settings.Node.SelfTest
	if a.opts.Prove == nil || every == 0 {
		return
	}
	next := time.NewTimer(firstTest)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		a.selfTest(ctx)
		giveBack()
		next.Reset(every)
	}
}

func (a *agent) selfTest(ctx context.Context) {
	err := a.notEnforcing()
	if err == nil {
		err = a.prove(ctx)
	}
	if ctx.Err() != nil {
		return // it was cut short, which proves nothing
	}
	result := control.SelfTest{At: a.gate.now().UTC(), Effective: err == nil}
	if err != nil {
		result.Reason = err.Error()
		a.log.Warn("enforcement is not effective", "reason", err)
	}
	a.metrics.effective.Set(oneIf(result.Effective))
	a.metrics.selfTests.WithLabelValues(fmt.Sprint(result.Effective)).Inc()
	a.lastTest.Store(&result)
	a.attest(ctx, result)
}

// attest writes the receipt of a self-test, so that the log shows when the node
// enforced, and not only that it was asked to.
func (a *agent) attest(ctx context.Context, result control.SelfTest) {
	// What cannot be read enforces.
	state, _ := admission.ReadMode(a.settings.Mode())
	r := receipt.Receipt{
		Schema: receipt.Schema, Time: result.At, DecidedAt: result.At, Node: a.settings.Node.Name, Point: receipt.SelfTest,
		Name: "self-test", Verdict: decision.Allow, Reason: "enforcement is effective",
		By: "self-test", Mode: string(state.Mode), Verifier: a.gate.recorder.Verifier,
	}
	if !result.Effective {
		r.Verdict, r.Reason = decision.Deny, decision.OneLine("enforcement is not effective: "+result.Reason)
	}
	if err := a.receipts.append(ctx, &r); err != nil {
		a.log.Error("the self-test has no receipt", "error", err)
	}
}

// notEnforcing is why there is nothing to prove.
func (a *agent) notEnforcing() error {
	state, err := admission.ReadMode(a.settings.Mode())
	if err != nil {
		return err
	}
	if state.Mode != admission.Enforce {
		return fmt.Errorf("the node is in %s mode and admits everything", state.Mode)
	}
	glass, err := admission.ReadBreakGlass(a.settings.BreakGlass(), a.gate.now())
	if err == nil && glass != nil {
		err = fmt.Errorf("the glass is broken: %s", glass)
	}
	return err
}

// prove keeps a bug in the test from ending the agent.
func (a *agent) prove(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the self-test failed: " + fmt.Sprint(p) + "; please report it")
		}
	}()
	return a.opts.Prove(ctx)
}
