// SPDX-License-Identifier: Apache-2.0

package containerd_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/containerd"
)

func TestConfigOnTheCommandLine(t *testing.T) {
	for line, want := range map[string]string{
		"containerd":                               containerd.DefaultConfig,
		"containerd --config /a.toml":              "/a.toml",
		"containerd --config=/a.toml":              "/a.toml",
		"containerd -c /a.toml -l debug":           "/a.toml",
		"containerd --log-level debug -c=b/a.toml": "b/a.toml",
		"containerd --config":                      containerd.DefaultConfig,
		"--config":                                 containerd.DefaultConfig,
		"containerd --configure /a.toml":           containerd.DefaultConfig,
		"":                                         containerd.DefaultConfig,
	} {
		require.Equal(t, want, containerd.ConfigOf(strings.Split(line, " ")), line)
	}
}

// TestRunning finds this very process, which listens and has no configuration.
func TestRunning(t *testing.T) {
	address := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	d, err := containerd.Running(t.Context(), address)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), d.PID)
	self, err := os.Executable()
	require.NoError(t, err)
	require.Equal(t, self, d.Program)
	require.Equal(t, containerd.DefaultConfig, d.Config)

	_, err = containerd.Running(t.Context(), address+"x")
	require.ErrorIs(t, err, containerd.ErrConfig)
}

// TestEffective: what looks like shell stays an argument,
// and what it complains of is in the error.
func TestEffective(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "containerd")
	write := func(text string) { require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\n"+text), 0o755)) }
	config := filepath.Join(dir, "c; touch x.toml")
	write(`printf '%s|' "$@"; printf '%s' "$SECRET"`)
	t.Setenv("SECRET", "hunter2")
	out, err := containerd.Effective(t.Context(), "/nowhere", program, config)
	require.NoError(t, err)
	require.Equal(t, "--config|"+config+"|config|dump|", string(out))

	write("echo first >&2; echo broken at line 3 >&2; exit 1")
	_, err = containerd.Effective(t.Context(), "/nowhere", program, config)
	require.ErrorIs(t, err, containerd.ErrConfig)
	require.ErrorContains(t, err, ": broken at line 3")

	write("head -c 5000000 /dev/zero")
	_, err = containerd.Effective(t.Context(), "/nowhere", program, config)
	require.ErrorContains(t, err, "more than")
}

// containerd's own word for its program is believed only where nobody but root
// could have put another one there.
func TestNameOfTheProgram(t *testing.T) {
	dir := t.TempDir()
	at := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	require.True(t, containerd.IsOurs(at("containerd", 0o755)))
	require.False(t, containerd.IsOurs(at("group's", 0o775)))
	require.False(t, containerd.IsOurs(at("everybody's", 0o757)))
	require.False(t, containerd.IsOurs(dir))
	require.False(t, containerd.IsOurs(filepath.Join(dir, "absent")))
	t.Chdir(dir)
	require.False(t, containerd.IsOurs("containerd"), "relative to whose folder?")
	require.False(t, containerd.IsOurs(""))
}
