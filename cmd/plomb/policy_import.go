// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy/importer"
)

type policyImportFlags struct {
	from   string
	folder string
	ignore []string
}

func policyImportCommand(stdio Stdio) *cobra.Command {
	var f policyImportFlags
	var names, titles []string
	for _, format := range importer.Formats() {
		names = append(names, format.Name)
		titles = append(titles, fmt.Sprintf("  %-18s %s", format.Name, format.Title))
	}
	cmd := &cobra.Command{
		Use:   "import --from FORMAT [flags] FILE",
		Short: "Turn the policy of another program into policies",
		Long: `import writes policies that come to the same verdict as those of another program:

` + strings.Join(titles, "\n") + `

A rule that cannot be expressed, or not with the same meaning, is refused by name
with its place, and then nothing is written. Keys and certificates that the file
names by path are read and put into the policies.

Exit status: 0 imported, 1 something cannot be imported, 64 wrong usage.`,
		Example: `  plomb policy import --from containers-policy /etc/containers/policy.json
  plomb policy import --from notation -o /etc/plomb/policy trustpolicy.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one FILE, not %d", len(args))
			}
			return paths(args)
		},
		RunE: func(_ *cobra.Command, args []string) error { return f.run(args[0], stdio) },
	}
	cmd.Flags().StringVar(&f.from, "from", "", "`FORMAT` of the file: "+strings.Join(names, ", "))
	_ = cmd.RegisterFlagCompletionFunc("from", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVarP(&f.folder, "output-dir", "o", "", "write imported-FORMAT.yaml to this `DIR`, not to the output")
	_ = cmd.MarkFlagDirname("output-dir")
	cmd.Flags().StringArrayVar(&f.ignore, "ignore-transport", nil, "leave out this `TRANSPORT` of a containers-policy.json, may be repeated")
	return cmd
}

func (f *policyImportFlags) run(path string, stdio Stdio) error {
	formats := importer.Formats()
	i := slices.IndexFunc(formats, func(x importer.Format) bool { return x.Name == f.from })
	if i < 0 {
		var names []string
		for _, format := range formats {
			names = append(names, format.Name)
		}
		return fmt.Errorf("--from is %q, want the format of the file: %s", f.from, strings.Join(names, ", "))
	}
	if f.ignore != nil && f.from != "containers-policy" {
		return errors.New("--ignore-transport is for containers-policy")
	}
	data, err := limit.ReadFile(path, importer.MaxFile)
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	res, err := formats[i].Import(importer.Source{
		Name: filepath.Base(path), Data: data, Ignore: f.ignore,
		ReadFile: func(name string) ([]byte, error) { return limit.ReadFile(name, importer.MaxFile) },
	})
	if err != nil {
		for _, fault := range faults(err) {
			fmt.Fprintf(stdio.Err, "plomb: %s\n", fault)
		}
		return errExit(exitDeny)
	}
	for _, note := range res.Notes {
		fmt.Fprintf(stdio.Err, "note: %s\n", decision.OneLine(note))
	}
	return f.write(res.Policy, stdio)
}

// write never replaces a file: it may have been edited.
func (f *policyImportFlags) write(text []byte, stdio Stdio) error {
	if f.folder == "" {
		if _, err := stdio.Out.Write(text); err != nil {
			return fmt.Errorf("%w: %w", errFailed, err)
		}
		return nil
	}
	name := filepath.Join(f.folder, "imported-"+f.from+".yaml")
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s is there already, and somebody may have edited it: remove it, or give another --output-dir", errFailed, name)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("%w: %w", errFailed, err)
	}
	_, _ = fmt.Fprintln(stdio.Out, name)
	return nil
}
