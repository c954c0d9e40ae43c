// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func startSleeper(t *testing.T) (identity, *exec.Cmd) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sleep", "1000")
	id, err := spawn(cmd, filepath.Join(dir, "log"), filepath.Join(dir, "pid"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = id.signal(syscall.SIGKILL) })
	read, ok := running(filepath.Join(dir, "pid"))
	require.True(t, ok)
	require.Equal(t, id, read)
	return id, cmd
}

func TestSpawnedProcessHasItsOwnSessionAndStops(t *testing.T) {
	id, _ := startSleeper(t)
	stat, err := os.ReadFile("/proc/" + strings.Fields(id.String())[0] + "/stat")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	require.Equal(t, strings.Fields(id.String())[0], strings.Fields(rest)[3], "session id")

	require.NoError(t, id.stop(t.Context(), 10*time.Second))
	require.False(t, id.alive())
	require.NoError(t, id.stop(t.Context(), time.Second), "a second stop finds nothing to do")
}

// The attack: the daemon has ended, and its number belongs to somebody else.
func TestAnotherProcessWithThePidIsLeftAlone(t *testing.T) {
	id, _ := startSleeper(t)
	for name, other := range map[string]identity{
		"later start":  {pid: id.pid, start: id.start - 1, boot: id.boot},
		"earlier boot": {pid: id.pid, start: id.start, boot: "00000000-0000-0000-0000-000000000000"},
	} {
		require.False(t, other.alive(), name)
		require.NoError(t, other.kill(t.Context()), name)
		require.True(t, id.alive(), name)
	}
}

func TestStopKillsWhatIgnoresTERM(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", "trap '' TERM; touch ready; while :; do sleep 0.05; done")
	cmd.Dir = dir
	id, err := spawn(cmd, filepath.Join(dir, "log"), filepath.Join(dir, "pid"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = id.signal(syscall.SIGKILL) })
	require.Eventually(t, func() bool { return fileExists(filepath.Join(dir, "ready")) }, 10*time.Second, time.Millisecond)
	require.NoError(t, id.stop(t.Context(), 100*time.Millisecond))
	require.False(t, id.alive())
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestParseIdentityRefuses(t *testing.T) {
	for _, bad := range []string{"", "12", "12 34", "x 34 b", "12 x b", "0 34 b", "1 34 b", "-5 34 b", "12 34 b c"} {
		_, err := parseIdentity(bad)
		require.ErrorIs(t, err, ErrIdentity, "%q", bad)
	}
}

func TestParseStatCountsFromTheLastParenthesis(t *testing.T) {
	rest := " S 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1"
	alive, parent, start, err := parseStat("12 (a) Z 9 (b)" + rest)
	require.NoError(t, err)
	require.True(t, alive)
	require.Equal(t, 7, parent)
	require.Equal(t, uint64(4242), start)

	alive, _, _, err = parseStat("12 (x)" + strings.Replace(rest, " S ", " Z ", 1))
	require.NoError(t, err)
	require.False(t, alive, "a zombie has ended")

	_, _, _, err = parseStat("12 nothing")
	require.ErrorIs(t, err, ErrIdentity)
}

func FuzzParseStat(f *testing.F) {
	f.Add("12 (a) S 7 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1")
	f.Add(")")
	f.Fuzz(func(t *testing.T, stat string) {
		if _, _, _, err := parseStat(stat); err != nil {
			require.ErrorIs(t, err, ErrIdentity)
		}
	})
}

func TestIsShimOf(t *testing.T) {
	const socket = "/d/run/containerd.sock"
	shim := []string{"/x/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "a", "-address", socket}
	require.True(t, isShimOf(shim, socket))
	require.False(t, isShimOf(shim, "/other/run/containerd.sock"))
	require.False(t, isShimOf(append([]string{"vi"}, shim...), socket), "only mentions one")
	require.False(t, isShimOf(shim[:6], socket), "no value")
	require.False(t, isShimOf(nil, socket))
}
