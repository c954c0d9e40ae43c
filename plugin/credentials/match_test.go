// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMatches has the cases of kubelet's own test of URLsMatch
// (pkg/credentialprovider/keyring_test.go), and attacks.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.kubernetes.io", "prefix.kubernetes.io", true},
		{"prefix.*.io", "prefix.kubernetes.io", true},
		{"prefix.kubernetes.*", "prefix.kubernetes.io", true},
		{"*-good.kubernetes.io", "prefix-good.kubernetes.io", true},
		{"*.*.kubernetes.io", "a.b.kubernetes.io", true},
		{"*.kubernetes.io", "a.b.kubernetes.io", false},
		{"kubernetes.io", "kubernetes.com", false},
		{"k.kubernetes.io", "quay.io", false},
		{"*.kubernetes.io", "kubernetes.io", false},
		{"*kubernetes.io", "a.kubernetes.io", false},
		{"*.kubernetes.io:5000", "prefix.kubernetes.io:5000/path", true},
		{"*.kubernetes.io:5000", "prefix.kubernetes.io/path", false},
		{"*.kubernetes.io", "prefix.kubernetes.io:5000/path", false},
		{"*.kubernetes.io:5000", "prefix.kubernetes.io:5001", false},
		{"*.kubernetes.io/path", "prefix.kubernetes.io/path/more", true},
		{"*.kubernetes.io/path", "prefix.kubernetes.io/path-more", true}, // a prefix of letters, as kubelet has it
		{"*.kubernetes.io/path", "prefix.kubernetes.io/other/path", false},
		{"gcr.io/team", "gcr.io/Team/app", false},

		// The name on somebody else's host.
		{"registry.example", "evil.example/registry.example/app", false},
		{"registry.example", "registry.example.evil.example/app", false},
		{"registry.example", "registryxexample/app", false},
		{"registry.example/team", "evil.example/team/app", false},
		{"*.example", "registry.example@evil.test/app", false},
		{"127.0.0.1:5000", "127.0.0.1:50000/app", false},
		{"[a-", "a/app", false},
		{"%zz", "a/app", false},
	} {
		require.Equal(t, c.want, matches(c.pattern, c.name), "%s about %s", c.pattern, c.name)
	}
}

func TestKeyOf(t *testing.T) {
	for in, want := range map[string]string{
		"https://index.docker.io/v1/":  "index.docker.io",
		"http://registry.example/v2/a": "registry.example/a",
		"registry.example":             "registry.example",
		"registry.example/":            "registry.example",
		"registry.example:5000/team":   "registry.example:5000/team",
		"ann@registry.example":         "",
		"%zz":                          "",
	} {
		require.Equal(t, want, keyOf(in), in)
	}
}

func TestFind(t *testing.T) {
	keys := keyring{}
	for _, name := range []string{
		"registry.example", "registry.example/team", "registry.example/team/app", "*.example",
		"index.docker.io", "other.example",
	} {
		keys[name] = secret{name, "secret"}
	}
	keys["registry.example/empty"] = secret{}
	for image, want := range map[string]string{
		"registry.example/x":          "registry.example",
		"registry.example/team/b:v1":  "registry.example/team",
		"registry.example/team/app":   "registry.example/team/app",
		"registry.example/empty/app":  "registry.example",
		"third.example/team/app":      "*.example",
		"alpine":                      "index.docker.io",
		"index.docker.io/acme/app":    "index.docker.io",
		"evil.test/registry.example":  "",
		"registry.example:5000/x":     "",
		"sub.registry.example/team/a": "",
	} {
		host, _, _ := strings.Cut(image, "/")
		if want == "index.docker.io" {
			host = "registry-1.docker.io"
		}
		target, err := newTarget(image, host)
		require.NoError(t, err)
		require.Equal(t, want, keys.find(target).user, image)
	}
}
