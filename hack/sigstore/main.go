// SPDX-License-Identifier: Apache-2.0

// Command sigstore is a whole Sigstore in one process, for the quick start and
// the tests of plomb: `sigstore serve` runs it, `sigstore token` prints the
// identity token of a pretended CI job.
//
// The way of a signature through the folders: idtoken (who the job is) →
// fulcio (token to certificate) → ctlog (its timestamp in the certificate) →
// rekor (entry, proof, checkpoint) → tsa (when). keys holds what survives a
// restart, trust tells clients about it, local puts it together, cli is the
// command line. It is a module of its own so that Fulcio's dependencies stay
// out of plomb's.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/plombproject/plomb/hack/sigstore/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
