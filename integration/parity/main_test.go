// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package parity builds the same Dockerfiles with BuildKit's own Dockerfile
// frontend and with plomb, on the same buildkitd, and compares what comes out:
// file tree, image config, layers, warnings, errors, answers to subrequests.
//
// The corpus is testdata/*.txtar, a case each; corpus_test.go says how a case
// is written. What is about the command line and not about a Dockerfile (cache
// export, attestations, bake) has tests of its own.
package parity

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// shared is the stand of all tests in this package.
var shared *stand.Stand

// given are the images and servers that cases may name.
var given fixtures

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(s *standtest.Shared) error {
		program, err := entitled(s.Dir)
		if err != nil {
			return err
		}
		if shared, err = s.Start(stand.Options{BuildkitdProgram: program}); err != nil {
			return err
		}
		var shut func()
		if given, shut, err = newFixtures(context.Background(), filepath.Join(s.Dir, "fixtures")); err == nil {
			s.Cleanup(shut)
		}
		return err
	}))
}

// entitled writes a program into dir: a buildkitd that grants what `RUN
// --security=insecure` and `RUN --network=host` ask for.
func entitled(dir string) (program string, err error) {
	root, err := stand.FindRoot()
	if err != nil {
		return "", err
	}
	program = filepath.Join(dir, "buildkitd")
	script := fmt.Sprintf("#!/bin/sh\nexec %q \"$@\" --allow-insecure-entitlement security.insecure --allow-insecure-entitlement network.host\n",
		filepath.Join(root, ".build", "bin", "buildkitd"))
	return program, os.WriteFile(program, []byte(script), 0o755)
}
