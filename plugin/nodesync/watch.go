// SPDX-License-Identifier: Apache-2.0

package nodesync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
)

// ErrNotReady reports a node that is not, or not yet, as it was delivered.
var ErrNotReady = errors.New("the node is not ready")

// Watch delivers at every interval until ctx ends. A fault is logged when it
// begins and when it changes, and never ends the watch.
func (s *Sync) Watch(ctx context.Context, every time.Duration, log *slog.Logger, sound *atomic.Bool) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	said := ""
	for {
		changes, err := s.Once()
		for _, c := range changes {
			log.Info("delivered", "what", c.What, "path", c.Path)
		}
		switch {
		case err == nil:
			if said != "" {
				log.Info("the delivery is sound again")
			}
			said = ""
		case err.Error() != said:
			said = err.Error()
			log.Error("not delivered", "error", err)
		}
		sound.Store(err == nil)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// An Agent says how it is; control.Client is one.
type Agent interface {
	Status(ctx context.Context) (control.Status, error)
}

// Want is how an agent is to be.
type Want struct {
	// Version is the agent's.
	Version string
	// Mode is the node's; empty: any. A node that went back to audit by itself is
	// not as it was delivered.
	Mode admission.Mode
}

// Ready returns nil if what is delivered and sound is in force, the agent answers as
// wanted, and, in enforce mode, the last proof of enforcement held. A
// rollout goes on to the next node only after that.
func (s *Sync) Ready(ctx context.Context, agent Agent, want Want) error {
	// One that is refused is for the log and the metrics. All nodes refuse it at
	// once, and Kubernetes updates pods that are not ready without regard to how
	// many nodes may be begun at a time.
	pending, refused := s.Pending()
	if refused == nil && len(pending) > 0 {
		return fmt.Errorf("%w: the %s is not delivered yet", ErrNotReady, pending[0].What)
	}
	status, err := agent.Status(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotReady, err)
	case status.Version != want.Version:
		return fmt.Errorf("%w: the agent is of version %s, and this is %s", ErrNotReady, status.Version, want.Version)
	case want.Mode != "" && status.Mode.Mode != want.Mode:
		return fmt.Errorf("%w: it is in %s mode and should be in %s: %s", ErrNotReady, status.Mode.Mode, want.Mode, status.Mode.Reason)
	case status.Policy.Error != "":
		return fmt.Errorf("%w: policy: %s", ErrNotReady, status.Policy.Error)
	case status.Trust.Error != "":
		return fmt.Errorf("%w: trusted root: %s", ErrNotReady, status.Trust.Error)
	case status.Mode.Mode == admission.Enforce && status.SelfTest != nil && !status.SelfTest.Effective:
		return fmt.Errorf("%w: enforcement is not effective: %s", ErrNotReady, status.SelfTest.Reason)
	}
	return nil
}

// maxMetrics bounds what the agent may say of itself, in bytes.
const maxMetrics = 8 << 20

// Metrics serves the metrics of the agent, which listens on loopback only, and
// whether the last delivery was sound. It serves nothing else.
func Metrics(agent string, sound *atomic.Bool) http.Handler {
	client := &http.Client{Timeout: 5 * time.Second}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		data, err := scrape(r.Context(), client, agent)
		if err != nil {
			// Prometheus sees up == 0, which the alerts count as no enforcement.
			http.Error(w, "the agent's metrics cannot be had", http.StatusBadGateway)
			return
		}
		value := 0
		if sound.Load() {
			value = 1
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		if _, err := w.Write(data); err != nil {
			return
		}
		fmt.Fprintf(w, "# HELP plomb_delivery_sound Whether what the cluster delivers is in place on the node.\n"+
			"# TYPE plomb_delivery_sound gauge\nplomb_delivery_sound %d\n", value)
	})
	return mux
}

func scrape(ctx context.Context, client *http.Client, agent string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+agent+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain; version=0.0.4")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return limit.ReadAll(resp.Body, maxMetrics)
}
