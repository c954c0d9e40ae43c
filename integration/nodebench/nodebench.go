// SPDX-License-Identifier: Apache-2.0

// Package nodebench measures what plomb costs a node: pulls through CRI with
// plomb-verifier and its agent beside no verifier at all and beside one that
// only exits; many pulls at once; and containers created with and without the
// agent's NRI plugin.
//
// It asserts nothing: figures depend on the machine. docs/performance.md has
// those of one.
package nodebench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/stand"
)

// Options say what to measure, and on what.
type Options struct {
	Root string // the checkout
	Dir  string // an empty folder for the daemons
	Bin  string // the programs; empty: as hack/tools fills it

	Runs       int // how often everything is done
	Images     int // how many images there are
	Pulls      int // pulls of an image that is there, per verifier and run
	Parallel   int // pulls at once
	Containers int // containers created, with and without the plugin, per run

	Log io.Writer // progress
	Out io.Writer // the tables
}

// A Result is what Measure finds. Times are one per pull or container.
type Result struct {
	// Again are pulls of an image that the node has, First of one it has not,
	// by verifier.
	Again, First map[string][]time.Duration
	// Create are creations of a container, by WithPlugin and WithoutPlugin.
	Create map[string][]time.Duration
	// Rushes are the many pulls at once, one for each run.
	Rushes []Rush
}

// A Rush is many pulls at once of images that nobody has verified yet.
type Rush struct {
	Pulls, Images int
	Wall          time.Duration
	// Without is the same with a verifier that only exits.
	Without time.Duration
	// Verifications and Requests are the agent's own counts, Memory the most
	// that it ever held, in bytes.
	Verifications, Requests int
	// Alone is how many answers plomb-verifier gave without the agent.
	Alone  int
	Memory int64
}

// Verifiers that containerd is given.
const (
	None       = "none"
	Exits      = "one that only exits"
	Agent      = "plomb, with its agent"
	StandAlone = "plomb, without its agent"
)

// With and without the agent's NRI plugin.
const (
	WithPlugin    = "with the plugin"
	WithoutPlugin = "without"
)

// A bench is a stand with images and a client of its containerd.
type bench struct {
	Options
	stand  *stand.Stand
	cri    *cri.Client
	exits  string   // the program that only exits
	images []string // references with tags
	result Result
}

// Run measures everything and writes the tables.
func Run(ctx context.Context, opts Options) error {
	r, err := Measure(ctx, opts)
	if err != nil {
		return err
	}
	return r.write(opts.Out)
}

// Measure is Run without the tables.
func Measure(ctx context.Context, opts Options) (r Result, err error) {
	b := &bench{Options: opts, result: Result{
		Again: map[string][]time.Duration{}, First: map[string][]time.Duration{}, Create: map[string][]time.Duration{},
	}}
	defer func() { err = errors.Join(err, b.end(ctx)) }()
	if err := b.start(ctx); err != nil {
		return r, err
	}
	for run := range b.Runs {
		b.say("run %d of %d", run+1, b.Runs)
		for _, part := range []func(context.Context) error{b.firstPulls, b.pullsAgain, b.rush, b.creations} {
			if err := part(ctx); err != nil {
				return r, err
			}
		}
	}
	return b.result, nil
}

func (b *bench) start(ctx context.Context) (err error) {
	if b.stand, err = stand.Start(ctx, stand.Options{Dir: filepath.Join(b.Dir, "stand"), Root: b.Root, Bin: b.Bin, Log: b.Log}); err != nil {
		return err
	}
	if b.cri, err = cri.Dial(b.stand.ContainerdAddress); err != nil {
		return err
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	// Self-tests verify images as well.
	config, err := os.ReadFile(b.stand.NodeConfig())
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.stand.NodeConfig(), append(config, "selfTest: 0s\n"...), 0o600); err != nil {
		return err
	}
	return b.stand.StartAgent(ctx)
}

// end stops everything, even where ctx was cancelled by a signal.
func (b *bench) end(ctx context.Context) error {
	if b.cri != nil {
		_ = b.cri.Close()
	}
	if b.stand == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return b.stand.Remove(ctx)
}

// forget has the agent start with no verdicts.
func (b *bench) forget(ctx context.Context) error {
	if err := b.stand.StopDaemon(ctx, stand.Agent); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(b.stand.NodeState(), "verdicts")); err != nil {
		return err
	}
	return b.stand.StartAgent(ctx)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.Log, "hack/bench: "+format+"\n", args...)
}
