// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/settings"
)

// A login is a folder with a config.json, and a PATH of its own.
type login struct {
	t   *testing.T
	dir string
}

func newLogin(t *testing.T) login {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return login{t, dir}
}

func (l login) write(text string) {
	require.NoError(l.t, os.WriteFile(filepath.Join(l.dir, "config.json"), []byte(text), 0o600))
}

// find asks for the image's own host.
func (l login) find(image, host string) (string, string, error) {
	chain := NewDocker(func(name string) string {
		require.Equal(l.t, "DOCKER_CONFIG", name)
		return l.dir
	})
	return chain.For(l.t.Context(), image)(host)
}

func TestDocker(t *testing.T) {
	l := newLogin(t)
	user, secret, err := l.find("registry.example/app", "registry.example")
	require.NoError(t, err, "without a file everybody is anonymous")
	require.Empty(t, user+secret)

	l.write(`{"auths": {"registry.example": {"auth": "dXNlcjpwYTpzcw=="}, "https://index.docker.io/v1/": {"identitytoken": "token"},
		"unpadded.example": {"auth": "dXNlcjpwYTpzcw"}, "plain.example/team": {"username": "u", "password": "p"},
		"bad.example": {"auth": "%"}, "empty.example": {}}, "HttpHeaders": {"A": "b"}}`)
	for image, want := range map[string]string{
		"registry.example/app":         "user/pa:ss",
		"unpadded.example/app":         "user/pa:ss",
		"plain.example/team/app":       "u/p",
		"plain.example/other/app":      "/",
		"empty.example/app":            "/",
		"registry.example.evil/app":    "/",
		"evil.test/registry.example/a": "/",
	} {
		ref, err := newTarget(image, "x")
		require.NoError(t, err)
		host := ref.image[:len(ref.image)-len(ref.name[1:])-len(":latest")]
		user, secret, err = l.find(image, host)
		if want == "/" {
			// A broken entry is told to who has no other.
			require.ErrorContains(t, err, "bad.example", image)
		} else {
			require.NoError(t, err, image)
		}
		require.Equal(t, want, user+"/"+secret, image)
	}
	user, secret, err = l.find("alpine", "registry-1.docker.io")
	require.NoError(t, err)
	require.Equal(t, "/token", user+"/"+secret)
	_, _, err = l.find("bad.example/app", "bad.example")
	require.ErrorContains(t, err, filepath.Join(l.dir, "config.json"))

	l.write(`{"auths": {"registry.example": {"auth": ["hunter2"]}}}`)
	_, _, err = l.find("registry.example/app", "registry.example")
	require.ErrorContains(t, err, "config.json")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestHelpers(t *testing.T) {
	l := newLogin(t)
	script := `#!/bin/sh
read -r server || true
case "$1 $server" in
"get registry.example") echo '{"ServerURL":"registry.example","Username":"ann","Secret":"hunter2"}' ;;
"get https://index.docker.io/v1/") echo '{"Username":"<token>","Secret":"hub-token"}' ;;
"get broken.example") echo hunter2 ; echo hunter2 >&2; exit 1 ;;
"get strange.example") echo hunter2 ;;
*) echo 'credentials not found in native keychain'; exit 1 ;;
esac
`
	for _, name := range []string{"docker-credential-one", "docker-credential-all"} {
		require.NoError(t, os.WriteFile(filepath.Join(l.dir, name), []byte(script), 0o755))
	}
	for _, config := range []string{
		`{"credHelpers": {"registry.example": "one", "broken.example": "one", "strange.example": "one", "https://index.docker.io/v1/": "one"}}`,
		`{"credsStore": "all", "auths": {"registry.example": {}}}`,
		`{"credsStore": "missing", "credHelpers": {"registry.example": "one", "broken.example": "one", "strange.example": "all", "docker.io": "missing"},
			"auths": {"docker.io": {"identitytoken": "hub-token"}}}`,
	} {
		l.write(config)
		user, secret, err := l.find("registry.example/app", "registry.example")
		require.NoError(t, err)
		require.Equal(t, "ann/hunter2", user+"/"+secret)
		user, secret, err = l.find("alpine", "registry-1.docker.io")
		require.NoError(t, err)
		require.Equal(t, "/hub-token", user+"/"+secret)
		for _, host := range []string{"broken.example", "strange.example"} {
			_, _, err = l.find(host+"/app", host)
			require.ErrorIs(t, err, ErrProgram)
			require.NotContains(t, err.Error(), "hunter2")
		}
	}
	l.write(`{"credsStore": "all"}`)
	user, secret, err := l.find("unknown.example/app", "unknown.example")
	require.NoError(t, err, "a store that has none is no fault")
	require.Empty(t, user+secret)

	for _, name := range []string{"../all", "/bin/sh", "-x", "a b", ""} {
		l.write(fmt.Sprintf(`{"credsStore": "all", "credHelpers": {"registry.example": %q}}`, name))
		_, _, err = l.find("registry.example/app", "registry.example")
		if name == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "no name of a credential helper")
	}
}

