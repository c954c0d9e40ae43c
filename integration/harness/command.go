// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
	"context"
	"errors"
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

// commandLimit bounds one command. The slowest installs Debian packages, with
// the native snapshotter on a busy machine.
const commandLimit = 10 * time.Minute

// A Command is one run of a program with the environment of a stand.
type Command struct {
	On    *stand.Stand
	Name  string // a program of the stand, or a path; default: buildx
	Args  []string
	Env   []string // over the stand's
	Dir   string   // default: the test's
	Stdin io.Reader
}

// A Printout is what a command wrote, and how it ended.
type Printout struct {
	Out    string // standard output
	Stderr string
	All    string // both, as they came
	Status int    // exit status; -1 where a signal ended it
	Err    error  // unless the status is 0
}

// Do runs the command. One that could not be started has an error that is no
// *exec.ExitError.
func (c Command) Do(ctx context.Context) Printout {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	if c.Name == "" {
		c.Name = "buildx"
	}
	path := c.Name
	if !strings.Contains(path, "/") {
		path = filepath.Join(c.On.Bin, path)
	}
	cmd := exec.CommandContext(ctx, path, c.Args...)
	cmd.Dir, cmd.Stdin = c.Dir, c.Stdin
	cmd.Env = append(c.On.Environ(), c.Env...)
	var out, stderr, all bytes.Buffer
	var mu sync.Mutex
	cmd.Stdout, cmd.Stderr = tee{&mu, []io.Writer{&all, &out}}, tee{&mu, []io.Writer{&all, &stderr}}
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", c.Name, strings.Join(c.Args, " "), err)
	}
	return Printout{Out: out.String(), Stderr: stderr.String(), All: all.String(), Status: cmd.ProcessState.ExitCode(), Err: err}
}

// Run is Do for a command that may fail, but not to start.
func (c Command) Run(t testing.TB) Printout {
	t.Helper()
	p := c.Do(t.Context())
	var exit *exec.ExitError
	if p.Err != nil && !errors.As(p.Err, &exit) {
		require.NoError(t, p.Err, p.All)
	}
	return p
}

// Must is Do for a command that has to work.
func (c Command) Must(t testing.TB) Printout {
	t.Helper()
	p := c.Do(t.Context())
	require.NoError(t, p.Err, p.All)
	return p
}

// Output runs a program of s and returns all that it printed.
func Output(t testing.TB, s *stand.Stand, name string, args ...string) (string, error) {
	t.Helper()
	p := Command{On: s, Name: name, Args: args}.Run(t)
	return p.All, p.Err
}

// tee writes what two streams send to it in the order in which it came.
type tee struct {
	mu  *sync.Mutex
	out []io.Writer
}

func (w tee) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, out := range w.out {
		_, _ = out.Write(p) // buffers
	}
	return len(p), nil
}
