// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is in the pid file is killed, by root. One that others could have
// written, or a link to one, names nobody; and no log is written through a link.
func TestDetachedBelievesNobodyElse(t *testing.T) {
	victim := exec.Command("sleep", "600")
	require.NoError(t, victim.Start())
	defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
	started, err := startTime(victim.Process.Pid)
	require.NoError(t, err)
	id := fmt.Appendf(nil, "%d %d\n", victim.Process.Pid, started)

	for title, write := range map[string]func(t *testing.T, path string){
		"others could write it": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, id, 0o600))
			require.NoError(t, os.Chmod(path, 0o666))
		},
		"a link": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path+".theirs", id, 0o600))
			require.NoError(t, os.Symlink(path+".theirs", path))
		},
		"somebody else's": func(t *testing.T, path string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give a file away")
			}
			require.NoError(t, os.WriteFile(path, id, 0o600))
			require.NoError(t, os.Chown(path, 65534, -1))
		},
	} {
		t.Run(title, func(t *testing.T) {
			d := Detached{Dir: t.TempDir()}
			write(t, d.pidFile())
			require.NoError(t, d.Stop(t.Context()))
			require.True(t, alive(victim.Process.Pid, started))
		})
	}

	d := Detached{Dir: t.TempDir(), Getenv: func(string) string { return "" }}
	precious := filepath.Join(t.TempDir(), "precious")
	require.NoError(t, os.WriteFile(precious, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(precious, filepath.Join(d.Dir, "agent.log")))
	require.ErrorIs(t, d.Start(t.Context(), Unit{Program: "/bin/echo"}), ErrAgent)
	data, err := os.ReadFile(precious)
	require.NoError(t, err)
	require.Equal(t, "precious", string(data))
}
