// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package daemons builds the same sources on every BuildKit that plomb is said
// to work with: the one of all other tests, and those of
// hack/daemons/buildkit-*. docs/daemons.md says what these tests found.
//
// PLOMB_BUILDKITD=PROGRAM replaces the older ones with a buildkitd of your own.
package daemons

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// shared is the stand that lends the others everything but buildkitd; its own
// is the newest.
var shared *stand.Stand

func TestMain(m *testing.M) {
	os.Exit(standtest.Main(m, func(s *standtest.Shared) (err error) {
		shared, err = s.Start(stand.Options{})
		return err
	}))
}

// A daemon is one way to run BuildKit.
type daemon struct {
	version string // as in hack/daemons/buildkit-*, current, or yours
	name    string // with snapshotter and worker, for the test's output
	options stand.Options
}

// current is the version that all other tests use.
const current = "current"

// every lists each version with each snapshotter, and the containerd worker.
func every(t *testing.T) []daemon {
	t.Helper()
	var list []daemon
	for _, d := range versions(t) {
		list = append(list, d)
		d.name, d.options.Snapshotter = d.version+"-native", "native"
		list = append(list, d)
	}
	return append(list, daemon{version: current, name: "current-containerd", options: stand.Options{ContainerdWorker: true}})
}

// versions lists each version with overlayfs.
func versions(t *testing.T) []daemon {
	t.Helper()
	list := []daemon{{version: current, name: "current-overlayfs"}}
	if program := os.Getenv("PLOMB_BUILDKITD"); program != "" {
		return append(list, daemon{version: "yours", name: "yours-overlayfs", options: stand.Options{BuildkitdProgram: program}})
	}
	modules, err := filepath.Glob("../../hack/daemons/buildkit-*")
	require.NoError(t, err)
	require.NotEmpty(t, modules, "modules hack/daemons/buildkit-*")
	for _, module := range modules {
		version := strings.TrimPrefix(filepath.Base(module), "buildkit-")
		program, err := filepath.Abs("../../.build/daemons/buildkitd-" + version)
		require.NoError(t, err)
		require.FileExists(t, program, "run hack/tools --all-daemons")
		list = append(list, daemon{version: version, name: version + "-overlayfs", options: stand.Options{BuildkitdProgram: program}})
	}
	return list
}

// start starts the daemon beside the shared stand, for the length of the test.
func (d daemon) start(t *testing.T) *stand.Stand {
	t.Helper()
	o := d.options
	o.Only, o.Beside = []string{stand.Buildkitd}, shared
	return standtest.Start(t, o)
}
