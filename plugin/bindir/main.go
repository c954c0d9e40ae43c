// SPDX-License-Identifier: Apache-2.0

package bindir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/credentials"
	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/receipt"
)

// ErrAgent reports an agent that took the call and never answered it.
var ErrAgent = errors.New("the agent did not answer")

// A Process is one run of plomb-verifier.
type Process struct {
	// Args are its arguments, without its name.
	Args []string
	// Getenv gives the settings of package settings.
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Spent is how much of the time for the call has passed in asking the
	// agent, and Agent why it gave no answer.
	Spent time.Duration
	Agent string
}

// Main runs the verifier without an agent, in the time that is left. It returns
// the exit status.
func Main(ctx context.Context, p Process) int {
	log := slog.New(slog.NewJSONHandler(p.Stderr, nil))
	if p.Agent != "" {
		log.Warn("verifying without the agent", "reason", p.Agent)
	}
	s, err := settings.Read(p.Getenv)
	g := &standalone{judge: &judge.Judge{Settings: s, Credentials: credentials.New(s.Node.Credentials).For}, broken: err, recorder: RecorderOf(s)}
	timeout := s.Timeout - p.Spent
	if timeout <= 0 {
		g.broken = errors.Join(g.broken, fmt.Errorf("%w within %s: %s", ErrAgent, s.Timeout, p.Agent))
		timeout = grace
	}
	status, stdout, out := Answer(ctx, timeout, g, p.Args, p.Stdin)
	Report(log, out)
	fmt.Fprintf(p.Stdout, "%s", stdout)
	return status
}

// Report writes the whole decision for containerd's debug log, and what is the
// matter with the node.
func Report(log *slog.Logger, out admission.Outcome) {
	for _, fault := range out.Faults {
		log.Error("the node is at fault", "error", fault)
	}
	if out.Mode == admission.Warn && out.By == admission.ByMode {
		log.Warn("admitted in warn mode", "line", out.Line())
	}
	log.Info("decision", "decision", out.Decision, "admitted", out.Admitted, "by", out.By, "mode", out.Mode)
}

// RecorderOf is a node's, for a program that answers one call.
func RecorderOf(s settings.Settings) Recorder {
	node := s.Node
	if node.Name == "" { // the settings are broken
		node = settings.DefaultNode()
	}
	return Recorder{
		Rules: admission.RulesOf(s),
		Log: func() (Log, error) {
			if err := os.MkdirAll(s.State, 0o700); err != nil {
				return nil, fmt.Errorf("%w: %w", receipt.ErrLog, err)
			}
			return receipt.Open(s.Receipts(), receipt.Options{MaxBytes: node.Receipts.MaxBytes, Key: node.Receipts.Key})
		},
		Node: node.Name, Verifier: program(), Now: time.Now,
	}
}

// program is this program's name and version, as the go command recorded it.
func program() string {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	return "plomb-verifier " + version
}

// standalone is the gate of a program that answers one call by itself.
type standalone struct {
	judge *judge.Judge
	// broken is why nothing can be judged.
	broken   error
	recorder Recorder
}

// Judge asks the policy.
func (g *standalone) Judge(ctx context.Context, name string, desc ocispec.Descriptor) Judgement {
	if g.broken != nil {
		return Judgement{Decision: verify.Refused(name, desc, g.broken, time.Now())}
	}
	return Judgement{Decision: g.judge.Decide(ctx, judge.Question{Name: name, Descriptor: desc})}
}

// Admit applies the rules of the node.
func (g *standalone) Admit(ctx context.Context, j Judgement) admission.Outcome {
	return g.recorder.Settle(ctx, receipt.Pull, j, "")
}
