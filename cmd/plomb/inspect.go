// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/inspect"
)

func inspectCommand(stdio Stdio) *cobra.Command {
	var f imageFlags
	cmd := &cobra.Command{
		Use:        "inspect [flags] IMAGE",
		SuggestFor: []string{"tree", "show"},
		Short:      "Show what an image carries and who says to have signed it, without judging",
		Long: `inspect shows the index, the platforms, the signatures of every form and where
they lie, who they say signed them, and what the provenance says of the build.
Nothing it shows has been verified: plomb verify does that.

IMAGE is a reference with or without digest, or oci-layout:DIR[:TAG].

Exit status: 0 shown, 2 it could not be read, 64 wrong usage.`,
		Example: `  plomb inspect registry.example/shop/app:v1
  plomb inspect --output json oci-layout:./image`,
		Args: oneImage,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runInspect(cmd.Context(), f, args[0], stdio)
		},
	}
	f.register(cmd, stdio)
	return cmd
}

func runInspect(ctx context.Context, f imageFlags, arg string, stdio Stdio) error {
	if err := f.check(); err != nil {
		return err
	}
	if _, err := evidence.ParseReference(arg); err != nil && !isLayout(arg) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	f.requestTimeout = f.timeout // an SBOM may take longer than a document
	defer f.waiting(arg, stdio).stop()
	img, err := f.open(ctx, arg, false, stdio)
	if err != nil {
		return fmt.Errorf("%w: inspect %s: %w", errFailed, arg, err)
	}
	report, err := inspect.Inspect(ctx, img.name, img.digest, evidence.Cached(img.location))
	if err != nil {
		return fmt.Errorf("%w: inspect %s: %w", errFailed, arg, err)
	}
	if err := printReport(stdio, f.output, report); err != nil {
		return fmt.Errorf("%w: write the report: %w", errFailed, err)
	}
	return nil
}

func isLayout(arg string) bool { return strings.HasPrefix(arg, evidence.LayoutScheme) }
