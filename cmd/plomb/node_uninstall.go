// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/plombproject/plomb/plugin/node"
)

func nodeUninstallCommand(stdio Stdio) *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:   "uninstall [flags]",
		Short: "Take verification off this node",
		Long: `uninstall puts everything back as plomb node install found it: containerd's
configuration first, with a restart, then the verifier, and the agent last, since
until then containerd may need it. It also cleans up after an installation that
was interrupted.

Receipts, remembered verdicts and the snapshot stay in the folder of PLOMB_STATE.
So does a file that somebody changed since it was installed, where it is.

Exit status: 0 done, or nothing was installed; 2 it could not be done: run it
again; 64 wrong usage.`,
		Example: `  plomb node uninstall`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			n, err := f.node(stdio)
			if err != nil {
				return err
			}
			err = n.Uninstall(cmd.Context(), printEvent(stdio, false))
			if errors.Is(err, node.ErrNotInstalled) {
				fmt.Fprintln(stdio.Out, err)
				return nil
			}
			return changeFailed(err, stdio)
		},
	}
	f.register(cmd, stdio)
	return cmd
}
