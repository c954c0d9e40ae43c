// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	configv1 "k8s.io/kubelet/config/v1"
	protocol "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/plombproject/plomb/plugin/settings"
)

// A plugin stands for a provider: a folder of scripts, and a configuration.
type plugin struct {
	t           *testing.T
	dir, config string
}

func newPlugin(t *testing.T) *plugin {
	dir := t.TempDir()
	return &plugin{t, dir, filepath.Join(dir, "config.yaml")}
}

// program writes a shell script that counts its runs.
func (p *plugin) program(name, script string) {
	text := "#!/bin/sh\nhere=$(dirname \"$0\")\necho run >>\"$here/runs\"\n" + script
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o755))
}

func (p *plugin) runs() int {
	data, _ := os.ReadFile(filepath.Join(p.dir, "runs"))
	return strings.Count(string(data), "run")
}

func (p *plugin) configure(providers ...string) {
	text := "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n" + strings.Join(providers, "")
	require.NoError(p.t, os.WriteFile(p.config, []byte(text), 0o600))
}

func (p *plugin) chain() *Chain {
	return New(settings.Credentials{KubeletProviderConfig: p.config, KubeletProviderDir: p.dir})
}

const one = `- name: fake
  matchImages: ["registry.example", "*.mirror.example:5000/team"]
  defaultCacheDuration: 1h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args: [get, now]
  env: [{name: FAKE, value: "from the config"}]
`

// answer is a script that prints a response.
func answer(cache, auth string) string {
	return fmt.Sprintf("cat <<'END'\n"+`{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1",%s,"auth":%s}`+"\nEND\n", cache, auth)
}

const annForAll = `{"registry.example":{"username":"ann","password":"hunter2"}}`

func TestProvider(t *testing.T) {
	p := newPlugin(t)
	p.configure(one)
	p.program("fake", `cat >"$here/stdin"; echo "$FAKE $*" >"$here/call"; `+answer(`"cacheKeyType":"Image"`, annForAll))
	chain := p.chain()
	user, password, err := chain.For(t.Context(), "registry.example/team/app:v1")("registry.example")
	require.NoError(t, err)
	require.Equal(t, "ann hunter2", user+" "+password)

	// What it was told is what kubelet tells.
	stdin, err := os.ReadFile(filepath.Join(p.dir, "stdin"))
	require.NoError(t, err)
	var asked protocol.CredentialProviderRequest
	dec := json.NewDecoder(strings.NewReader(string(stdin)))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&asked))
	require.Equal(t, "registry.example/team/app", asked.Image, "kubelet gives the name without the tag")
	require.Equal(t, "CredentialProviderRequest", asked.Kind)
	require.Equal(t, "credentialprovider.kubelet.k8s.io/v1", asked.APIVersion)
	call, err := os.ReadFile(filepath.Join(p.dir, "call"))
	require.NoError(t, err)
	require.Equal(t, "from the config get now\n", string(call))

	// Another host is nobody that it is asked about, and gets nothing.
	for _, host := range []string{"evil.example", "registry.example.evil.test", "registry.example:5000", "mirror.example:5000"} {
		user, password, err = chain.For(t.Context(), "registry.example/team/app:v1")(host)
		require.NoError(t, err)
		require.Empty(t, user+password, host)
	}
	user, password, err = chain.For(t.Context(), "evil.example/registry.example/team/app")("evil.example")
	require.NoError(t, err)
	require.Empty(t, user+password)
	require.Equal(t, 1, p.runs())
}

func TestProviderIsRemembered(t *testing.T) {
	const (
		app     = "registry.example/team/app"
		other   = "registry.example/team/other"
		another = "a.mirror.example:5000/team/app"
	)
	for cache, want := range map[string][3]int{
		`"cacheKeyType":"Image"`:                           {1, 2, 3},
		`"cacheKeyType":"Registry"`:                        {1, 1, 2},
		`"cacheKeyType":"Global"`:                          {1, 1, 1},
		`"cacheKeyType":"Global","cacheDuration":"0s"`:     {2, 3, 4},
		`"cacheKeyType":"Registry","cacheDuration":"1m0s"`: {1, 1, 2},
	} {
		p := newPlugin(t)
		p.configure(one)
		p.program("fake", answer(cache, annForAll))
		chain := p.chain()
		ask := func(image string) int {
			host, _, _ := strings.Cut(image, "/")
			_, _, err := chain.For(t.Context(), image)(host)
			require.NoError(t, err)
			return p.runs()
		}
		ask(app)
		require.Equal(t, want, [3]int{ask(app), ask(other), ask(another)}, cache)
	}
}

