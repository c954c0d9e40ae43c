// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

const (
	// lookTime is how often the node is asked whether it is ready, and answerTime
	// how long it may take.
	lookTime, answerTime = 10 * time.Second, 5 * time.Second
)

// errNotReady reports a node that says it is not.
var errNotReady = errors.New("the node is not ready")

// readiness is who is asked whether the node is ready.
type readiness struct {
	cri     runtime.RuntimeServiceClient
	kubelet string
	http    *http.Client
}

// newReadiness connects lazily, and outlives restarts of containerd.
func newReadiness(socket, kubelet string) (*readiness, func(), error) {
	conn, err := grpc.NewClient("unix://"+strings.TrimPrefix(socket, "unix://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, nil, fmt.Errorf("CRI at %s: %w", socket, err)
	}
	r := &readiness{cri: runtime.NewRuntimeServiceClient(conn), kubelet: kubelet, http: &http.Client{Timeout: answerTime}}
	return r, func() { _ = conn.Close() }, nil
}

// check returns nil if everybody who is asked says that the node is ready.
func (r *readiness) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	resp, err := r.cri.Status(ctx, &runtime.StatusRequest{})
	if err != nil {
		return fmt.Errorf("%w: containerd: %w", errNotReady, err)
	}
	for _, c := range resp.GetStatus().GetConditions() {
		if (c.GetType() == runtime.RuntimeReady || c.GetType() == runtime.NetworkReady) && !c.GetStatus() {
			return fmt.Errorf("%w: %s: %s %s", errNotReady, c.GetType(), c.GetReason(), c.GetMessage())
		}
	}
	if r.kubelet == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.kubelet, nil)
	if err != nil {
		return fmt.Errorf("%w: kubelet: %w", errNotReady, err)
	}
	answer, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: kubelet: %w", errNotReady, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: kubelet: %s", errNotReady, answer.Status)
	}
	return nil
}

// running are the subjects, as package nri has them, of the containers that run
// or were created and are about to.
func (r *readiness) running(ctx context.Context) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	pods, err := r.cri.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
	if err != nil {
		return nil, fmt.Errorf("list of pods: %w", err)
	}
	list, err := r.cri.ListContainers(ctx, &runtime.ListContainersRequest{})
	if err != nil {
		return nil, fmt.Errorf("list of containers: %w", err)
	}
	names := map[string]string{}
	for _, p := range pods.GetItems() {
		names[p.GetId()] = p.GetMetadata().GetNamespace() + "/" + p.GetMetadata().GetName()
	}
	subjects := map[string]bool{}
	for _, c := range list.GetContainers() {
		if c.GetState() == runtime.ContainerState_CONTAINER_EXITED {
			continue
		}
		subjects[decision.OneLine(names[c.GetPodSandboxId()]+"/"+c.GetMetadata().GetName())] = true
	}
	return subjects, nil
}

// guard puts the node back to audit mode if it stops being ready during the
// probation after a switch to enforce.
type guard struct {
	agent *agent
	ready func(context.Context) error
	// since is when it was first found not ready; zero while it is.
	since time.Time
}

// watch looks until ctx ends.
func (g *guard) watch(ctx context.Context) {
	tick := time.NewTicker(min(lookTime, max(g.agent.settings.Node.RevertAfter/4, time.Second)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := g.ready(ctx)
		if ctx.Err() != nil {
			return
		}
		g.look(ctx, err, g.agent.gate.now())
	}
}

// look takes in whether the node is ready now.
func (g *guard) look(ctx context.Context, notReady error, now time.Time) {
	g.agent.metrics.nodeReady.Set(oneIf(notReady == nil))
	g.agent.faults.set("node", notReady)
	if notReady == nil {
		g.since = time.Time{}
		return
	}
	if g.since.IsZero() || now.Before(g.since) { // or the clock was put back
		g.since = now
	}
	after := g.agent.settings.Node.RevertAfter
	if after == 0 || now.Sub(g.since) < after {
		return
	}
	state, err := admission.ReadMode(g.agent.settings.Mode())
	if err != nil || state.Mode != admission.Enforce || state.Probation == nil || !now.Before(*state.Probation) {
		return
	}
	g.agent.revert(ctx, fmt.Sprintf("the agent went back to audit: not ready since %s: %v", stamp(g.since), notReady), now)
}

// revert puts the node into audit mode. What was done is said even if there is
// no room for a receipt.
func (a *agent) revert(ctx context.Context, reason string, now time.Time) {
	reason = decision.OneLine(reason)
	if err := admission.WriteMode(a.settings.Mode(), admission.State{Mode: admission.Audit, Since: now.UTC(), Reason: reason}); err != nil {
		a.faults.set("revert", fmt.Errorf("the mode could not be put back to audit: %w", err))
		return
	}
	a.faults.set("revert", nil)
	a.log.Error("THE NODE NO LONGER ENFORCES", "mode", admission.Audit, "reason", reason)
	a.metrics.reverts.Inc()
	a.metrics.standing(admission.Audit, false)
	err := a.receipts.append(ctx, &receipt.Receipt{
		Schema: receipt.Schema, Time: now.UTC(), DecidedAt: now.UTC(), Node: a.settings.Node.Name, Point: receipt.Mode,
		Name: "mode", Verdict: decision.Allow, Admitted: true, Reason: reason, By: string(admission.ByMode), Mode: string(admission.Audit), Verifier: a.gate.recorder.Verifier,
	})
	if err != nil {
		a.log.Error("the change of mode has no receipt", "error", err)
	}
}
