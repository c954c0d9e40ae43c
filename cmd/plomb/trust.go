// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/verify/trust"
)

// trustFlags are those of every trust command.
type trustFlags struct {
	dir string
}

func trustCommand(stdio Stdio) *cobra.Command {
	var f trustFlags
	cmd := &cobra.Command{
		Use:   "trust COMMAND",
		Short: "Install, renew and show trusted roots",
		Long: `trust looks after the store of trusted roots: keys and certificates of the
Sigstore instances whose signatures this machine believes. Each instance stands
for itself; they are never merged.

A verification never renews anything: run plomb trust update by a timer. Where
--trusted-root names a file, or /etc/plomb/trusted_root.json is there, the store
is not looked at.`,
		Example: `  plomb trust update
  plomb trust show public-good`,
		Args: aCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&f.dir, "trust-dir", envOr(stdio, "PLOMB_TRUST", trust.DefaultStore), "`FOLDER` of the instances (PLOMB_TRUST)")
	_ = cmd.MarkPersistentFlagDirname("trust-dir")
	cmd.AddCommand(trustUpdateCommand(&f, stdio), trustShowCommand(&f, stdio), trustListCommand(&f, stdio), trustExportCommand(&f, stdio))
	return cmd
}

func (f *trustFlags) store() trust.Store { return trust.Store{Dir: f.dir} }

// complete offers the names of instances to the shell.
func (f *trustFlags) complete(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names, _ := f.store().Names()
	return names, cobra.ShellCompDirectiveNoFileComp
}

// oneInstance demands at most one NAME, or with must exactly one, that could be
// an instance.
func oneInstance(must bool) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 || must && len(args) == 0 {
			return fmt.Errorf("give one NAME of a trust instance, not %d", len(args))
		}
		if len(args) == 1 {
			return trust.CheckName(args[0])
		}
		return nil
	}
}

// names are the one that was asked for, or all.
func (f *trustFlags) names(args []string) ([]string, error) {
	if len(args) == 1 {
		return args, nil
	}
	names, err := f.store().Names()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFailed, err)
	}
	return names, nil
}

// someNames is names where there must be one.
func (f *trustFlags) someNames(args []string) ([]string, error) {
	names, err := f.names(args)
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%w: no instance in %s; run plomb trust update public-good", errFailed, f.dir)
	}
	return names, err
}

func checkOutput(form string) error {
	if form != "text" && form != "json" {
		return fmt.Errorf("--output is %q, want text or json", form)
	}
	return nil
}
