// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package integration tells plomb's stories on real daemons: a build with the
// frontend on one side, a pull through containerd on the other.
//
// The tests share one stand, and use repositories of their own in its
// registry. Tests that break a daemon start a stand of their own.
package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/plombproject/plomb/integration/stand"
)

// shared is the stand of all tests in this package; native is a second
// buildkitd next to it, with another snapshotter.
var shared, native *stand.Stand

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "plomb-it-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	shared, err = stand.Start(ctx, stand.Options{Dir: filepath.Join(dir, "a"), Log: os.Stderr})
	if err != nil {
		return fail(err)
	}
	defer stop(shared)
	native, err = stand.Start(ctx, stand.Options{
		Dir: filepath.Join(dir, "b"), Snapshotter: "native",
		Only: []string{stand.Buildkitd}, Beside: shared, Log: os.Stderr,
	})
	if err != nil {
		return fail(err)
	}
	defer stop(native)
	return m.Run()
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
