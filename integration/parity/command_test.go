// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
)

// commandLimit bounds one command.
const commandLimit = 2 * time.Minute

// A command is one run of a program of the stand.
type command struct {
	on    *stand.Stand // default: shared
	name  string       // default: buildx
	args  []string
	dir   string
	stdin io.Reader
	env   []string
}

// A printout is what a command wrote.
type printout struct {
	all    string
	stdout string
	err    error
}

func (c command) run(ctx context.Context) printout {
	if c.on == nil {
		c.on = shared
	}
	if c.name == "" {
		c.name = "buildx"
	}
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	path := c.name
	if !strings.Contains(path, "/") {
		path = filepath.Join(c.on.Bin, c.name)
	}
	cmd := exec.CommandContext(ctx, path, c.args...)
	cmd.Dir, cmd.Stdin = c.dir, c.stdin
	cmd.Env = append(c.on.Environ(), c.env...)
	var both, out bytes.Buffer
	var mu sync.Mutex
	cmd.Stdout, cmd.Stderr = tee{&mu, []*bytes.Buffer{&both, &out}}, tee{&mu, []*bytes.Buffer{&both}}
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", c.name, strings.Join(c.args, " "), err)
	}
	return printout{all: both.String(), stdout: out.String(), err: err}
}

func (c command) must(t testing.TB) printout {
	t.Helper()
	p := c.run(t.Context())
	require.NoError(t, p.err, p.all)
	return p
}

type tee struct {
	mu  *sync.Mutex
	out []*bytes.Buffer
}

func (w tee) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.out {
		b.Write(p)
	}
	return len(p), nil
}

// withPlomb are the arguments that make a build use plomb's frontend instead
// of the one in buildkitd, without a change of the Dockerfile.
func withPlomb() []string {
	return []string{"--build-arg", "BUILDKIT_SYNTAX=" + shared.Frontend, "--build-arg", "PLOMB_SIGN=off"}
}
