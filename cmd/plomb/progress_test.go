// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Whoever waits for a second is told what for, if that is somebody at a
// terminal, and on standard error.
func TestProgress(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	image := silent.Addr().String() + "/app:v1"
	control, terminal := openTerminal(t)
	dir := t.TempDir()
	write(t, dir, "policy.yaml", static("pass"))
	nothing := func(string) string { return "" }

	var out, errs bytes.Buffer
	args := []string{"verify", "--timeout", "1500ms", "--policy", filepath.Join(dir, "policy.yaml"), image}
	status := Main(context.Background(), args, Stdio{Out: &out, Err: terminal, Getenv: nothing})
	require.Equal(t, exitUndecided, status)
	require.NotContains(t, out.String(), "plomb: waiting for")
	line, err := bufio.NewReader(control).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "plomb: waiting for "+image+", 1.5s at most", strings.TrimSpace(line))

	Main(context.Background(), []string{"inspect", "--timeout", "1200ms", image}, Stdio{Out: &out, Err: &errs, Getenv: nothing})
	require.NotContains(t, errs.String(), "plomb: waiting for")
}

// Colours are for terminals, and for those who want them.
func TestColours(t *testing.T) {
	_, terminal := openTerminal(t)
	colour := func(name, value string) bool {
		return newPage(Stdio{Out: terminal, Getenv: func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		}}).colour
	}
	require.True(t, colour("TERM", "xterm"))
	require.True(t, colour("NO_COLOR", ""), "an empty string says nothing")
	require.False(t, colour("NO_COLOR", "1"))
	require.False(t, colour("TERM", "dumb"))
	require.False(t, newPage(Stdio{Out: &bytes.Buffer{}, Getenv: func(string) string { return "" }}).colour)
}

// openTerminal makes a pseudo-terminal: what is written to the second file can
// be read from the first.
func openTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = control.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(control.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(control.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = terminal.Close() })
	return control, terminal
}
