// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/provenance/sbom"
)

func sbomDiffCommand(stdio Stdio) *cobra.Command {
	f := sbomFlags{format: formatTable, level: levelPkg}
	cmd := &cobra.Command{
		Use:   "diff [flags] IMAGE|FILE IMAGE|FILE",
		Short: "Tell which packages changed from one image to another",
		Long: `diff compares two SBOMs, of images or in files: packages that were added, removed,
or are there in another version or under another licence, with the Dockerfile
instruction that brought them.

` + trustHelp + `

Exit status: 0 nothing changed, 1 something did, or an SBOM is not the signed one,
2 one could not be read, 64 wrong usage.`,
		Example: `  plomb sbom diff registry.example/shop/app:v1 registry.example/shop/app:v2
  plomb sbom diff --output json app.spdx.json oci-layout:./image`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("give two IMAGEs or FILEs, not %d", len(args))
			}
			if err := checkDocument(args[0]); err != nil {
				return err
			}
			return checkDocument(args[1])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.diff(cmd, args, stdio)
		},
	}
	f.registerSBOM(cmd, stdio)
	f.registerOutput(cmd)
	return cmd
}

func (f *sbomFlags) diff(cmd *cobra.Command, args []string, stdio Stdio) error {
	if err := f.imageFlags.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	from, err := f.parse(ctx, cmd, args[0], stdio)
	if err != nil {
		return err
	}
	to, err := f.parse(ctx, cmd, args[1], stdio)
	if err != nil {
		return err
	}
	d := sbom.Diff(from.Inventory, to.Inventory)
	if f.output == "json" {
		err = printJSON(stdio.Out, d)
	} else {
		err = printDifference(stdio, d)
	}
	if err != nil {
		return fmt.Errorf("%w: write the difference: %w", errFailed, err)
	}
	if !d.Empty() {
		return errExit(exitDeny)
	}
	return nil
}

// printDifference writes a row for each change, nothing if there is none.
func printDifference(stdio Stdio, d *sbom.Difference) error {
	if d.Empty() {
		return nil
	}
	rows := [][]string{{"CHANGE", "NAME", "TYPE", "FROM", "TO", "INSTRUCTION"}}
	row := func(change string, e sbom.Entry, from, to string) {
		rows = append(rows, []string{
			change, cut(e.Name, maxCell), cut(e.Type, maxCell), cut(from, maxCell), cut(to, maxCell), cut(instruction(e.Origin), maxInstruction),
		})
	}
	if s := d.System; s != nil {
		rows = append(rows, []string{"system", "", "", cut(system(s.From), maxCell), cut(system(s.To), maxCell), ""})
	}
	for _, e := range d.Added {
		row("added", e, "", e.Version)
	}
	for _, e := range d.Removed {
		row("removed", e, e.Version, "")
	}
	for _, c := range d.Versions {
		row("version", c.To, c.From.Version, c.To.Version)
	}
	for _, c := range d.Licences {
		row("licence", c.To, c.From.License, c.To.License)
	}
	return printTable(stdio, rows)
}

func system(s *sbom.System) string {
	if s == nil {
		return ""
	}
	return words(s.ID, s.VersionID)
}
