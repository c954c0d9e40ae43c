// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package daemons builds the same sources on every BuildKit that plomb is said
// to work with: the one of all other tests, and those of
// hack/daemons/buildkit-*. docs/daemons.md says what these tests found.
//
// PLOMB_BUILDKITD=PROGRAM replaces the older ones with a buildkitd of your own.
package daemons

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

// shared is the stand that lends the others everything but buildkitd; its own
// is the newest.
var shared *stand.Stand

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
	defer func() {
		if err := shared.Remove(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the stand:", err)
		}
	}()
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "starting the stand:", err)
	return 1
}

// A daemon is one way to run BuildKit.
type daemon struct {
	name    string // version-snapshotter, for the test's output
	old     bool   // before v0.31, which changed what exporters do by default
	options stand.Options
}

// daemons lists each version with each snapshotter, and the containerd worker.
func daemons(t *testing.T) []daemon {
	t.Helper()
	versions := older(t)
	versions["current"] = ""
	var list []daemon
	for version, program := range versions {
		for _, snapshotter := range []string{"overlayfs", "native"} {
			list = append(list, daemon{
				name: version + "-" + snapshotter, old: version == "v0.26" || version == "v0.29",
				options: stand.Options{BuildkitdProgram: program, Snapshotter: snapshotter},
			})
		}
	}
	return append(list, daemon{name: "current-containerd", options: stand.Options{ContainerdWorker: true}})
}

// older maps versions to programs.
func older(t *testing.T) map[string]string {
	t.Helper()
	if program := os.Getenv("PLOMB_BUILDKITD"); program != "" {
		return map[string]string{"yours": program}
	}
	modules, err := filepath.Glob("../../hack/daemons/buildkit-*")
	if err != nil || len(modules) == 0 {
		t.Fatalf("no modules hack/daemons/buildkit-*: %v", err)
	}
	programs := map[string]string{}
	for _, module := range modules {
		version := strings.TrimPrefix(filepath.Base(module), "buildkit-")
		program, err := filepath.Abs("../../.build/daemons/buildkitd-" + version)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(program); err != nil {
			t.Fatalf("%v: run hack/tools --all-daemons", err)
		}
		programs[version] = program
	}
	return programs
}

// start starts the daemon beside the shared stand, for the length of the test.
func (d daemon) start(t *testing.T) *stand.Stand {
	t.Helper()
	o := d.options
	o.Only, o.Beside = []string{stand.Buildkitd}, shared
	return standtest.Start(t, o)
}
