// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/plombproject/plomb/verify/claim"
)

// An image that was signed for one repository must not pass in another.
func TestSignedIdentity(t *testing.T) {
	under := func(names ...string) []claim.Claim {
		return []claim.Claim{signed(func(c *claim.Claim) { c.Names = names })}
	}
	asked := func(name string) func(*Case) { return func(c *Case) { c.Name = name } }
	kind := func(s string) string { return "  signedIdentity: {type: " + s + "}\n" }
	const (
		v1, byDigest = "registry.example/shop/app:v1", "registry.example/shop/app@sha256:1111111111111111111111111111111111111111111111111111111111111111"
		remap        = "remapIdentity, prefix: mirror.example/a, signedPrefix: registry.example/shop"
	)
	for _, c := range []struct {
		kind, asked string
		signed      []string
		want        error
	}{
		{"matchExact", v1, []string{v1}, nil},
		{"matchExact", v1, []string{"registry.example/shop/app:v2"}, ErrSignedName},
		{"matchExact", v1, []string{"registry.example/shop/app"}, ErrSignedName},
		{"matchExact", byDigest, []string{v1}, ErrSignedName},
		{"matchExact", byDigest, []string{byDigest}, nil},
		{"matchRepoDigestOrExact", v1, []string{v1}, nil},
		{"matchRepoDigestOrExact", v1, []string{"registry.example/shop/app:v2"}, ErrSignedName},
		{"matchRepoDigestOrExact", byDigest, []string{"registry.example/shop/app:v2"}, nil},
		{"matchRepoDigestOrExact", byDigest, []string{"registry.example/shop/app"}, nil},
		{"matchRepoDigestOrExact", byDigest, []string{"registry.example/evil/app:v2"}, ErrSignedName},
		{"matchRepository", v1, []string{"registry.example/shop/app"}, nil},
		{"matchRepository", v1, []string{"registry.example/shop/app:v9"}, nil},
		{"matchRepository", v1, []string{"registry.example/shop/app2"}, ErrSignedName},
		{"matchRepository", v1, []string{"registry.example/shop"}, ErrSignedName},
		{"matchRepository", v1, []string{"registry.example:443/shop/app"}, ErrSignedName},
		{"matchRepository", v1, []string{"other.example/x", "registry.example/shop/app"}, nil},
		{"matchRepository", v1, nil, ErrNoSignedName},
		{"matchRepository", v1, []string{"image-id", "manifest", "", "NOT A NAME"}, ErrNoSignedName},
		{"matchRepository", "docker.io/library/image-id:v1", []string{"image-id"}, ErrNoSignedName},
		{"matchRepository", "oci-layout:/tmp/x", []string{v1}, ErrSignedName},
		// Docker Hub has several spellings.
		{"matchExact", "docker.io/library/debian:12", []string{"debian:12"}, nil},
		{"matchExact", "docker.io/library/debian:12", []string{"index.docker.io/library/debian:12"}, nil},
		{"matchExact", "docker.io/library/debian", []string{"debian:latest"}, nil},
		{"matchRepository", "docker.io/library/debian:12", []string{"docker.io/evil/debian"}, ErrSignedName},
		// BuildKit's subjects are package URLs.
		{"matchExact", v1, []string{"pkg:docker/registry.example/shop/app@v1?platform=linux%2Famd64"}, nil},
		{"matchRepository", v1, []string{"pkg:oci/app@sha256:11?repository_url=registry.example/shop/app"}, nil},
		{"matchRepository", v1, []string{"pkg:npm/registry.example/app"}, ErrNoSignedName},

		{"exactReference, dockerReference: 'registry.example/shop/app:v1'", "mirror.example/x:v7", []string{v1}, nil},
		{"exactReference, dockerReference: 'registry.example/shop/app:v1'", v1, []string{"registry.example/shop/app:v2"}, ErrSignedName},
		{"exactRepository, dockerRepository: registry.example/shop/app", "mirror.example/x:v7", []string{v1}, nil},
		{"exactRepository, dockerRepository: registry.example/shop/app", v1, []string{"registry.example/shop/app2:v1"}, ErrSignedName},

		{remap, "mirror.example/a/app:v1", []string{v1}, nil},
		{remap, "mirror.example/a/app:v2", []string{v1}, ErrSignedName},
		{remap, "mirror.example/ab/app:v1", []string{v1}, ErrSignedName},
		{remap, "mirror.example/a:v1", []string{"registry.example/shop:v1"}, nil},
		{remap, v1, []string{v1}, nil},
		{remap, "mirror.example/a/app@sha256:1111111111111111111111111111111111111111111111111111111111111111", []string{v1}, nil},
		{"remapIdentity, prefix: mirror.example, signedPrefix: registry.example", "mirror.example/shop/app:v1", []string{v1}, nil},
		{"remapIdentity, prefix: mirror.example, signedPrefix: registry.example", "mirror.example:5000/shop/app:v1", []string{v1}, ErrSignedName},
	} {
		trial := trial{name: c.kind + " " + c.asked, fields: kind(c.kind), claims: under(c.signed...), change: asked(c.asked), want: c.want}
		t.Run(trial.name, trial.run)
	}
	// A name that only an attestation has approves of nothing.
	foreign := stated(predicateVuln, "{}")
	runAll(t, []trial{{name: "attestation's name", fields: kind("matchRepository"), claims: append(under("other.example/x"), foreign), want: ErrSignedName}})
}
