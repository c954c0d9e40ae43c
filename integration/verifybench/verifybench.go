// SPDX-License-Identifier: Apache-2.0

// Package verifybench measures what it costs to verify an image: plomb-verifier
// and plomb verify beside cosign and notation, as processes of their own on the
// same images, and their requests to the registry; then the benchmarks of
// package verify, in which plomb stands beside bare sigstore-go.
//
// It asserts nothing: figures depend on the machine. docs/performance.md has
// those of one.
package verifybench

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plombproject/plomb/integration/stand"
)

// Options say what to measure, and on what.
type Options struct {
	Root     string // the checkout
	Dir      string // an empty folder for the daemons and what is signed with
	Bin      string // the programs; empty: as hack/tools fills it
	Cosign   string // the program
	Notation string // the program; where there is none, its rows are left out

	Runs  int // how often each figure is taken; the median counts
	Turns int // processes of each kind in one run: they take parts of a second
	// BenchTime is how long each benchmark of package verify runs in one run, as
	// `go test -benchtime` takes it.
	BenchTime string

	Log io.Writer // progress
	Out io.Writer // the tables
}

// A bench is a stand with what is verified.
type bench struct {
	Options
	stand  *stand.Stand
	work   string // keys, tokens, policies
	kinds  []kind
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

// A Result is what Measure finds.
type Result struct {
	Processes []Process
	// Benchmarks are the times of one operation, one for each run, by package
	// and name as benchmarks has them.
	Benchmarks map[string][]time.Duration
}

// A Process is one way of verifying one kind of image.
type Process struct {
	Image, Program string
	// Requests to the registry, as METHOD PATH.
	Requests []string
	// Printed is its standard output.
	Printed string
	samples []sample
	// against is the program whose figures these are divided by.
	against string
}

// Measure is Run without the tables.
func Measure(ctx context.Context, opts Options) (r Result, err error) {
	b := &bench{Options: opts, work: filepath.Join(opts.Dir, "work")}
	end, err := b.start(ctx)
	if err != nil {
		return r, err
	}
	defer func() {
		if stopErr := end(); err == nil {
			err = stopErr
		}
	}()
	for _, k := range b.kinds {
		for _, p := range b.programs(k) {
			requests, printed, err := b.count(ctx, k, p)
			if err != nil {
				return r, err
			}
			b.say("%s, %s: %d requests: %s", k.name, p.name, len(requests), strings.Join(requests, ", "))
			b.result.Processes = append(b.result.Processes, Process{
				Image: k.name, Program: p.name, Requests: requests, Printed: printed, against: k.against,
			})
		}
	}
	for run := range b.Runs {
		b.say("processes, run %d of %d", run+1, b.Runs)
		if err := b.takeTurns(ctx); err != nil {
			return r, err
		}
	}
	if b.result.Benchmarks, err = b.inProcess(ctx); err != nil {
		return r, err
	}
	return b.result, nil
}

// takeTurns is one run. The programs take turns, so that whatever else the
// machine does falls on all of them.
func (b *bench) takeTurns(ctx context.Context) error {
	for range b.Turns {
		i := 0
		for _, k := range b.kinds {
			for _, p := range b.programs(k) {
				s, err := b.time(ctx, p.command(k.ref))
				if err != nil {
					return fmt.Errorf("%s, %s: %w", k.name, p.name, err)
				}
				b.result.Processes[i].samples = append(b.result.Processes[i].samples, s)
				i++
			}
		}
	}
	return nil
}

func (b *bench) environ() []string {
	if b.stand == nil {
		return os.Environ()
	}
	return b.stand.Environ()
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.Log, "hack/bench: "+format+"\n", args...)
}
