// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/node"
)

func defaultUnit(program string) node.Unit {
	return node.Unit{Program: program, State: "/var/lib/plomb", Run: "/run/plomb", Config: "/etc/plomb"}
}

// The unit is what systemd itself takes for one, without a warning.
func TestUnitIsSystemds(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here: apt-get install systemd")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "plomb with a space")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755))
	u := defaultUnit(program)
	u.Environment = []string{`PLOMB_POLICY=/etc/pol icy/100%/"$HOME"\x`, "PLOMB_TIMEOUT=5s"}
	s := node.Systemd{Dir: dir}
	files := append(s.Files(u), s.ContainerdFiles(u.Environment)...)
	for _, f := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(f.Path), 0o755))
		require.NoError(t, os.WriteFile(f.Path, f.Data, f.Mode))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "containerd.service"), []byte("[Service]\nExecStart=/bin/true\n"), 0o644))
	for _, unit := range []string{"plomb-agent.service", "containerd.service"} {
		out, err := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=no", filepath.Join(dir, unit)).CombinedOutput()
		require.NoError(t, err, "%s\n%s", out, files[0].Data)
		require.NotContains(t, string(out), unit+":", "%s", files[0].Data)
	}
}

// systemd's own measure of how much a service may do, from 0 to 100: it may not
// get worse unnoticed.
func TestUnitIsConfined(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here: apt-get install systemd")
	}
	dir := t.TempDir()
	f := node.Systemd{Dir: dir}.Files(defaultUnit("/bin/true"))[0]
	require.NoError(t, os.WriteFile(f.Path, f.Data, f.Mode))
	out, err := exec.Command(analyze, "security", "--offline=yes", "--threshold=25", "--no-pager", f.Path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}

func TestUnitHasItsLimits(t *testing.T) {
	files := node.Systemd{Dir: "/units"}.Files(defaultUnit("/usr/local/bin/plomb"))
	require.Len(t, files, 1)
	require.Equal(t, "/units/plomb-agent.service", files[0].Path)
	text := string(files[0].Data)
	for _, line := range []string{
		"ExecStart=/usr/local/bin/plomb agent", "Type=notify", "Restart=always", "WatchdogSec=30", "NoNewPrivileges=yes",
		"ProtectSystem=strict", "CapabilityBoundingSet=", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
		"MemoryMax=256M", "Before=kubelet.service", "After=containerd.service network-online.target",
		"ReadOnlyPaths=/run", "ReadWritePaths=-/var/lib/plomb -/run/plomb", "StateDirectory=plomb", "RuntimeDirectory=plomb",
	} {
		require.Contains(t, text, "\n"+line+"\n")
	}
	require.NotContains(t, text, "%!")
	require.NotContains(t, text, "Requires=", "a node whose agent fails has to boot")
	require.Empty(t, node.Systemd{Dir: "/units"}.ContainerdFiles(nil))

	elsewhere := defaultUnit("/usr/local/bin/plomb")
	elsewhere.Run = "/run/else where"
	text = string(node.Systemd{Dir: "/units"}.Files(elsewhere)[0].Data)
	require.Contains(t, text, "\nExecStartPre=+-/bin/mkdir -p -m 0700 \"/run/else where\"\nExecStart=")
	require.NotContains(t, text, "RuntimeDirectory=")
}

// A value that somebody put into the environment stays one value.
func TestUnitEnvironmentCannotBreakOut(t *testing.T) {
	u := defaultUnit("/usr/local/bin/plomb")
	u.Environment = []string{"PLOMB_POLICY=/a b", `PLOMB_HOSTS="%h"`, "PLOMB_TRUST=/a\nExecStartPre=/bin/evil"}
	require.ErrorContains(t, node.CheckEnvironment(u.Environment), "PLOMB_TRUST")
	text := string(node.Systemd{}.Files(node.Unit{Program: "/p", Environment: u.Environment[:2]})[0].Data)
	require.Contains(t, text, "\nEnvironment=\"PLOMB_POLICY=/a b\"\n")
	require.Contains(t, text, "\nEnvironment=\"PLOMB_HOSTS=\\\"%%h\\\"\"\n")
}

func TestSystemdCommands(t *testing.T) {
	var ran []string
	s := node.Systemd{Dir: t.TempDir(), Run: func(_ context.Context, argv ...string) error {
		ran = append(ran, strings.Join(argv, " "))
		return nil
	}}
	require.NoError(t, s.Start(t.Context(), node.Unit{}))
	require.NoError(t, s.Stop(t.Context()), "a unit that is not there is not stopped")
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir, "plomb-agent.service"), nil, 0o600))
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.RestartContainerd(t.Context()))
	s.RestartCommand = []string{"service", "containerd", "restart"}
	require.NoError(t, s.RestartContainerd(t.Context()))
	require.Equal(t, []string{
		"systemctl daemon-reload", "systemctl enable plomb-agent.service", "systemctl restart plomb-agent.service",
		"systemctl disable --now plomb-agent.service",
		"systemctl daemon-reload", "systemctl restart containerd.service",
		"service containerd restart",
	}, ran)
	s.Run = func(context.Context, ...string) error { return errors.New("no bus") }
	require.ErrorIs(t, s.RestartContainerd(t.Context()), node.ErrRestart)
	require.ErrorIs(t, s.Start(t.Context(), node.Unit{}), node.ErrAgent)
}

// The process that a pid file names is ended only if it is the one that was
// started: the number may be another's by now.
func TestDetachedEndsNobodyElse(t *testing.T) {
	other := exec.Command("sleep", "60")
	require.NoError(t, other.Start())
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	dir := t.TempDir()
	d := node.Detached{Dir: dir, Getenv: os.Getenv}
	for _, text := range []string{
		"", "x y", "1 1", "-1 5", "99999999999999999999 1", pid(other) + " 1\n", pid(other) + "\n", strings.Repeat("1", 200),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "agent.pid"), []byte(text), 0o600))
		require.NoError(t, d.Stop(t.Context()))
		require.NoError(t, other.Process.Signal(nilSignal), text)
	}
}

func TestDetachedStartsAndStops(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "plomb")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nenv > "+dir+"/env.new\nmv "+dir+"/env.new "+dir+"/env\nexec sleep 60\n"), 0o755))
	d := node.Detached{Dir: dir, Getenv: func(name string) string {
		return map[string]string{"PATH": os.Getenv("PATH"), "GITHUB_TOKEN": "secret"}[name]
	}}
	require.NoError(t, d.Start(t.Context(), node.Unit{Program: program, Environment: []string{"PLOMB_STATE=/x"}}))
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "env")); return err == nil }, patience, patience/1000)
	env, err := os.ReadFile(filepath.Join(dir, "env"))
	require.NoError(t, err)
	require.Contains(t, string(env), "PLOMB_STATE=/x")
	require.NotContains(t, string(env), "secret")
	require.FileExists(t, filepath.Join(dir, "agent.pid"))
	require.NoError(t, d.Stop(t.Context()))
	require.NoFileExists(t, filepath.Join(dir, "agent.pid"))
	require.ErrorIs(t, d.RestartContainerd(t.Context()), node.ErrRestart)
}

const (
	nilSignal = syscall.Signal(0)
	patience  = 10 * time.Second
)

func pid(cmd *exec.Cmd) string { return strconv.Itoa(cmd.Process.Pid) }