func TestProviderMemoryEnds(t *testing.T) {
	p := newPlugin(t)
	p.configure(one)
	p.program("fake", answer(`"cacheKeyType":"Global","cacheDuration":"10m"`, annForAll))
	chain := p.chain()
	now := time.Now()
	chain.sources[0].(*providers).now = func() time.Time { return now }
	ask := func() int {
		_, _, err := chain.For(t.Context(), "registry.example/app")("registry.example")
		require.NoError(t, err)
		return p.runs()
	}
	require.Equal(t, [2]int{1, 1}, [2]int{ask(), ask()})
	now = now.Add(10 * time.Minute)
	require.Equal(t, 2, ask())
	// An answer belongs to the configuration that it was given under.
	p.configure(strings.Replace(one, "from the config", "another account", 1))
	require.Equal(t, 3, ask())
}

// TestProviderFaults: each is named, holds no secret, and leads to the next
// place.
func TestProviderFaults(t *testing.T) {
	for name, c := range map[string]struct {
		provider, script string
		want             string
	}{
		"fails":           {one, "echo hunter2; echo hunter2 >&2; exit 3", "exit status 3"},
		"no JSON":         {one, "echo hunter2", "no CredentialProviderResponse"},
		"another kind":    {one, `echo '{"kind":"hunter2"}'`, "no CredentialProviderResponse"},
		"another version": {one, strings.ReplaceAll(answer(`"cacheKeyType":"Global"`, annForAll), "k8s.io/v1", "k8s.io/v1beta1"), "no CredentialProviderResponse of"},
		"no cache key":    {one, answer(`"cacheKeyType":"hunter2"`, annForAll), "cacheKeyType"},
		"no duration":     {one, answer(`"cacheKeyType":"Global","cacheDuration":"hunter2"`, annForAll), "cacheDuration"},
		"wrong type":      {one, answer(`"cacheKeyType":"Global"`, `{"registry.example":{"username":"hunter2","password":7}}`), "no CredentialProviderResponse"},
		"said twice":      {one, answer(`"cacheKeyType":"Global","cacheKeyType":"Image"`, annForAll), "no CredentialProviderResponse"},
		"for ever":        {one, "yes hunter2", "too large"},
		"service account": {one + "  tokenAttributes: {serviceAccountTokenAudience: aud, cacheType: Token, requireServiceAccount: true}\n", "", "service account token"},
		"absent":          {strings.Replace(one, "fake", "absent", 1), "", "no such file"},
		"broken config":   {"- name: [hunter2]\n", "", "CredentialProviderConfig"},
		"unknown field":   {one + "  surprise: hunter2\n", "", "surprise"},
		"env in one":      {strings.Replace(one, "[{name: FAKE, value: \"from the config\"}]", "hunter2", 1), "", "a value"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlugin(t)
			p.configure(c.provider)
			p.program("fake", c.script)
			ask := p.chain().For(t.Context(), "registry.example/app")
			user, password, err := ask("registry.example")
			require.ErrorIs(t, err, ErrSource)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "hunter2")
			require.Empty(t, user+password)

			static := filepath.Join(p.dir, "static.json")
			require.NoError(t, os.WriteFile(static, []byte(`{"auths":{"registry.example":{"username":"bob","password":"b"}}}`), 0o600))
			chain := New(settings.Credentials{KubeletProviderConfig: p.config, KubeletProviderDir: p.dir, Static: static})
			user, _, err = chain.For(t.Context(), "registry.example/app")("registry.example")
			require.NoError(t, err)
			require.Equal(t, "bob", user)
		})
	}
}

// TestOptionalServiceAccount: kubelet asks such a provider without a token for
// pods that have no service account.
func TestOptionalServiceAccount(t *testing.T) {
	p := newPlugin(t)
	p.configure(one + "  tokenAttributes: {serviceAccountTokenAudience: aud, cacheType: Token, requireServiceAccount: false}\n")
	p.program("fake", answer(`"cacheKeyType":"Image"`, annForAll))
	user, _, err := p.chain().For(t.Context(), "registry.example/app")("registry.example")
	require.NoError(t, err)
	require.Equal(t, "ann", user)
}

// TestHangingProviderIsKilled with all that it started.
func TestHangingProviderIsKilled(t *testing.T) {
	p := newPlugin(t)
	p.configure(one)
	p.program("fake", `sleep 1000 & echo $! >"$here/child"; wait`)
	chain := p.chain()
	chain.sources[0].(*providers).programs.timeout = 300 * time.Millisecond
	_, _, err := chain.For(t.Context(), "registry.example/app")("registry.example")
	require.ErrorIs(t, err, ErrProgram)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	data, err := os.ReadFile(filepath.Join(p.dir, "child"))
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(string(data)))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || strings.Contains(string(state), ") Z ") || syscall.Kill(child, 0) != nil
	}, 10*time.Second, 10*time.Millisecond)
}

