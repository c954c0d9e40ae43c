// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"
	"flag"
	"fmt"
)

// Command is the name of the helper: plomb-frontend catalog.
const Command = "catalog"

// Where the helper's container has things.
const (
	RootDir   = "/root"   // the tree to look at, read-only
	ReportDir = "/report" // where the report goes
)

// Main is the helper: it runs inside a build container.
func Main(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet(Command, flag.ContinueOnError)
	level := flags.String("level", string(Packages), "what to list: packages, or files as well")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if l := Level(*level); l != Packages && l != Files {
		return fmt.Errorf("--level is %q; allowed are %s and %s", *level, Packages, Files)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is no flag of %s", flags.Arg(0), Command)
	}
	result, err := Root(ctx, RootDir, Level(*level))
	if err != nil {
		return err
	}
	return result.Write(ReportDir)
}
