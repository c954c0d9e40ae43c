// SPDX-License-Identifier: Apache-2.0

//go:build integration

package systemd

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/plombproject/plomb/integration/cri"
)

// groupPrefix comes before the test's process id.
const groupPrefix = "plomb-systemd-"

// A machine is a systemd with its own processes, mounts, network and control
// groups.
type machine struct {
	t    *testing.T
	root string
	// group is the name of its control group in each hierarchy.
	group string
	// pid is its process 1 as this machine around it sees it, and ended tells
	// that it did.
	pid   int
	ended chan struct{}
}

// newMachine has a root file system, and does not run yet.
func newMachine(t *testing.T) *machine {
	t.Helper()
	removeStale(t)
	m := &machine{t: t, root: makeFolder(t), group: groupPrefix + strconv.Itoa(os.Getpid())}
	t.Cleanup(func() {
		if t.Failed() && m.pid != 0 {
			out, _ := m.do("sh", "-c", "journalctl --no-pager --output=short-precise | grep -v level=info | tail -n 80")
			t.Logf("the end of the journal:\n%s", out)
		}
		m.off()
	})
	return m
}

// step is a part of a test.
func (m *machine) step(name string, part func()) {
	m.t.Helper()
	whole := m.t
	defer func() { m.t = whole }()
	whole.Run(name, func(t *testing.T) {
		m.t = t
		part()
	})
}

// on boots it, and waits for containerd.
func (m *machine) on() {
	m.t.Helper()
	script, err := filepath.Abs("testdata/boot.sh")
	require.NoError(m.t, err)
	var said bytes.Buffer
	cmd := exec.Command(script, m.root, m.group)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET,
		// The kernel ends it, and with process 1 all of it, if the test ends first.
		Pdeathsig: syscall.SIGKILL, Setsid: true,
	}
	cmd.WaitDelay = time.Second
	m.ended = make(chan struct{})
	started := make(chan error)
	go func() {
		// The signal is sent at the end of the thread that started it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(m.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	require.NoError(m.t, <-started)
	m.pid = cmd.Process.Pid
	m.eventually("containerd runs", func() error {
		select {
		case <-m.ended:
			require.Fail(m.t, "the machine ended", said.String())
		default:
		}
		return m.says("active", "systemctl", "is-active", "containerd.service")
	})
}

// off is the plug pulled: nothing gets a chance to clean up.
func (m *machine) off() {
	if m.pid == 0 {
		return
	}
	_ = syscall.Kill(m.pid, syscall.SIGKILL)
	<-m.ended
	m.pid = 0
	for _, dir := range hierarchies(m.t) {
		m.eventually("the end of "+m.group, func() error { return removeGroup(filepath.Join(dir, m.group)) })
	}
}

// hierarchies are the folders in which control groups are mounted.
func hierarchies(t *testing.T) (dirs []string) {
	t.Helper()
	file, err := os.Open("/proc/mounts")
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 2 && strings.HasPrefix(fields[1], "/sys/fs/cgroup") && strings.HasPrefix(fields[2], "cgroup") {
			dirs = append(dirs, fields[1])
		}
	}
	require.NoError(t, lines.Err())
	return dirs
}

// removeStale removes the control groups of tests that were killed. Their
// processes and mounts ended with them.
func removeStale(t *testing.T) {
	t.Helper()
	for _, dir := range hierarchies(t) {
		groups, err := filepath.Glob(filepath.Join(dir, groupPrefix+"*"))
		require.NoError(t, err)
		for _, group := range groups {
			pid := strings.TrimPrefix(filepath.Base(group), groupPrefix)
			if _, err := os.Stat("/proc/" + pid); errors.Is(err, fs.ErrNotExist) {
				_ = removeGroup(group)
			}
		}
	}
}

// removeGroup removes a control group and those in it, the innermost first.
func removeGroup(path string) error {
	var dirs []string
	err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	slices.Reverse(dirs)
	for _, dir := range dirs {
		if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
	}
	return nil
}

// do runs a command on the machine and returns what it printed and its status.
func (m *machine) do(argv ...string) (string, int) {
	proc := "/proc/" + strconv.Itoa(m.pid)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"--target", strconv.Itoa(m.pid), "--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup", "--root=" + proc + "/root", "--wd=" + proc + "/root", "--",
	}, argv...)...)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return err.Error(), -1
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// must runs a command that has to end with a status.
func (m *machine) must(status int, argv ...string) string {
	m.t.Helper()
	out, got := m.do(argv...)
	require.Equal(m.t, status, got, "%s: %s", strings.Join(argv, " "), out)
	return out
}

// says tells that a command prints text.
func (m *machine) says(text string, argv ...string) error {
	if out, _ := m.do(argv...); strings.TrimSpace(out) != text {
		return errors.New(strings.Join(argv, " ") + " says " + out)
	}
	return nil
}

// property is one of a unit's.
func (m *machine) property(unit, name string) string {
	m.t.Helper()
	return strings.TrimSpace(m.must(0, "systemctl", "show", "--value", "--property="+name, unit))
}

// read is a file of the machine.
func (m *machine) read(path string) string {
	m.t.Helper()
	return m.must(0, "cat", path)
}

// dial is a client of CRI at a socket of the machine.
func (m *machine) dial(socket string) *cri.Client {
	m.t.Helper()
	c, err := cri.Dial("/proc/" + strconv.Itoa(m.pid) + "/root" + socket)
	require.NoError(m.t, err)
	m.t.Cleanup(func() { _ = c.Close() })
	return c
}

// listen listens on the machine's loopback.
func (m *machine) listen(address string) net.Listener {
	m.t.Helper()
	type result struct {
		net.Listener
		error
	}
	done := make(chan result)
	go func() {
		// Never unlocked: the thread ends with this function, in the other namespace.
		runtime.LockOSThread()
		ns, err := os.Open("/proc/" + strconv.Itoa(m.pid) + "/ns/net")
		if err == nil {
			err = errors.Join(unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET), ns.Close())
		}
		if err != nil {
			done <- result{nil, err}
			return
		}
		l, err := net.Listen("tcp", address)
		done <- result{l, err}
	}()
	r := <-done
	require.NoError(m.t, r.error)
	return r.Listener
}

func (m *machine) eventually(what string, try func() error) {
	m.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	require.NoError(m.t, err, what)
}
