// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"io"

	"github.com/plombproject/plomb/integration/nodebench"
)

// measureNode is hack/bench node.
func measureNode(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts := nodebench.Options{Log: stderr, Out: stdout}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&opts.Root, "root", "", "the checkout")
	set.StringVar(&opts.Bin, "bin", "", "the folder with the programs (default: CHECKOUT/.build/bin)")
	set.IntVar(&opts.Runs, "runs", 3, "how often everything is done")
	set.IntVar(&opts.Images, "images", 20, "how many images there are")
	set.IntVar(&opts.Pulls, "pulls", 100, "pulls of an image that is there, per verifier and run")
	set.IntVar(&opts.Parallel, "parallel", 200, "pulls at once")
	set.IntVar(&opts.Containers, "containers", 50, "containers created with and without the plugin, per run")
	dir, err := parse(set, args)
	if err != nil {
		return err
	}
	if min(opts.Runs, opts.Images, opts.Pulls, opts.Parallel, opts.Containers) < 1 {
		return errRuns
	}
	opts.Dir = dir
	return nodebench.Run(ctx, opts)
}
