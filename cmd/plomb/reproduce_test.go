// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A repository may hold links to anywhere; none of them is followed out of it.
func TestInside(t *testing.T) {
	repo, secret := t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(repo, "app"), 0o755))
	require.NoError(t, os.Symlink(secret, filepath.Join(repo, "out")))
	require.NoError(t, os.Symlink("../..", filepath.Join(repo, "app", "up")))
	require.NoError(t, os.Symlink("app", filepath.Join(repo, "in")))
	for _, path := range []string{"", "app", "in"} {
		require.NoError(t, inside(repo, filepath.Join(repo, path)))
	}
	for _, path := range []string{"out", "app/up", "absent"} {
		require.Error(t, inside(repo, filepath.Join(repo, path)), path)
	}
}

// What git keeps of modes is whether a file is executable.
func TestChmod(t *testing.T) {
	repo := t.TempDir()
	for name, mode := range map[string]os.FileMode{"a": 0o600, "b": 0o711} {
		require.NoError(t, os.WriteFile(filepath.Join(repo, name), nil, mode))
	}
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(repo, "link")))
	for umask, want := range map[os.FileMode][2]os.FileMode{0o022: {0o644, 0o755}, 0o002: {0o664, 0o775}} {
		require.NoError(t, chmod(repo, umask))
		for i, name := range []string{"a", "b"} {
			info, err := os.Stat(filepath.Join(repo, name))
			require.NoError(t, err)
			require.Equal(t, want[i], info.Mode().Perm())
		}
	}
}

func TestBuildEnv(t *testing.T) {
	env := []string{"PATH=/bin", "SOURCE_DATE_EPOCH=1", "BUILDX_GIT_LABELS=full", "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=/evil"}
	require.Equal(t, []string{"PATH=/bin", "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=/p"}, buildEnv(env, "/p"))
	require.Len(t, env, 4)
}

func TestRecord(t *testing.T) {
	fields := []string{"type=oci", `dest=/a,b "c"`}
	got, err := csv.NewReader(strings.NewReader(record(fields))).Read()
	require.NoError(t, err)
	require.Equal(t, fields, got)
}

func TestFindBuildx(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	_, err := findBuildx()
	require.ErrorIs(t, err, errBuild)
	require.ErrorContains(t, err, "install buildx")
	for _, tc := range []struct{ program, want string }{{"docker", "docker buildx"}, {"buildx", "buildx"}} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, tc.program), []byte("#!/bin/sh\n"), 0o755))
		got, err := findBuildx()
		require.NoError(t, err)
		require.Equal(t, dir+"/"+tc.want, strings.Join(got, " "))
	}
}
