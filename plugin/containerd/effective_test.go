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
