// SPDX-License-Identifier: Apache-2.0

// Package doctor proves by behaviour that a node enforces: it has containerd
// pull an image that must be refused and one that must not, in each of the ways
// there are, puts an unsigned one into containerd's store behind the verifier's
// back and tries to start it, and cleans up. Beside that it reads the
// configuration and says which line of it is to blame.
//
// It changes nothing of the node: see package node. It believes no setting that
// it could try instead.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/plugin/containerd"
	"github.com/plombproject/plomb/plugin/settings"
)

// Schema identifies the JSON form of a Report. Added members do not change it.
const Schema = "https://plombproject.github.io/node-doctor/v1"

// ErrDoctor reports that a proof could not be tried.
var ErrDoctor = errors.New("doctor")

// Options say which node, and how much of it.
type Options struct {
	// Settings are the node's.
	Settings settings.Settings
	// Program and Config are containerd's executable and main configuration;
	// those of the running one if empty.
	Program, Config string
	// PullOnly leaves out what is about creating containers.
	PullOnly bool
	// Agentless leaves out the questions to the agent, for the agent itself.
	Agentless bool
	// Progress is told what is being done; nil: nobody.
	Progress func(what string)
}

// Status is how a check ended.
type Status string

const (
	// Pass: as it has to be.
	Pass Status = "pass"
	// Fail: enforcement is not live because of it.
	Fail Status = "fail"
	// Warn: enforcement is live, and weaker than it could be.
	Warn Status = "warn"
	// Unknown: it could not be found out.
	Unknown Status = "unknown"
	// Skip: it was not asked for.
	Skip Status = "skip"
)

// Verdict is what all checks together say.
type Verdict string

const (
	// Live: what has to be refused is refused, and only that.
	Live Verdict = "live"
	// NotLive: something that has to be refused is not, or nothing is admitted.
	NotLive Verdict = "not live"
	// Undecided: it could not be found out.
	Undecided Verdict = "unknown"
)

// A Check is one question and its answer.
type Check struct {
	// ID names the check, as docs/doctor.md has it.
	ID     string `json:"id"`
	Status Status `json:"status"`
	// Detail is what was found, on one line.
	Detail string `json:"detail"`
	// Setting and Value are the ones to blame, Places where they are written.
	Setting string             `json:"setting,omitempty"`
	Value   string             `json:"value,omitempty"`
	Places  []containerd.Place `json:"places,omitempty"`
	// Remedy is what mends it: lines of TOML, or something to do.
	Remedy string `json:"remedy,omitempty"`
	// at is the point of enforcement that it is about.
	at string
}

// A Report is what was found.
type Report struct {
	Schema  string    `json:"schema"`
	Time    time.Time `json:"time"`
	Node    string    `json:"node"`
	Verdict Verdict   `json:"verdict"`
	// Reason is the first thing that speaks against it; empty when Live.
	Reason string `json:"reason,omitempty"`
	// Containerd is its address and version.
	Containerd struct {
		Address string `json:"address"`
		Version string `json:"version,omitempty"`
		Program string `json:"program,omitempty"`
		Config  string `json:"config,omitempty"`
	} `json:"containerd"`
	Checks []Check `json:"checks"`
	// Took is how long all of it took.
	Took time.Duration `json:"tookNanoseconds"`
}

// IDs of the checks, in the order in which they are made.
const (
	CheckConfig       = "configuration"
	CheckVersion      = "version"
	CheckEnvironment  = "environment"
	CheckMode         = "mode"
	CheckBreakGlass   = "break-glass"
	CheckPolicy       = "policy"
	CheckReceipts     = "receipts"
	CheckAgent        = "agent"
	CheckCRIUnsigned  = "pull-cri-unsigned"
	CheckCRISigned    = "pull-cri-signed"
	CheckUnsigned     = "pull-transfer-unsigned"
	CheckSigned       = "pull-transfer-signed"
	CheckCreate       = "create-imported"
	CheckCreateSigned = "create-signed"
	CheckCleanup      = "cleanup"
)

// Prove makes all checks. The error is about the proof itself, such as a folder
// that cannot be written; what is wrong with the node is in the report.
func Prove(ctx context.Context, opts Options) (report Report, err error) {
	began := time.Now()
	report = Report{Schema: Schema, Time: began.UTC(), Node: opts.Settings.Node.Name, Checks: []Check{}}
	report.Containerd.Address = opts.Settings.Containerd
	p := &proof{Options: opts, report: &report}
	if p.Progress == nil {
		p.Progress = func(string) {}
	}
	unlock, err := p.lock(ctx)
	if err != nil {
		return report, fmt.Errorf("%w: %w", ErrDoctor, err)
	}
	defer unlock()
	p.configuration(ctx)
	p.node(ctx)
	if err := p.behaviour(ctx); err != nil {
		return report, fmt.Errorf("%w: %w", ErrDoctor, err)
	}
	report.conclude()
	report.Took = time.Since(began)
	return report, nil
}

// proof is one run.
type proof struct {
	Options
	report *Report
	facts  containerd.Facts
	// known tells that facts are those of the node.
	known bool
}

func (p *proof) add(c Check) { p.report.Checks = append(p.report.Checks, c) }

// conclude draws the verdict: one thing that is off is enough, then one that
// could not be found out.
func (r *Report) conclude() {
	r.Verdict, r.Reason = Live, ""
	for _, status := range []Status{Fail, Unknown} {
		i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Status == status })
		if i < 0 {
			continue
		}
		r.Verdict = map[Status]Verdict{Fail: NotLive, Unknown: Undecided}[status]
		r.Reason = r.Checks[i].Detail
		return
	}
}

// behaviour serves canaries and has containerd pull and create them.
func (p *proof) behaviour(ctx context.Context) error {
	key, public, err := throwaway()
	if err != nil {
		return err
	}
	r, err := serve(canary.Host)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.reachable(ctx); err != nil {
		return fmt.Errorf("the registry for canaries is not reachable on loopback: %w", err)
	}
	now := time.Now()
	// The clock of a file and that of a process may differ in their last digits.
	if err := canary.Write(p.Settings.Canary(), canary.Canary{
		Prefix: canary.Prefix(r.port), Key: public, Since: now.Add(-time.Second), Until: now.Add(canary.MaxAge - time.Second),
	}); err != nil {
		return err
	}
	defer os.Remove(p.Settings.Canary())
	ctx, cancel := context.WithTimeout(ctx, canary.MaxAge-20*time.Second)
	defer cancel()
	c, err := connect(p.Settings.Containerd)
	if err != nil {
		return err
	}
	defer c.close()
	run, err := random()
	if err != nil {
		return err
	}
	t := &trial{proof: p, containerd: c, registry: r, key: key, run: run}
	// Also what an earlier run left that was killed.
	defer func() { p.cleanedUp(t.sweep(ctx)) }()
	return t.all(ctx)
}

// lock keeps two proofs from using one canary file.
func (p *proof) lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(p.Settings.State, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(p.Settings.State, "canary.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	p.Progress("another self-test to end")
	for {
		err := tryLock(f)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, errLocked) {
			_ = f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
