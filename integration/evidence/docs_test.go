// SPDX-License-Identifier: Apache-2.0

//go:build integration

package evidence

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

var commands = regexp.MustCompile("(?s)```sh\n(.*?)```")

// People copy the commands of the guide. They are run as they stand there, but
// for the names of the images.
func TestCommandsOfTheGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/evidence.md")
	require.NoError(t, err)
	names := strings.NewReplacer(
		"registry.example/shop/app:v1", build(t, "guide", sources(t, "1.0"), "--build-arg", "PLOMB_SUBJECTS=manifest"),
		"registry.example/shop/app:v2", build(t, "guide2", sources(t, "2.0")),
	)
	bin, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\nshift\nexec buildx \"$@\"\n"), 0o755))
	ran := 0
	for _, block := range commands.FindAllStringSubmatch(string(guide), -1) {
		for line := range strings.Lines(block[1]) {
			line = names.Replace(strings.TrimSpace(line))
			o := harness.Command{On: on, Name: "/bin/bash", Args: []string{"-c", line}, Dir: dir, Env: []string{"PATH=" + bin + ":" + on.Env()["PATH"]}}.Run(t)
			// diff finds differences, which is what it is for.
			want := 0
			if strings.HasPrefix(line, "plomb sbom diff") {
				want = 1
			}
			require.Equal(t, want, o.Status, "%s\n%s", line, o.All)
			ran++
		}
	}
	require.Greater(t, ran, 10)
	for _, file := range []string{"app.spdx.json", "app.cdx.json", "provenance.json"} {
		require.FileExists(t, filepath.Join(dir, file))
	}
}
