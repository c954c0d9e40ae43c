// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/documents"
	"github.com/plombproject/plomb/verify/evidence"
)

// Values of --format and --level.
const (
	formatTable = "table"
	levelImage  = "image"
	levelPkg    = "package"
	levelFile   = "file"
)

var (
	sbomFormats = []string{formatTable, string(documents.SPDX), string(documents.CycloneDX)}
	sbomLevels  = []string{levelImage, levelPkg, levelFile}
)

type sbomFlags struct {
	documentFlags
	format        string
	level         string
	allowUnsigned bool
}

func sbomCommand(stdio Stdio) *cobra.Command {
	var f sbomFlags
	cmd := &cobra.Command{
		Use:   "sbom [flags] IMAGE|FILE",
		Short: "Show the SBOM of an image, and who vouches for it",
		Long: `sbom shows the SBOM that an image carries, or one in a file: what is in the image,
and which Dockerfile instruction brought it. An SBOM that is not the one that the
image's provenance names is refused.

` + trustHelp + `

IMAGE is a reference with or without digest, or oci-layout:DIR[:TAG]; FILE is an
SPDX or CycloneDX document in JSON.

Exit status: 0 shown, 1 the policy refuses the image or the SBOM is not the signed
one, 2 it could not be read or there is none, 64 wrong usage.`,
		Example: `  plomb sbom registry.example/shop/app:v1
  plomb sbom --format cyclonedx oci-layout:./image > app.cdx.json
  plomb sbom --level file --format spdx registry.example/shop/app:v1 > files.spdx.json`,
		Args: oneDocument,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args[0], stdio)
		},
	}
	f.registerSBOM(cmd, stdio)
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", formatTable, "`FORM` of the output: "+strings.Join(sbomFormats, ", "))
	flags.StringVar(&f.level, "level", levelPkg, "how much, as `LEVEL`: "+strings.Join(sbomLevels, ", "))
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(sbomFormats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("level", cobra.FixedCompletions(sbomLevels, cobra.ShellCompDirectiveNoFileComp))
	cmd.AddCommand(sbomCheckCommand(stdio), sbomDiffCommand(stdio))
	return cmd
}

// registerSBOM adds the flags of all commands that read an SBOM.
func (f *sbomFlags) registerSBOM(cmd *cobra.Command, stdio Stdio) {
	f.registerAccess(cmd, stdio)
	f.registerTrust(cmd, stdio)
	f.registerDocument(cmd)
	cmd.Flags().BoolVar(&f.allowUnsigned, "allow-unsigned", false, "without a policy, take an SBOM that the provenance does not name")
}

func (f *sbomFlags) run(cmd *cobra.Command, arg string, stdio Stdio) error {
	if !slices.Contains(sbomFormats, f.format) {
		return fmt.Errorf("--format is %q, want %s", f.format, strings.Join(sbomFormats, " or "))
	}
	if !slices.Contains(sbomLevels, f.level) {
		return fmt.Errorf("--level is %q, want %s", f.level, strings.Join(sbomLevels, " or "))
	}
	if f.level == levelFile && f.format == string(documents.CycloneDX) {
		return errors.New("--level file is there as spdx and table: plomb writes CycloneDX of packages")
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	data, err := f.read(ctx, cmd, arg, stdio)
	if err != nil {
		return err
	}
	if err := f.show(data, stdio); err != nil {
		return fmt.Errorf("%w: %s: %w", errFailed, arg, err)
	}
	return nil
}

// read gets the document, as its bytes: of a file, or of an image.
func (f *sbomFlags) read(ctx context.Context, cmd *cobra.Command, arg string, stdio Stdio) ([]byte, error) {
	if documents.IsFile(arg) {
		data, err := documents.ReadFile(arg)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errFailed, err)
		}
		return data, nil
	}
	img, _, err := f.document(ctx, cmd, arg, stdio)
	if err != nil {
		return nil, err
	}
	if f.allowUnsigned && img.Verified {
		return nil, errors.New("--allow-unsigned and a policy exclude each other: a policy wants the signed SBOM")
	}
	name := slsa.ByproductSBOM
	if f.level == levelFile {
		name = slsa.ByproductSBOMFiles
	}
	data, _, err := img.SBOM(ctx, name)
	if f.allowUnsigned && err != nil {
		note(stdio, "unsigned: %v", err)
		data, err = img.UnsignedSBOM(ctx)
	}
	if errors.Is(err, documents.ErrUnsigned) {
		note(stdio, "%v; plomb inspect shows both, --allow-unsigned without a policy takes it all the same", err)
		return nil, errExit(exitDeny)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errFailed, arg, err)
	}
	return data, nil
}

func (f *sbomFlags) show(data []byte, stdio Stdio) error {
	if f.level == levelFile {
		return f.showFiles(data, stdio)
	}
	doc, err := documents.ParseSBOM(data)
	if err != nil {
		return err
	}
	level := sbom.LevelPackages
	if f.level == levelImage {
		level = sbom.LevelImage
	}
	for _, u := range doc.Inventory.Unread {
		note(stdio, "could not be read when the image was built, packages may be missing: %s: %s", u.Path, u.Reason)
	}
	if f.format == formatTable {
		return printPackages(stdio, sbom.Reduce(doc.Inventory, level))
	}
	out, err := doc.Write(documents.Format(f.format), level)
	if err != nil {
		return err
	}
	return writeDocument(stdio, out)
}

func (f *sbomFlags) showFiles(data []byte, stdio Stdio) error {
	if f.format != formatTable {
		return writeDocument(stdio, data)
	}
	files, err := documents.Files(data)
	if err != nil {
		return err
	}
	return printFiles(stdio, files)
}

// writeDocument ends the text with a line feed, on a terminal and in a pipe.
func writeDocument(stdio Stdio, data []byte) error {
	if _, err := stdio.Out.Write(data); err != nil {
		return err
	}
	if len(data) > 0 && data[len(data)-1] == '\n' {
		return nil
	}
	_, err := stdio.Out.Write([]byte("\n"))
	return err
}

// oneDocument demands the one argument of the commands that read an SBOM.
func oneDocument(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("give one IMAGE or FILE, not %d", len(args))
	}
	return checkDocument(args[0])
}

// checkDocument refuses what can be neither, before anything is read.
func checkDocument(arg string) error {
	if documents.IsFile(arg) || isLayout(arg) {
		return nil
	}
	if _, err := evidence.ParseReference(arg); err != nil {
		return fmt.Errorf("%w; and there is no such file", err)
	}
	return nil
}
