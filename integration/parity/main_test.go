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
)

// shared is the stand of all tests in this package.
var shared *stand.Stand

// given are the images and servers that cases may name.
var given fixtures

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "plomb-par-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	shared, err = start(ctx, dir, "a", stand.Options{})
	if err != nil {
		return fail(err)
	}
	defer stop(shared)
	var shut func()
	given, shut, err = newFixtures(ctx, filepath.Join(dir, "fixtures"))
	if err != nil {
		return fail(err)
	}
	defer shut()
	return m.Run()
}

// entitled is a buildkitd that grants what `RUN --security=insecure` and
// `RUN --network=host` ask for.
const entitled = `#!/bin/sh
exec %q "$@" --allow-insecure-entitlement security.insecure --allow-insecure-entitlement network.host
`

func start(ctx context.Context, dir, name string, opts stand.Options) (*stand.Stand, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "buildkitd-"+name)
	if err := os.WriteFile(script, fmt.Appendf(nil, entitled, filepath.Join(root, ".build", "bin", "buildkitd")), 0o755); err != nil {
		return nil, err
	}
	opts.Dir, opts.BuildkitdProgram, opts.Log = filepath.Join(dir, name), script, os.Stderr
	return stand.Start(ctx, opts)
}

func stop(s *stand.Stand) {
	if err := s.Remove(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the stand:", err)
	}
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "starting the stand:", err)
	return 1
}
