// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"fmt"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy"
)

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob, image string
		want        bool
	}{
		// As in policy-controller.
		{"registry.example/shop/app:v1", "registry.example/shop/app:v1", true},
		{"registry.example/shop/app:*", "registry.example/shop/app:v1", true},
		{"registry.example/shop/*", "registry.example/shop/app:v1", true},
		{"registry.example/*", "registry.example/shop/app:v1", false},
		{"registry.example/**", "registry.example/shop/app:v1", true},
		{"**", "registry.example/shop/app:v1", true},
		{"registry.example/shop/app", "registry.example/shop/app", true},
		{"registry.example/shop/ap", "registry.example/shop/app", false},
		{"shop/app:v1", "registry.example/shop/app:v1", false},
		{"registryxexample/**", "registry.example/shop/app:v1", false},
		{"registry.example/**", "registryxexample/shop/app:v1", false},
		{"index.docker.io/library/busybox:latest", "busybox", true},
		{"*", "busybox", true},
		{"*", "acme/app", false},
		{"*/*", "acme/app", true},
		{"*/*", "registry.example/app", false},
		{"127.0.0.1:5000/**", "127.0.0.1:5000/app:v1", true},
		{"127.0.0.1:500/**", "127.0.0.1:5000/app:v1", false},
		{fmt.Sprintf("registry.example/app@%s", dgst), "registry.example/app:v1", true},
		{"registry.example/app@sha256:*", "registry.example/app:v1", true},
		{fmt.Sprintf("registry.example/app@%s", dgst), fmt.Sprintf("registry.example/app@%s", dgst), true},
		// Whatever way Docker Hub is written, the verdict is the same.
		{"docker.io/library/busybox:*", "busybox:1", true},
		{"index.docker.io/library/busybox:*", "docker.io/library/busybox:1", true},
		{"busybox:1", "docker.io/library/busybox:1", true},
		{"acme/app", "docker.io/acme/app:latest", true},
		// A tag is not a prefix.
		{"registry.example/app", "registry.example/app:v1", false},
		{"registry.example/app:latest", "registry.example/app", true},
		// A folder has no name but its own.
		{"**", "oci-layout:/tmp/image", true},
		{"registry.example/**", "oci-layout:/tmp/image", false},
	} {
		t.Run(c.glob+" "+c.image, func(t *testing.T) {
			doc := fmt.Sprintf(`{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "g"},
				"spec": {"images": [{"glob": %q}], "authorities": [{"static": {"action": "pass"}}]}}`, c.glob)
			set := load(t, doc)
			_, err := set.Select(c.image, dgst)
			if c.want {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, policy.ErrNoMatch)
			}
		})
	}
}

func TestNamesThatAreNone(t *testing.T) {
	for _, name := range []string{"", "Upper", "a b", "-", "registry.example/app:"} {
		_, err := policy.Spellings(name, dgst)
		require.ErrorIs(t, err, policy.ErrInvalid, name)
	}
}

// On Docker Hub anybody may be called like a registry.
func TestShortNamesOfOtherRegistries(t *testing.T) {
	for name, other := range map[string]string{
		"docker.io/registry.k8s.io/pause:3.10":       "registry.k8s.io/pause:3.10",
		"docker.io/localhost/app":                    "localhost/app",
		"index.docker.io/registry.example/shop/app":  "registry.example/shop/app",
		"docker.io/library/registry.example/app:v1":  "registry.example/app:v1",
		"docker.io/registry.example:5000/shop/app:1": "registry.example:5000/shop/app:1",
	} {
		spellings, err := policy.Spellings(name, digest.FromString("x"))
		if err != nil {
			continue // no name at all
		}
		require.NotContains(t, spellings, other, name)
	}
	spellings, err := policy.Spellings("docker.io/acme/app:v1", digest.FromString("x"))
	require.NoError(t, err)
	require.Contains(t, spellings, "acme/app:v1")
}
