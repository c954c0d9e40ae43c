// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// schemas are copies of docs/schema: go:embed reaches no other folder.
//
//go:embed policy_schema/*.json
var schemas embed.FS

// schemaFiles are the schemas by the kind of document that they are for.
var schemaFiles = map[string]string{
	"ImagePolicy":        "imagepolicy-v1.schema.json",
	"ClusterImagePolicy": "clusterimagepolicy.schema.json",
	"TrustRoot":          "trustroot.schema.json",
}

func policySchemaCommand(stdio Stdio) *cobra.Command {
	kinds := slices.Sorted(maps.Keys(schemaFiles))
	return &cobra.Command{
		Use:   "schema [KIND]",
		Short: "Print the JSON schema of policy documents",
		Long: `schema prints the JSON schema of one kind of document, for editors that complete
and check as one writes: ` + strings.Join(kinds, ", ") + `. Without KIND it is that of
ImagePolicy. A schema says less than plomb policy check.`,
		Example: `  plomb policy schema > imagepolicy-v1.schema.json
  plomb policy schema ClusterImagePolicy`,
		ValidArgs: kinds,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && schemaFiles[args[0]] == "" {
				return fmt.Errorf("%q is no KIND of document, want one of %s", strings.Join(args, " "), strings.Join(kinds, ", "))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			kind := "ImagePolicy"
			if len(args) == 1 {
				kind = args[0]
			}
			data, err := schemas.ReadFile("policy_schema/" + schemaFiles[kind])
			if err == nil {
				_, err = stdio.Out.Write(data)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", errFailed, err)
			}
			return nil
		},
	}
}
