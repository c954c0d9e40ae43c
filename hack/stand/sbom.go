// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/integration/sbombench"
)

// measureSBOM is hack/bench sbom.
func measureSBOM(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts := sbombench.Options{Log: stderr, Out: stdout}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(stderr)
	root := set.String("root", "", "the checkout")
	set.IntVar(&opts.Runs, "runs", 3, "how often each figure is taken")
	dir, err := parse(set, args)
	if err != nil {
		return err
	}
	if opts.Runs < 1 {
		return errRuns
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	opts.Dir, opts.Catalogue, opts.Account = dir, []string{self, "catalogue"}, []string{self, "account"}
	opts.Syft = filepath.Join(*root, ".build", "tools", "syft")
	for _, name := range []string{"debian-full", "debian-minimal", "distroless", "rpm", "apk"} {
		opts.Roots = append(opts.Roots, filepath.Join(*root, ".build", "roots", name))
	}
	return sbombench.Run(ctx, opts)
}

// catalogue is the process that measureSBOM measures.
func catalogue(ctx context.Context, args []string, _, _ io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: stand catalogue packages|files ROOT FILE")
	}
	return sbombench.Catalogue(ctx, catalog.Level(args[0]), args[1], args[2])
}

// account is the process that measures one of them.
func account(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: stand account COMMAND ARGUMENTS")
	}
	return sbombench.Account(ctx, args, stdout, stderr)
}