// TestNodeHelpersAreNotFromPATH: on a node a helper runs as root.
func TestNodeHelpersAreNotFromPATH(t *testing.T) {
	l := newLogin(t)
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, "docker-credential-evil"), []byte("#!/bin/sh\ntouch "+l.dir+"/ran\n"), 0o755))
	l.write(`{"credsStore": "evil"}`)
	chain := New(settings.Credentials{DockerConfigs: []string{filepath.Join(l.dir, "config.json")}})
	_, _, err := chain.For(t.Context(), "registry.example/app")("registry.example")
	require.ErrorIs(t, err, ErrProgram)
	require.NoFileExists(t, filepath.Join(l.dir, "ran"))
}

func TestStatic(t *testing.T) {
	l := newLogin(t)
	l.write(`{"auths": {"registry.example": {"username": "ann", "password": "hunter2"}}}`)
	path := filepath.Join(l.dir, "config.json")
	ask := New(settings.Credentials{Static: path}).For(t.Context(), "registry.example/app")
	user, _, err := ask("registry.example")
	require.NoError(t, err)
	require.Equal(t, "ann", user)

	require.NoError(t, os.Chmod(path, 0o640))
	_, _, err = ask("registry.example")
	require.ErrorIs(t, err, ErrExposed)
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Remove(path))
	_, _, err = ask("registry.example")
	require.ErrorIs(t, err, os.ErrNotExist, "a file that is configured and absent is told")
}

// TestOrder: lent, provider, Docker's files in their order, static.
func TestOrder(t *testing.T) {
	p := newPlugin(t)
	p.configure(one)
	p.program("fake", answer(`"cacheKeyType":"Image","cacheDuration":"0s"`, annForAll))
	file := func(name, user string) string {
		path := filepath.Join(p.dir, name)
		text := fmt.Sprintf(`{"auths": {"registry.example": {"username": %q, "password": "x"}}}`, user)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	first, second, static := file("1.json", "first"), file("2.json", "second"), file("s.json", "static")
	chain := New(settings.Credentials{KubeletProviderConfig: p.config, KubeletProviderDir: p.dir, DockerConfigs: []string{first, second}, Static: static})
	ask := func() string {
		user, _, err := chain.For(t.Context(), "registry.example/app")("registry.example")
		require.NoError(t, err)
		return user
	}
	giveBack, err := chain.Lent.Lend(t.Context(), "registry.example/app", "", "lent", "x")
	require.NoError(t, err)
	require.Equal(t, "lent", ask())
	giveBack()
	require.Equal(t, "ann", ask())
	p.program("fake", answer(`"cacheKeyType":"Image","cacheDuration":"0s"`, "null"))
	require.Equal(t, "first", ask())
	require.NoError(t, os.Remove(first))
	require.Equal(t, "second", ask())
	require.NoError(t, os.WriteFile(second, []byte("{}"), 0o600))
	require.Equal(t, "static", ask())
}
