// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/plombproject/plomb/internal/limit"
)

const (
	// maxAnswer bounds what a program may print, in bytes.
	maxAnswer = 1 << 20

	// pipeDelay is how long after a program its children may hold its pipes.
	pipeDelay = 200 * time.Millisecond
)

// programs runs credential programs: request on standard input, answer on
// standard output, both never on a command line. What they write to standard
// error is dropped, because nobody knows what is in it.
type programs struct {
	// timeout bounds each run.
	timeout time.Duration
}

// A command is one run.
type command struct {
	path  string // absolute
	args  []string
	env   []string // over this program's own
	stdin []byte
}

// run gives what the program printed, also if it failed.
func (p programs) run(ctx context.Context, c command) ([]byte, error) {
	if err := checkProgram(c.path); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	stdout := &bounded{left: maxAnswer, full: cancel}
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(c.stdin), stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeDelay
	err := cmd.Run()
	if cmd.Process != nil {
		// Whatever it left behind goes with it.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	switch {
	case stdout.left < 0:
		return nil, fmt.Errorf("%w: %s: answer: %w", ErrProgram, c.path, limit.ErrTooLarge)
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return stdout.buf.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: %s gave no answer in time and was killed: %w", ErrProgram, c.path, ctx.Err())
	}
	return stdout.buf.Bytes(), fmt.Errorf("%w: %s: %w; run it by hand to see why", ErrProgram, c.path, err)
}

// checkProgram refuses what somebody other than root and this user could have
// put there: it is about to run as root.
func checkProgram(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%w: %s is no absolute path", ErrProgram, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProgram, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode(); {
	case !mode.IsRegular() || mode&0o111 == 0:
		return fmt.Errorf("%w: %s is no program", ErrProgram, path)
	case mode&0o022 != 0:
		return fmt.Errorf("%w: %s can be changed by others than its owner: chmod go-w it", ErrProgram, path)
	case !ok || owner.Uid != 0 && int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("%w: %s belongs to another user: chown it to root", ErrProgram, path)
	}
	return nil
}

// bounded is a buffer that refuses more than it has room for. A program that
// does not care that nobody reads it any more is ended by full.
type bounded struct {
	// buf is not embedded: its ReadFrom would go around Write.
	buf  bytes.Buffer
	left int
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		b.full()
		return 0, limit.ErrTooLarge
	}
	return b.buf.Write(p)
}
