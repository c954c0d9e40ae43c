// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDockerCredentials(t *testing.T) {
	dir := t.TempDir()
	find := dockerCredentials(func(name string) string {
		require.Equal(t, "DOCKER_CONFIG", name)
		return dir
	})
	user, secret, err := find("registry.example")
	require.NoError(t, err, "without a file everybody is anonymous")
	require.Empty(t, user+secret)

	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600))
	}
	write(`{"auths": {"registry.example": {"auth": "dXNlcjpwYTpzcw=="}, "https://index.docker.io/v1/": {"identitytoken": "token"},
		"bad.example": {"auth": "%"}}, "credsStore": "not run"}`)
	user, secret, err = find("registry.example")
	require.NoError(t, err)
	require.Equal(t, "user/pa:ss", user+"/"+secret)
	user, secret, err = find("registry-1.docker.io")
	require.NoError(t, err)
	require.Equal(t, "/token", user+"/"+secret)
	user, secret, err = find("registry.example.evil")
	require.NoError(t, err)
	require.Empty(t, user+secret, "a password goes to its own host only")
	_, _, err = find("bad.example")
	require.ErrorContains(t, err, "config.json")

	write("{")
	_, _, err = find("registry.example")
	require.ErrorContains(t, err, "config.json")
}
