// SPDX-License-Identifier: Apache-2.0

//go:build integration

package private

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// user and password are the ones in htpasswd, a bcrypt hash of the password.
	user     = "ann"
	password = "correct-horse-battery-staple-6"
	wrong    = "wrong-horse-battery-staple-6"
	htpasswd = user + ":$2a$04$JTmyDFGmujky7jsvf48Qq.tkegDqrsVp5AVXgoHuVomz90pm9HKz.\n"
)

const registryConfig = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http:
  addr: %q
%s`

// registry starts one with more configuration, below http: or beside it, and
// gives its host:port.
func registry(t *testing.T, more string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	host := l.Addr().String()
	require.NoError(t, l.Close())
	dir := t.TempDir()
	config := filepath.Join(dir, "registry.yaml")
	write(t, config, fmt.Sprintf(registryConfig, filepath.Join(on.Dir, "registry"), host, more))
	var log bytes.Buffer
	cmd := exec.Command(filepath.Join(on.Bin, "registry"), "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("registry %s:\n%s", host, log.String())
		}
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", host)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond, "the registry does not listen")
	return host
}

// withPasswords is a registry that knows user and password.
func withPasswords(t *testing.T, more string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "htpasswd")
	write(t, path, htpasswd)
	return registry(t, more+fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", path))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// hosts writes a certs.d folder: hosts.toml by registry.
func hosts(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for host, text := range files {
		write(t, filepath.Join(dir, strings.ReplaceAll(host, ":", "_")+last(host), "hosts.toml"), text)
		write(t, filepath.Join(dir, host, "hosts.toml"), text)
	}
	return dir
}

// last ends the name of a folder for a host with a port, in containerd's older
// form.
func last(host string) string {
	if strings.Contains(host, ":") {
		return "_"
	}
	return ""
}
