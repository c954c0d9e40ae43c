// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README's first command does what the README says, and leaves nothing.
func TestDemo(t *testing.T) {
	tmp, err := os.MkdirTemp("/tmp", "plomb-it-demo-")
	require.NoError(t, err)
	defer os.RemoveAll(tmp)
	cmd := exec.CommandContext(t.Context(), "../hack/demo")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s", stderr.String(), out)

	for tag, verdict := range map[string]string{
		"signed":         `pulled +signed by https://github.com/plombproject/demo/`,
		"unsigned":       `refused +unsigned: `,
		"wrong-identity": `refused +signed by somebody else: https://github.com/somebody/else/`,
		"tampered":       `refused +signed for another image: `,
	} {
		require.Regexp(t, regexp.MustCompile(`(?m)^guestbook:`+tag+` +`+verdict), string(out))
	}
	require.Regexp(t, `(?m)^live: enforcement on `, string(out))
	for _, proof := range []string{"pull-cri-unsigned", "pull-transfer-unsigned", "create-imported", "create-signed"} {
		require.Regexp(t, `(?m)^pass +`+proof+`: `, string(out))
	}
	left, err := os.ReadDir(tmp)
	require.NoError(t, err)
	require.Empty(t, left, "files of the demo")
	require.Empty(t, commandsWith(t, tmp), "processes of the demo")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), tmp, "mounts of the demo")
}

// commandsWith lists the command lines of processes that name part.
func commandsWith(t *testing.T, part string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	var found []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(data), part) {
			found = append(found, strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	return found
}
