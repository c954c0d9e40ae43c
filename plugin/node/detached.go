// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/internal/durable"
	"github.com/plombproject/plomb/internal/limit"
)

// Detached keeps the agent as a process that nobody watches over: for machines
// without systemd, and for tests. What it has started is in Dir/agent.pid.
type Detached struct {
	// Dir is the folder of pid file and log.
	Dir string
	// RestartCommand is what restarts containerd; empty: nothing is known to.
	RestartCommand []string
	// Getenv reads this process' environment, of which the agent gets what a
	// program needs to find others.
	Getenv func(string) string
}

// passed are the variables that the agent gets besides its settings.
var passed = []string{
	"PATH", "HOME", "TMPDIR", "DOCKER_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}

// stopGrace is how long the agent may take to end when asked.
const stopGrace = 10 * time.Second

// Files are none.
func (d Detached) Files(Unit) []File { return nil }

// ContainerdFiles are none: whoever starts containerd gives it its environment.
func (d Detached) ContainerdFiles([]string) []File { return nil }

// Reload does nothing.
func (d Detached) Reload(context.Context) error { return nil }

// Start starts the agent, after ending the one that this started before.
func (d Detached) Start(ctx context.Context, u Unit) error {
	if err := d.Stop(ctx); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(d.Dir, "agent.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAgent, err)
	}
	defer log.Close()
	// It outlives this process, and its context.
	cmd := exec.Command(u.Program, "agent")
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	for _, name := range passed {
		if v := d.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, u.Environment...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", ErrAgent, err)
	}
	started, err := startTime(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("%w: it ended at once: see %s", ErrAgent, log.Name())
	}
	id := fmt.Sprintf("%d %d\n", cmd.Process.Pid, started)
	if err := durable.WriteFile(d.pidFile(), []byte(id), 0o600); err != nil {
		return fmt.Errorf("%w: %w", ErrAgent, err)
	}
	// Somebody has to collect it should it end before this process does.
	go func() { _ = cmd.Wait() }()
	return nil
}

// Stop ends the agent that this started.
func (d Detached) Stop(ctx context.Context) error {
	pid, started, ok := d.started()
	if ok && alive(pid, started) {
		if err := end(ctx, pid, started); err != nil {
			return fmt.Errorf("%w: %w", ErrAgent, err)
		}
	}
	if err := remove(d.pidFile()); err != nil {
		return fmt.Errorf("%w: %w", ErrAgent, err)
	}
	return nil
}

// RestartContainerd runs the command that was given for it.
func (d Detached) RestartContainerd(ctx context.Context) error {
	if len(d.RestartCommand) == 0 {
		return ErrNoRestart
	}
	if err := command(ctx, d.RestartCommand...); err != nil {
		return fmt.Errorf("%w: %w", ErrRestart, err)
	}
	return nil
}

// Says are the commands for an action.
func (d Detached) Says(action string) []string {
	switch {
	case action == "start":
		return []string{"start plomb agent in the background, with its log in " + filepath.Join(d.Dir, "agent.log")}
	case action == "stop":
		return []string{"stop plomb agent"}
	case action == "restart" && len(d.RestartCommand) > 0:
		return []string{"run " + strings.Join(d.RestartCommand, " ")}
	}
	return []string{"containerd has to be restarted by hand"}
}

func (d Detached) pidFile() string { return filepath.Join(d.Dir, "agent.pid") }

// started is the process that Start left a note of. A note that somebody else
// could have left is none: who it names is about to be killed.
func (d Detached) started() (pid int, started uint64, ok bool) {
	f, err := os.OpenFile(d.pidFile(), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, 0, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 {
		return 0, 0, false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return 0, 0, false
	}
	data, err := limit.ReadAll(f, 100)
	if err != nil {
		return 0, 0, false
	}
	return parseIdentity(data)
}

func parseIdentity(data []byte) (pid int, started uint64, ok bool) {
	fields := strings.Fields(string(data))
	if len(fields) != 2 {
		return 0, 0, false
	}
	pid, err1 := strconv.Atoi(fields[0])
	started, err2 := strconv.ParseUint(fields[1], 10, 64)
	return pid, started, err1 == nil && err2 == nil && pid > 1
}

// startTime tells two processes with one number apart: field 22 of
// proc_pid_stat(5), counted from the last parenthesis, since the name before it
// may hold anything.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 || strings.ContainsAny(fields[0], "ZX") {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

func alive(pid int, started uint64) bool {
	now, err := startTime(pid)
	return err == nil && now == started
}

// end asks a process to end, and makes it after a while.
func end(ctx context.Context, pid int, started uint64) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // gone
	}
	defer unix.Close(fd)
	if !alive(pid, started) {
		return nil // another one by now, which the descriptor pins
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		deadline := time.Now().Add(stopGrace)
		for alive(pid, started) && time.Now().Before(deadline) && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if !alive(pid, started) {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end", pid)
}
