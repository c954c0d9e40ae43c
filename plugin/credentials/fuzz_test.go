// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"strings"
	"testing"
	"time"
)

// FuzzProviders: kubelet's configuration, which a provisioning tool wrote.
func FuzzProviders(f *testing.F) {
	f.Add([]byte("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n" + one))
	f.Add([]byte(`{"apiVersion":"kubelet.config.k8s.io/v1beta1","kind":"CredentialProviderConfig","providers":[{"name":"a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := parseProviders(data)
		if err != nil {
			return
		}
		for _, p := range list {
			if strings.ContainsAny(p.Name, "/\x00") || p.Name == ".." || *p.DefaultCacheDuration < 0 {
				t.Fatalf("accepted %+v", p)
			}
			p.wants("registry.example/app")
		}
	})
}

// FuzzResponse: what a plugin prints.
func FuzzResponse(f *testing.F) {
	for _, cache := range []string{`"cacheKeyType":"Image"`, `"cacheKeyType":"Global","cacheDuration":"1s"`} {
		f.Add([]byte(strings.TrimSuffix(strings.TrimPrefix(answer(cache, annForAll), "cat <<'END'\n"), "END\n")))
	}
	hour := time.Hour
	p := provider{APIVersion: protocolVersions[0], DefaultCacheDuration: &hour}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, kind, _, err := parseResponse(data, p)
		if err != nil {
			return
		}
		if cacheKey(kind, target{}) == "" {
			t.Fatalf("accepted cache key type %q", kind)
		}
		keys.find(target{host: "registry.example", name: "registry.example/app"})
	})
}

// FuzzDocker: a config.json.
func FuzzDocker(f *testing.F) {
	f.Add([]byte(`{"auths": {"registry.example": {"auth": "dXNlcjpwYTpzcw=="}}, "credHelpers": {"a": "b"}, "credsStore": "c"}`))
	f.Add([]byte(`{"auths": {"https://index.docker.io/v1/": {"identitytoken": "t"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseDocker(data)
		if err != nil {
			return
		}
		keys, _ := c.keyring()
		for key, s := range keys {
			if key == "" || s.user != "" && s.secret == "" {
				t.Fatalf("kept %q", key)
			}
		}
		keys.find(target{host: hub, name: "docker.io/library/app"})
	})
}

// FuzzMatch: a pattern out of one of those files about a name out of a pod. A
// pattern without wildcards is about its own host only.
func FuzzMatch(f *testing.F) {
	f.Add("registry.example", "registry.example/app")
	f.Add("*.example:5000/team", "a.example:5000/team/app")
	f.Add("registry.example", "evil.example/registry.example")
	f.Fuzz(func(t *testing.T, pattern, image string) {
		host, _, _ := strings.Cut(image, "/")
		target, err := newTarget(image, host)
		if err != nil || strings.ContainsAny(pattern, `*?[\%`) || strings.ContainsAny(target.host, "%") {
			return
		}
		key := keyOf(pattern)
		patternHost, _, _ := strings.Cut(key, "/")
		if patternHost != "" && matches(key, target.name) && strings.ToLower(patternHost) != target.host && patternHost != target.host {
			t.Fatalf("%q is about %q", pattern, target.name)
		}
	})
}
