// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of the program sigstore.
package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
)

// Main runs the program and returns its exit code. Results go to stdout,
// everything else to stderr.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "sigstore",
		Short:         "A whole Sigstore on this machine, for development and tests",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(newServe(time.Now), newToken(time.Now))
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "sigstore:", err)
		return 1
	}
	return 0
}
