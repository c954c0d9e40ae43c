// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package sealing builds what is hard to make reproducible, on real daemons,
// and looks into the layers. Each image is built twice without cache on
// overlayfs, and once with the native snapshotter: all have the same manifest.
package sealing

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/plombproject/plomb/integration/stand"
)

// overlayfs and native are two buildkitd with different snapshotters; native
// has the registry of the other.
var overlayfs, native *stand.Stand

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "plomb-it-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	overlayfs, err = stand.Start(ctx, stand.Options{
		Dir: filepath.Join(dir, "a"), Only: []string{stand.Buildkitd, stand.Registry}, Log: os.Stderr,
	})
	if err != nil {
		return fail(err)
	}
	defer stop(overlayfs)
	native, err = stand.Start(ctx, stand.Options{
		Dir: filepath.Join(dir, "b"), Snapshotter: "native",
		Only: []string{stand.Buildkitd}, Beside: overlayfs, Log: os.Stderr,
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
