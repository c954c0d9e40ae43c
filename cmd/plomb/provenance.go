// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func provenanceCommand(stdio Stdio) *cobra.Command {
	var f documentFlags
	cmd := &cobra.Command{
		Use:   "provenance [flags] IMAGE",
		Short: "Show how an image was built, from its signed provenance",
		Long: `provenance shows who built an image, from which sources, with which inputs, and
what is not known of the build. --output json gives the SLSA predicate, byte for
byte as it was signed.

` + trustHelp + `

IMAGE is a reference with or without digest, or oci-layout:DIR[:TAG].

Exit status: 0 shown, 1 the policy refuses the image, 2 it could not be read or
there is none, 64 wrong usage.`,
		Example: `  plomb provenance registry.example/shop/app:v1
  plomb provenance --output json oci-layout:./image | jq .buildDefinition.externalParameters`,
		Args: oneImage,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runProvenance(cmd, &f, args[0], stdio)
		},
	}
	f.register(cmd, stdio)
	f.registerDocument(cmd)
	return cmd
}

func runProvenance(cmd *cobra.Command, f *documentFlags, arg string, stdio Stdio) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	img, req, err := f.document(ctx, cmd, arg, stdio)
	if err != nil {
		return err
	}
	if img.Statement == nil {
		return fmt.Errorf("%w: %s carries no provenance that plomb can read", errFailed, req.Name)
	}
	if f.output == "json" {
		_, err = stdio.Out.Write(append(bytes.Clone(img.Statement.Predicate), '\n'))
	} else {
		err = printProvenance(stdio, img, req)
	}
	if err != nil {
		return fmt.Errorf("%w: write the provenance: %w", errFailed, err)
	}
	return nil
}
