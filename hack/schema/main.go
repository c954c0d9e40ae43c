// SPDX-License-Identifier: Apache-2.0

// Command schema writes the JSON schemas of policy documents into a folder:
//
//	go run ./hack/schema FOLDER
//
// It runs in the checkout, whose comments are the descriptions. hack/generate
// calls it.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/plombproject/plomb/verify/policy/schema"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./hack/schema FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "hack/schema:", err)
		os.Exit(1)
	}
}

func write(folder string) error {
	files, err := schema.Generate(schema.Module, filepath.Join("verify", "policy", "spec"))
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(folder, name), files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}