// TestProgramsThatOthersCanChange are not run as root.
func TestProgramsThatOthersCanChange(t *testing.T) {
	p := newPlugin(t)
	p.configure(one)
	p.program("fake", answer(`"cacheKeyType":"Global"`, annForAll))
	require.NoError(t, os.Chmod(filepath.Join(p.dir, "fake"), 0o777))
	_, _, err := p.chain().For(t.Context(), "registry.example/app")("registry.example")
	require.ErrorIs(t, err, ErrProgram)
	require.ErrorContains(t, err, "chmod")
	require.Zero(t, p.runs())
}

// TestSeveralProviders: the longest match of all answers, of equal ones the
// first.
func TestSeveralProviders(t *testing.T) {
	p := newPlugin(t)
	p.configure(one, strings.Replace(one, "fake", "second", 1))
	p.program("fake", answer(`"cacheKeyType":"Global"`, `{"registry.example":{"username":"first","password":"x"}}`))
	p.program("second", answer(`"cacheKeyType":"Global"`, `{"registry.example":{"username":"second","password":"x"},"registry.example/team":{"username":"team","password":"x"}}`))
	for image, want := range map[string]string{"registry.example/app": "first", "registry.example/team/app": "team"} {
		user, _, err := p.chain().For(t.Context(), image)("registry.example")
		require.NoError(t, err)
		require.Equal(t, want, user)
	}
}

// TestFolderOfConfigurations is read as newer kubelets do.
func TestFolderOfConfigurations(t *testing.T) {
	p := newPlugin(t)
	p.configure(one)
	dir := filepath.Join(p.dir, "conf.d")
	require.NoError(t, os.Mkdir(dir, 0o755))
	_, err := readProviders(dir)
	require.ErrorIs(t, err, errProviders)
	data, err := os.ReadFile(p.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.yaml"), data, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yml"), []byte(strings.ReplaceAll(string(data), "fake", "first")), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("{"), 0o600))
	list, err := readProviders(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"first", "fake"}, []string{list[0].Name, list[1].Name})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c.json"), data, 0o600))
	_, err = readProviders(dir)
	require.ErrorContains(t, err, `two providers are called "fake"`)
}

// TestOwnTypesAreKubelets: what kubelet's types write is read here, field by
// field.
func TestOwnTypesAreKubelets(t *testing.T) {
	yes := true
	var c configv1.CredentialProviderConfig
	c.APIVersion, c.Kind = "kubelet.config.k8s.io/v1", "CredentialProviderConfig"
	require.NoError(t, json.Unmarshal([]byte(`"1h30m"`), durationOf(&c, configv1.CredentialProvider{
		Name: "ecr", MatchImages: []string{"*.dkr.ecr.*.amazonaws.com"}, APIVersion: "credentialprovider.kubelet.k8s.io/v1",
		Args: []string{"get"}, Env: []configv1.ExecEnvVar{{Name: "A", Value: "b"}},
		TokenAttributes: &configv1.ServiceAccountTokenAttributes{
			ServiceAccountTokenAudience: "aud", CacheType: "Token", RequireServiceAccount: &yes,
			RequiredServiceAccountAnnotationKeys: []string{"a/b"}, OptionalServiceAccountAnnotationKeys: []string{"c/d"},
		},
	})))
	data, err := json.Marshal(c)
	require.NoError(t, err)
	got, err := parseProviders(data)
	require.NoError(t, err)
	duration := 90 * time.Minute
	require.Equal(t, []provider{{
		Name: "ecr", MatchImages: []string{"*.dkr.ecr.*.amazonaws.com"}, DefaultCacheDuration: &duration,
		APIVersion: "credentialprovider.kubelet.k8s.io/v1", Args: []string{"get"}, Env: []envVar{{"A", "b"}},
		TokenAttributes: &tokenAttributes{
			ServiceAccountTokenAudience: "aud", CacheType: "Token", RequireServiceAccount: &yes,
			RequiredServiceAccountAnnotationKeys: []string{"a/b"}, OptionalServiceAccountAnnotationKeys: []string{"c/d"},
		},
	}}, got)

	r := protocol.CredentialProviderResponse{
		CacheKeyType: protocol.RegistryPluginCacheKeyType,
		Auth:         map[string]protocol.AuthConfig{"registry.example": {Username: "ann", Password: "hunter2"}},
	}
	r.APIVersion, r.Kind = "credentialprovider.kubelet.k8s.io/v1", "CredentialProviderResponse"
	data, err = json.Marshal(r)
	require.NoError(t, err)
	keys, kind, age, err := parseResponse(data, got[0])
	require.NoError(t, err)
	require.Equal(t, keyRegistry, kind)
	require.Equal(t, duration, age)
	require.Equal(t, keyring{"registry.example": {"ann", "hunter2"}}, keys)
}

// durationOf adds a provider and gives where its duration is: metav1 is not a
// dependency of ours.
func durationOf(c *configv1.CredentialProviderConfig, p configv1.CredentialProvider) any {
	c.Providers = append(c.Providers, p)
	return &c.Providers[len(c.Providers)-1].DefaultCacheDuration
}
