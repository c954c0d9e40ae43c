// SPDX-License-Identifier: Apache-2.0

package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/internal/limit"
)

const (
	// DefaultConfig is what containerd reads if it is not told otherwise.
	DefaultConfig = "/etc/containerd/config.toml"

	// maxConfig bounds a configuration, in bytes. A default one has 12 kB.
	maxConfig = 4 << 20
	// maxArguments bounds a command line.
	maxArguments = 1 << 20

	// dumpLimit is how long containerd may take to print its configuration;
	// it takes 50 ms.
	dumpLimit = 20 * time.Second
)

// A Daemon is a running containerd.
type Daemon struct {
	// Program is its executable and Config its main configuration.
	Program, Config string
	// PID is the process.
	PID int
}

// Running finds the containerd that listens on a socket. It has to be root's,
// or of the user that asks: its program is going to be run.
func Running(ctx context.Context, address string) (Daemon, error) {
	var d Daemon
	pid, err := peer(ctx, address)
	if err != nil {
		return d, fmt.Errorf("%w: the process at %s: %w", ErrConfig, address, err)
	}
	d.PID = pid
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	data, err := limit.ReadFile(filepath.Join(proc, "cmdline"), maxArguments)
	if err != nil {
		return d, fmt.Errorf("%w: its command line: %w", ErrConfig, err)
	}
	args := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	d.Program, d.Config = program(proc, args[0]), configOf(args)
	if !filepath.IsAbs(d.Config) {
		dir, err := os.Readlink(filepath.Join(proc, "cwd"))
		if err != nil {
			return d, fmt.Errorf("%w: where %s is: %w", ErrConfig, d.Config, err)
		}
		d.Config = filepath.Join(dir, d.Config)
	}
	return d, nil
}

// peer is the process that listens on a Unix socket.
func peer(ctx context.Context, address string) (int, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(ctx, "unix", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	switch {
	case credErr != nil:
		return 0, credErr
	case cred.Uid != 0 && int(cred.Uid) != os.Geteuid():
		return 0, fmt.Errorf("it is of user %d and not root's: nothing it names is run", cred.Uid)
	case cred.Pid <= 0:
		return 0, errors.New("it is in another process namespace: name containerd's program and configuration")
	}
	return int(cred.Pid), nil
}

// program is the path of the executable, or the process' own view of it where
// there is another file, or none, at that path now.
//
// An agent without capabilities may not look at the executable of a process that
// has some (proc(5), PTRACE_MODE_READ_FSCREDS): it takes the name that containerd
// was started by, which systemd has as a path.
func program(proc, name string) string {
	exe := filepath.Join(proc, "exe")
	path, err := os.Readlink(exe)
	if errors.Is(err, os.ErrPermission) && isOurs(name) {
		return name
	}
	if err != nil {
		return exe
	}
	here, err := os.Stat(path)
	if err != nil {
		return exe
	}
	running, err := os.Stat(exe)
	if err != nil || !os.SameFile(here, running) {
		return exe
	}
	return path
}

// isOurs tells that name is the path of a program that only root, or the user
// that asks, can change. The process itself has chosen the name.
func isOurs(name string) bool {
	info, err := os.Stat(name)
	if err != nil || !filepath.IsAbs(name) || !info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0 {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}

// configOf finds the configuration on containerd's command line, on which it is
// --config or -c.
func configOf(args []string) string {
	for i, arg := range args {
		if i == 0 {
			continue
		}
		name, value, joined := strings.Cut(arg, "=")
		if name != "--config" && name != "-config" && name != "-c" && name != "--c" {
			continue
		}
		switch {
		case joined && value != "":
			return value
		case !joined && i+1 < len(args):
			return args[i+1]
		}
	}
	return DefaultConfig
}

// Effective is the configuration that the containerd on address runs with after
// its next restart, as TOML: what `containerd --config X config dump` prints.
// program and configPath are those of the running one if empty.
func Effective(ctx context.Context, address, program, configPath string) ([]byte, error) {
	if program == "" || configPath == "" {
		d, err := Running(ctx, address)
		if err != nil {
			return nil, err
		}
		if program == "" {
			program = d.Program
		}
		if configPath == "" {
			configPath = d.Config
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dumpLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--config", configPath, "config", "dump")
	// Nothing of what a shell has set may change what is printed.
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.WaitDelay = time.Second
	out, complaints := &bounded{max: maxConfig}, &bounded{max: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, complaints
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err() // says more than "signal: killed"
		}
		return nil, fmt.Errorf("%w: %s --config %s config dump: %w%s", ErrConfig, program, configPath, err, lastLine(complaints.Bytes()))
	}
	if out.over {
		return nil, fmt.Errorf("%w: %s printed more than %d bytes", ErrConfig, program, maxConfig)
	}
	return out.Bytes(), nil
}

// bounded keeps the first max bytes. The buffer is no part of its interface: its
// ReadFrom knows no bound.
type bounded struct {
	kept bytes.Buffer
	max  int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := b.max - b.kept.Len()
	if len(p) > room {
		b.over = true
		b.kept.Write(p[:room])
		return len(p), nil
	}
	return b.kept.Write(p)
}

func (b *bounded) Bytes() []byte { return b.kept.Bytes() }

func lastLine(data []byte) string {
	text := strings.TrimSpace(string(data))
	if text == "" {
		return ""
	}
	return ": " + text[strings.LastIndexByte(text, '\n')+1:]
}
