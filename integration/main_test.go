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
	"os"
	"testing"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// shared is the stand of all tests in this package; native is a second
// buildkitd next to it, with another snapshotter. busybox is the base image of
// most tests.
var (
	shared, native *stand.Stand
	busybox        string
)

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(s *standtest.Shared) (err error) {
		if shared, err = s.Start(stand.Options{}); err != nil {
			return err
		}
		if native, err = s.Start(stand.Options{Snapshotter: "native", Only: []string{stand.Buildkitd}, Beside: shared}); err != nil {
			return err
		}
		busybox, err = harness.Hack(context.Background(), shared, "base", "busybox")
		return err
	}))
}
