// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrIdentity reports a pid file that is no process identity.
var ErrIdentity = errors.New("process identity")

// identity is a process and not merely its number: numbers are reused, but
// not within the same boot with the same start time.
type identity struct {
	pid   int
	start uint64 // clock ticks since boot, field 22 of proc_pid_stat(5)
	boot  string // /proc/sys/kernel/random/boot_id
}

func (id identity) String() string {
	return fmt.Sprintf("%d %d %s\n", id.pid, id.start, id.boot)
}

func parseIdentity(data string) (identity, error) {
	fields := strings.Fields(data)
	if len(fields) != 3 {
		return identity{}, fmt.Errorf("%w: %d fields, want pid, start time and boot id", ErrIdentity, len(fields))
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil || pid < 2 {
		return identity{}, fmt.Errorf("%w: pid %q", ErrIdentity, fields[0])
	}
	start, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return identity{}, fmt.Errorf("%w: start time %q", ErrIdentity, fields[1])
	}
	return identity{pid: pid, start: start, boot: fields[2]}, nil
}

// identify reads who has this pid now. A process that has ended counts as
// absent even while nobody has collected its exit status.
func identify(pid int) (identity, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return identity{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	running, _, start, err := parseStat(string(stat))
	if err != nil {
		return identity{}, err
	}
	if !running {
		return identity{}, fmt.Errorf("%w: process %d: %w", ErrIdentity, pid, fs.ErrNotExist)
	}
	return identity{pid: pid, start: start, boot: strings.TrimSpace(string(boot))}, nil
}

// parseStat takes state, parent and start time out of /proc/PID/stat. The
// name in parentheses may hold anything, so it counts from the last one.
func parseStat(stat string) (running bool, parent int, start uint64, err error) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return false, 0, 0, fmt.Errorf("%w: stat line %q", ErrIdentity, stat)
	}
	fields := strings.Fields(stat[end+1:]) // fields[0] is field 3
	if len(fields) < 20 {
		return false, 0, 0, fmt.Errorf("%w: stat line %q", ErrIdentity, stat)
	}
	if parent, err = strconv.Atoi(fields[1]); err != nil {
		return false, 0, 0, fmt.Errorf("%w: parent %q", ErrIdentity, fields[1])
	}
	if start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return false, 0, 0, fmt.Errorf("%w: start time %q", ErrIdentity, fields[19])
	}
	return !strings.ContainsAny(fields[0], "ZXx"), parent, start, nil
}

func (id identity) alive() bool {
	now, err := identify(id.pid)
	return err == nil && now == id
}

// signal sends only if the process is still the one that was started.
func (id identity) signal(sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(id.pid, 0)
	if err != nil {
		return nil // gone, which is what every signal here is for
	}
	defer unix.Close(fd)
	// The descriptor now pins the process; whoever it is cannot change anymore.
	if !id.alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signalling process %d: %w", id.pid, err)
	}
	return nil
}

// stop sends TERM, and KILL to what has not ended after the grace period.
func (id identity) stop(ctx context.Context, grace time.Duration) error {
	if err := id.signal(syscall.SIGTERM); err != nil {
		return err
	}
	if id.wait(ctx, grace) {
		return nil
	}
	return id.kill(ctx)
}

func (id identity) kill(ctx context.Context) error {
	if err := id.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !id.wait(ctx, 10*time.Second) {
		return fmt.Errorf("process %d: still there after KILL", id.pid)
	}
	return nil
}

// wait reports whether the process ended in time.
func (id identity) wait(ctx context.Context, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for id.alive() {
		if time.Now().After(deadline) || ctx.Err() != nil {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
	return true
}

// running returns the identity in a pid file if that process lives.
func running(pidFile string) (identity, bool) {
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return identity{}, false
	}
	id, err := parseIdentity(string(data))
	return id, err == nil && id.alive()
}

// spawn starts a daemon in a session of its own, with nothing of the caller's
// terminal, and leaves its identity in the pid file.
func spawn(cmd *exec.Cmd, logFile, pidFile string) (identity, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return identity{}, fmt.Errorf("log file: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return identity{}, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	id, err := identify(cmd.Process.Pid)
	// While this process lives it is the parent and has to collect the status.
	go func() { _ = cmd.Wait() }()
	if err != nil {
		return identity{}, fmt.Errorf("%s ended at once", filepath.Base(cmd.Path))
	}
	if err := writeFile(pidFile, []byte(id.String()), 0o644); err != nil {
		_ = id.signal(syscall.SIGKILL)
		return identity{}, err
	}
	return id, nil
}

// process is one entry of /proc.
type process struct {
	identity
	parent int
	args   []string
}

// processes lists what runs now, kernel threads left out.
func processes() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var list []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// Errors below mean that the process ended meanwhile.
		id, err := identify(pid)
		if err != nil {
			continue
		}
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || len(cmdline) == 0 {
			continue
		}
		_, parent, _, err := parseStat(string(stat))
		if err != nil {
			continue
		}
		args := strings.Split(string(bytes.TrimRight(cmdline, "\x00")), "\x00")
		list = append(list, process{identity: id, parent: parent, args: args})
	}
	return list, nil
}
