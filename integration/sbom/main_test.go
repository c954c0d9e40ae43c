// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package sbom tests the SBOMs of real builds: what they say of which
// instruction, that they are the same each time, what they cost a second build,
// and what hostile images and Dockerfiles can do to them. What a look at a tree
// finds is integration/catalog's; what is signed is integration/evidence's.
package sbom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
)

// commandLimit bounds one command. The slowest installs Debian packages.
const commandLimit = 5 * time.Minute

// on is the stand of all tests in this package.
var on *stand.Stand

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "plomb-sb-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	on, err = stand.Start(ctx, stand.Options{
		Dir: filepath.Join(dir, "s"), Log: os.Stderr,
		Only: []string{stand.Registry, stand.Sigstore, stand.Buildkitd},
	})
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := on.Remove(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the stand:", err)
		}
	}()
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "starting the stand:", err)
	return 1
}

// hack runs a developer's command and returns the last line it printed.
func hack(name string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join("..", "..", "hack", name), args...)
	cmd.Env, cmd.Stderr = on.Environ(), os.Stderr
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], err
}

// The base images, each made when it is first asked for.
var (
	busybox = sync.OnceValues(func() (string, error) { return hack("base", "busybox") })
	debian  = sync.OnceValues(func() (string, error) { return hack("base", "debian") })
)

// An outcome is what a command said.
type outcome struct {
	status      int
	out, stderr string
}

func (o outcome) all() string { return o.out + o.stderr }

// command runs a program of the stand, with its environment and env.
func command(t *testing.T, s *stand.Stand, env []string, name string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, name), args...)
	cmd.Env = append(s.Environ(), env...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	o := outcome{out: out.String(), stderr: log.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		o.status = exit.ExitCode()
		return o
	}
	require.NoError(t, err, "%s %s", name, strings.Join(args, " "))
	return o
}

// plomb runs the command that users run and demands an exit status.
func plomb(t *testing.T, status int, args ...string) outcome {
	t.Helper()
	o := command(t, on, []string{"PLOMB_POLICY="}, "plomb", args...)
	require.Equal(t, status, o.status, "plomb %s\n%s", strings.Join(args, " "), o.all())
	return o
}
