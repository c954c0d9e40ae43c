// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package sealing builds what is hard to make reproducible, on real daemons,
// and looks into the layers. Each image is built twice without cache on
// overlayfs, and once with the native snapshotter: all have the same manifest.
package sealing

import (
	"os"
	"testing"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// overlayfs and native are two buildkitd with different snapshotters; native
// has the registry of the other.
var overlayfs, native *stand.Stand

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(s *standtest.Shared) (err error) {
		if overlayfs, err = s.Start(stand.Options{Only: []string{stand.Buildkitd, stand.Registry}}); err != nil {
			return err
		}
		native, err = s.Start(stand.Options{Snapshotter: "native", Only: []string{stand.Buildkitd}, Beside: overlayfs})
		return err
	}))
}
