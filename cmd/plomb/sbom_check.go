// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/verify/documents"
)

// standards are the values of --standard.
var standards = map[string]string{"ntia": sbom.NTIA, "cisa": sbom.CISA}

var standardNames = []string{"ntia", "cisa"}

func sbomCheckCommand(stdio Stdio) *cobra.Command {
	f := sbomFlags{format: formatTable, level: levelPkg}
	var standard string
	cmd := &cobra.Command{
		Use:   "check [flags] IMAGE|FILE",
		Short: "Tell how much an SBOM has of the minimum elements",
		Long: `check counts the minimum elements of an SBOM, of NTIA (2021) and CISA (2025): how
many packages have each, of how many the document says that it does not know, and
of how many it says nothing. Only the last counts against it.

` + trustHelp + `

Exit status: 0 it has all that --standard asks for, 1 it does not, or it is not
the signed one, 2 it could not be read, 64 wrong usage.`,
		Example: `  plomb sbom check registry.example/shop/app:v1
  plomb sbom check --standard cisa --output json app.spdx.json`,
		Args: oneDocument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(standardNames, standard) {
				return fmt.Errorf("--standard is %q, want %s", standard, strings.Join(standardNames, " or "))
			}
			return f.check(cmd, args[0], standards[standard], stdio)
		},
	}
	f.registerSBOM(cmd, stdio)
	f.registerOutput(cmd)
	cmd.Flags().StringVar(&standard, "standard", "ntia", "the `STANDARD` that the exit status is about: ntia or cisa")
	_ = cmd.RegisterFlagCompletionFunc("standard", cobra.FixedCompletions(standardNames, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (f *sbomFlags) check(cmd *cobra.Command, arg, standard string, stdio Stdio) error {
	if err := f.imageFlags.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	doc, err := f.parse(ctx, cmd, arg, stdio)
	if err != nil {
		return err
	}
	elements := sbom.Check(doc.Inventory, *doc.Image)
	lacking := documents.Lacking(elements, standard)
	if f.output == "json" {
		err = printJSON(stdio.Out, elements)
	} else {
		err = printElements(stdio, elements, standard, lacking)
	}
	if err != nil {
		return fmt.Errorf("%w: write the elements: %w", errFailed, err)
	}
	if len(lacking) > 0 {
		return errExit(exitDeny)
	}
	return nil
}

// parse reads the document that arg names, and takes it apart.
func (f *sbomFlags) parse(ctx context.Context, cmd *cobra.Command, arg string, stdio Stdio) (*documents.SBOM, error) {
	data, err := f.read(ctx, cmd, arg, stdio)
	if err != nil {
		return nil, err
	}
	doc, err := documents.ParseSBOM(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errFailed, arg, err)
	}
	return doc, nil
}

func printElements(stdio Stdio, e *sbom.Elements, standard string, lacking []string) error {
	rows := [][]string{{"ELEMENT", "STANDARD", "SHARE", "PRESENT", "NOASSERTION", "MISSING"}}
	for _, d := range e.Document {
		value := cut(d.Value, maxCell)
		if !d.Present {
			value = "missing"
		}
		rows = append(rows, []string{d.Title, strings.Join(d.Standards, ", "), "", value, "", ""})
	}
	for _, p := range e.Package {
		rows = append(rows, []string{
			p.Title, strings.Join(p.Standards, ", "), fmt.Sprintf("%.2f%%", 100*p.Share),
			fmt.Sprint(p.Present), fmt.Sprint(p.NoAssertion), fmt.Sprint(p.Missing),
		})
	}
	if err := printTable(stdio, rows); err != nil {
		return err
	}
	p := newPage(stdio)
	p.line(0, "packages", "%d", e.Packages)
	if !e.Complete {
		p.line(0, "incomplete", "the document says that packages may be missing: %d could not be read", e.Unread)
	}
	for _, l := range lacking {
		p.line(0, "lacking", "%s (%s)", l, standard)
	}
	return p.err
}
