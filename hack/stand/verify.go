// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"io"
	"path/filepath"

	"github.com/plombproject/plomb/integration/verifybench"
)

// measureVerify is hack/bench verify.
func measureVerify(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts := verifybench.Options{Log: stderr, Out: stdout}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&opts.Root, "root", "", "the checkout")
	set.StringVar(&opts.Bin, "bin", "", "the folder with the programs (default: CHECKOUT/.build/bin)")
	set.IntVar(&opts.Runs, "runs", 3, "how often each figure is taken")
	set.IntVar(&opts.Turns, "turns", 10, "processes of each kind in one run")
	set.StringVar(&opts.BenchTime, "benchtime", "1s", "how long each benchmark takes in one run")
	dir, err := parse(set, args)
	if err != nil {
		return err
	}
	if opts.Runs < 1 || opts.Turns < 1 {
		return errRuns
	}
	opts.Dir = dir
	opts.Cosign = filepath.Join(opts.Root, ".build", "tools", "cosign")
	opts.Notation = filepath.Join(opts.Root, ".build", "tools", "notation")
	return verifybench.Run(ctx, opts)
}
