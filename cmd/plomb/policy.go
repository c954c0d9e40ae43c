// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func policyCommand(stdio Stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy COMMAND",
		Short: "Check, test, explain and import policies",
		Long: `policy works on the policies that say who may have signed which image: it finds
faults and risks in them, runs them on evidence that is written down, says what
a refused image would need, and imports the policies of other programs.`,
		Example: `  plomb policy check /etc/plomb/policy
  plomb policy test ./policies
  plomb policy explain registry.example/shop/app:v1
  plomb policy import --from containers-policy /etc/containers/policy.json`,
		Args: aCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(policyCheckCommand(stdio), policyTestCommand(stdio), policyExplainCommand(stdio), policyImportCommand(stdio), policySchemaCommand(stdio))
	return cmd
}

// registerForm adds --output to a command that asks no registry.
func registerForm(cmd *cobra.Command, form *string) {
	cmd.Flags().StringVarP(form, "output", "o", "text", "`FORM` of the output: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func checkForm(form string) error {
	if form != "text" && form != "json" {
		return fmt.Errorf("--output is %q, want text or json", form)
	}
	return nil
}

// paths demands at least one file or folder that is there.
func paths(args []string) error {
	if len(args) == 0 {
		return errors.New("give at least one file or folder")
	}
	for _, path := range args {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	return nil
}
