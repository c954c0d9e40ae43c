// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/plombproject/plomb/integration/bench"
)

var errRuns = errors.New("--runs must be at least 1")

// measure is hack/bench build.
func measure(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts := bench.Options{Log: stderr, Out: stdout}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&opts.Root, "root", "", "the checkout")
	set.StringVar(&opts.Bin, "bin", "", "the folder with the programs (default: CHECKOUT/.build/bin)")
	set.IntVar(&opts.Runs, "runs", 3, "how often each figure is taken")
	dir, err := parse(set, args)
	if err != nil {
		return err
	}
	if opts.Runs < 1 {
		return errRuns
	}
	opts.Dir = dir
	return bench.Build(ctx, opts)
}
