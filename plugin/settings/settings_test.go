// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "node.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestDefaultsHoldWithoutAnything(t *testing.T) {
	s, err := Read(func(name string) string {
		if name == "PLOMB_NODE_CONFIG" {
			return filepath.Join(t.TempDir(), "absent.yaml")
		}
		return ""
	})
	require.NoError(t, err)
	require.Equal(t, policy.NoMatchDeny, s.NoMatch)
	require.Equal(t, "/var/lib/plomb/mode.json", s.Mode())
	require.Equal(t, "/var/lib/plomb/snapshot.json", s.Snapshot())
	require.Equal(t, "/var/lib/plomb/canary.json", s.Canary())
	require.Equal(t, "/var/lib/plomb/verdicts", s.Verdicts())
	require.Equal(t, "/var/lib/plomb/receipts", s.Receipts())
	require.Equal(t, "/run/plomb/control.sock", s.Control())
	require.Equal(t, DefaultNode(), s.Node)
	require.NoError(t, s.Node.check())
	require.Less(t, s.Timeout, 10*time.Second, "containerd kills a verifier then")
}

func TestEnvironmentIsRead(t *testing.T) {
	path := write(t, "apiVersion: "+Version+"\nname: node-7\nmetrics: \"[::1]:9000\"\nselfTest: 1m\nnri: {off: true}\nkubelet: http://127.0.0.1:10248/healthz\n")
	env := map[string]string{
		"PLOMB_NODE_CONFIG": path, "PLOMB_STATE": "/state", "PLOMB_SOCKET": "/sockets/a.sock",
		"PLOMB_TIMEOUT": "3s", "PLOMB_NO_MATCH_POLICY": "warn", "CONTAINERD_ADDRESS": "/c.sock",
	}
	s, err := Read(func(name string) string { return env[name] })
	require.NoError(t, err)
	require.Equal(t, "node-7", s.Node.Name)
	require.Equal(t, time.Minute, s.Node.SelfTest)
	require.True(t, s.Node.NRI.Off)
	require.Equal(t, "/sockets/control.sock", s.Control())
	require.Equal(t, filepath.Join(filepath.Dir(path), "break-glass.json"), s.BreakGlass())
	require.Equal(t, 3*time.Second, s.Timeout)
	require.Equal(t, policy.NoMatch("warn"), s.NoMatch)
	require.Equal(t, "/c.sock", s.Containerd)

	for _, bad := range []string{"soon", "-1s", "0s", "8"} {
		env["PLOMB_TIMEOUT"] = bad
		_, err := Read(func(name string) string { return env[name] })
		require.ErrorIs(t, err, ErrSettings)
		require.ErrorContains(t, err, bad)
	}
}

// Whatever is not understood is refused with its reason, and never passed over:
// somebody meant something by it.
func TestConfigurationThatCannotBeMeant(t *testing.T) {
	head := "apiVersion: " + Version + "\n"
	for text, reason := range map[string]string{
		"apiVersion: v1\n":                              "want " + Version,
		head + "metric: off\n":                          "field metric not found",
		head + "nri: {offf: true}\n":                    "field offf not found",
		head + "name: a\nname: b\n":                     "already defined",
		head + "name: ''\n":                             "name is empty",
		head + "name: \"a\\nb\"\n":                      "control characters",
		head + "---\n" + head:                           "more than one document",
		head + "metrics: 0.0.0.0:9469\n":                "want a loopback address",
		head + "metrics: \":9469\"\n":                   "want a loopback address",
		head + "metrics: 192.168.1.1:9469\n":            "want a loopback address",
		head + "metrics: localhost:9469\n":              "want a loopback address", // a name can mean anything
		head + "metrics: 127.0.0.1.example:9469\n":      "want a loopback address",
		head + "metrics: 127.0.0.1:http\n":              "want a loopback address",
		head + "metrics: 127.0.0.1\n":                   "want a loopback address",
		head + "metrics: ''\n":                          "want a loopback address",
		head + "selfTest: 5s\n":                         "at least 10s",
		head + "selfTest: 600\n":                        "cannot unmarshal", // of which unit?
		head + "selfTest: -1m\n":                        "at least 10s",
		head + "selfTest: often\n":                      "cannot unmarshal",
		head + "receipts: {maxBytes: 10}\n":             "at least 65536",
		head + "nri: {index: 5}\n":                      "want two digits",
		head + "nri: {index: '../x'}\n":                 "want two digits",
		head + "nri: {socket: ''}\n":                    "nri.socket is empty",
		head + "kubelet: http://10.0.0.1:10248/\n":      "want a loopback address",
		head + "kubelet: file:///etc/passwd\n":          "want a loopback address",
		head + "kubelet: http://127.0.0.1@evil.test/\n": "want a loopback address",
		"- a list\n":                                    "cannot unmarshal",
		"\x00":                                          "control characters are not allowed",
	} {
		path := write(t, text)
		_, err := ReadNode(path)
		require.ErrorIs(t, err, ErrSettings, text)
		require.ErrorContains(t, err, reason, text)
		require.ErrorContains(t, err, path, text)
		_, err = Read(func(name string) string { return map[string]string{"PLOMB_NODE_CONFIG": path}[name] })
		require.ErrorIs(t, err, ErrSettings, text)
	}
}

func TestConfigurationThatCannotBeRead(t *testing.T) {
	_, err := ReadNode(t.TempDir())
	require.ErrorIs(t, err, ErrSettings)
	_, err = ReadNode(write(t, strings.Repeat("#", maxNode+1)))
	require.ErrorIs(t, err, ErrSettings)
	// A billion laughs: what an alias stands for counts.
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "]\n"
	}
	_, err = ReadNode(write(t, bomb))
	require.ErrorIs(t, err, ErrSettings)
}

func TestEmptyConfigurationSaysNothing(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		n, err := ReadNode(write(t, text))
		require.NoError(t, err, text)
		require.Equal(t, DefaultNode(), n)
	}
}
