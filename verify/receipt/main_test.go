// SPDX-License-Identifier: Apache-2.0

package receipt

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	writerDir   = "PLOMB_TEST_WRITER"
	writerFrom  = "PLOMB_TEST_FROM"
	writerLimit = "PLOMB_TEST_FSIZE"
)

// TestMain is also a program that appends receipts until it is killed or has
// no more to write, and prints the hash of each one that was acknowledged.
func TestMain(m *testing.M) {
	dir := os.Getenv(writerDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if n, err := strconv.ParseUint(os.Getenv(writerLimit), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			panic(err)
		}
	}
	from, _ := strconv.Atoi(os.Getenv(writerFrom))
	l, err := Open(dir, Options{MaxBytes: 20_000})
	if err != nil {
		panic(err)
	}
	for i := range 50 {
		last, err := l.Append(context.Background(), example(from+i))
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(last)
	}
}

func writer(t *testing.T, dir string, from int, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(env, writerDir+"="+dir, fmt.Sprintf("%s=%d", writerFrom, from))
	return cmd
}

// hashes are those of all lines of the log.
func hashes(t *testing.T, dir string) map[string]bool {
	t.Helper()
	got := map[string]bool{}
	for e, err := range Entries(dir) {
		require.NoError(t, err)
		got[e.Digest.String()] = true
	}
	return got
}

func TestTwoProcessesShareOneChain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	own := open(t, dir, Options{MaxBytes: 20_000})
	var commands []*exec.Cmd
	outputs := make([]strings.Builder, 2)
	for i := range outputs {
		cmd := writer(t, dir, 1000*(i+1))
		cmd.Stdout = &outputs[i]
		require.NoError(t, cmd.Start())
		commands = append(commands, cmd)
	}
	fill(t, own, 0, 50)
	for _, cmd := range commands {
		require.NoError(t, cmd.Wait())
	}
	require.Equal(t, 150, sound(t, dir).Receipts)
	there := hashes(t, dir)
	for i := range outputs {
		for _, h := range strings.Fields(outputs[i].String()) {
			require.True(t, there[h], h)
		}
	}
}

// Killed at any moment, a writer loses nothing that it acknowledged, and the
// next one goes on with the chain.
func TestKilledWriterLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	var acknowledged []string
	for round := range 12 {
		cmd := writer(t, dir, 100*round)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for i := 0; i <= 3*round && lines.Scan(); i++ {
			acknowledged = append(acknowledged, lines.Text())
		}
		require.NoError(t, cmd.Process.Kill())
		for lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
		}
		_ = cmd.Wait()
	}
	l := open(t, dir, Options{MaxBytes: 20_000})
	fill(t, l, 9000, 9001)
	r := sound(t, dir)
	require.GreaterOrEqual(t, r.Receipts, len(acknowledged)+1)
	there := hashes(t, dir)
	for _, h := range acknowledged {
		require.True(t, there[h], h)
	}
}

// The kernel refuses to make the file larger, in the middle of a line.
func TestFileThatMayNotGrow(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "receipts")
	out, err := writer(t, dir, 0, writerLimit+"=5000").Output()
	require.Error(t, err)
	require.Contains(t, string(out), "error: receipts cannot be written")
	require.Contains(t, string(out), "file too large")
	acknowledged := strings.Count(string(out), "\n") - 1
	require.Positive(t, acknowledged)
	require.Equal(t, acknowledged, sound(t, dir).Receipts)
	require.Empty(t, sound(t, dir).Notes)

	l := open(t, dir, Options{})
	fill(t, l, 100, 101)
	require.Equal(t, acknowledged+1, sound(t, dir).Receipts)
}
