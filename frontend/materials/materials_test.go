// SPDX-License-Identifier: Apache-2.0

package materials_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/slsa"
)

var (
	sum        = digest.FromString("x")
	incomplete = map[string]any{slsa.AnnotationIncomplete: true}
)

func marshal(t *testing.T, s llb.State) *pb.Definition {
	def, err := s.Marshal(t.Context(), llb.LinuxAmd64)
	require.NoError(t, err)
	return def.ToPB()
}

// using makes a state that reads all of sources.
func using(sources ...llb.State) llb.State {
	s := llb.Scratch()
	for _, src := range sources {
		s = s.File(llb.Copy(src, "/", "/"))
	}
	return s
}

func sha(d digest.Digest) map[string]string { return map[string]string{"sha256": d.Encoded()} }

func TestOf(t *testing.T) {
	self := "docker-image://example.com/plomb:v1@" + sum.String()
	defs := []*pb.Definition{
		marshal(t, using(
			llb.Image("debian:12@"+sum.String()), llb.Image("example.com/team/app:v1"),
			llb.Image(self[len("docker-image://"):]),
			llb.HTTP("https://user:pass@example.com/file.tgz", llb.Checksum(sum)), llb.HTTP("https://example.com/loose"),
			llb.Git("https://token@example.com/repo.git", "main"),
			llb.Local("context", llb.LocalUniqueID("1")), llb.OCILayout("store/name@"+sum.String()),
		)),
		marshal(t, using(llb.Image("debian:12@"+sum.String()), llb.HTTP("https://example.com/loose"), llb.Image("alpine@"+sum.String()))),
		{},
	}
	got, err := materials.Of(defs, self, nil)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]slsa.ResourceDescriptor{
		{URI: "git://example.com/repo.git#main", Annotations: incomplete},
		{URI: "https://example.com/file.tgz", Digest: sha(sum)},
		{URI: "https://example.com/loose", Annotations: incomplete},
		{URI: "local://context", Annotations: incomplete},
		{URI: "oci-layout://store/name@" + sum.String(), Digest: sha(sum)},
		{URI: "pkg:docker/alpine?digest=" + sum.String() + "&platform=linux%2Famd64", Digest: sha(sum)},
		{URI: "pkg:docker/debian@12?digest=" + sum.String() + "&platform=linux%2Famd64", Digest: sha(sum)},
		{URI: "pkg:docker/example.com/team/app@v1?platform=linux%2Famd64", Annotations: incomplete},
	}, got))
}

func TestOfNothing(t *testing.T) {
	got, err := materials.Of(nil, "", nil)
	require.NoError(t, err)
	require.NotNil(t, got, "in JSON it is an empty list, not null")
	require.Empty(t, got)
}

func TestOfKeepsWhatIsPinnedInOnePlaceOnly(t *testing.T) {
	pinned, loose := llb.HTTP("https://example.com/f", llb.Checksum(sum)), llb.HTTP("https://example.com/f")
	for _, s := range []llb.State{using(pinned, loose), using(loose, pinned)} {
		got, err := materials.Of([]*pb.Definition{marshal(t, s)}, "", nil)
		require.NoError(t, err)
		require.Equal(t, []slsa.ResourceDescriptor{
			{URI: "https://example.com/f", Annotations: incomplete},
			{URI: "https://example.com/f", Digest: sha(sum)},
		}, got)
	}
}

func TestOfRefusesBrokenGraphs(t *testing.T) {
	_, err := materials.Of([]*pb.Definition{{Def: [][]byte{{0xff}}}}, "", nil)
	require.ErrorContains(t, err, "read the build graph")

	_, err = materials.Image("UPPER/case:?", nil)
	require.ErrorContains(t, err, `image "UPPER/case:?"`)
}

func TestImage(t *testing.T) {
	got, err := materials.Image("debian", nil)
	require.NoError(t, err)
	require.Equal(t, slsa.ResourceDescriptor{URI: "pkg:docker/debian@latest", Annotations: incomplete}, got)

	got, err = materials.Image("example.com:5000/a/b@"+sum.String(), &pb.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"})
	require.NoError(t, err)
	require.Equal(t, sha(sum), got.Digest)
	require.Contains(t, got.URI, "platform=linux%2Farm64")
	require.Empty(t, got.Annotations)
}

func TestWithoutCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 "",
		"plain text, with: a colon @ home": "plain text, with: a colon @ home",
		"https://example.com/a?b=c#d":      "https://example.com/a?b=c#d",
		"https://user:pass@example.com/a":  "https://example.com/a",
		"https://token@example.com":        "https://example.com",
		"https://user:@example.com:8443/a": "https://example.com:8443/a",
		"ssh://git@example.com/repo":       "ssh://example.com/repo",
		"git@example.com:team/repo":        "git@example.com:team/repo",
		"HTTPS://User:Pass@Example.com/x":  "HTTPS://Example.com/x",
		"https://example.com/@scope/pkg":   "https://example.com/@scope/pkg",
		"https://example.com/?mail=a@b":    "https://example.com/?mail=a@b",
		// Passwords that were not escaped make URLs that do not parse.
		"https://user:100%@example.com/a":     "https://example.com/a",
		"https://user:p#ss@example.com/a":     "https://example.com/a",
		"https://user:p/ss@example.com/a":     "https://example.com/a",
		"https://user:p?ss@example.com/a":     "https://example.com/a",
		"https://user:p@ss@example.com/a":     "https://example.com/a",
		"https://user:p[ss@example.com/a":     "https://example.com/a",
		"https://user:pass@example.com:x/a":   "https://example.com:x/a",
		"https://user:1/#ss@example.com/a":    "https://example.com/a",
		"http://localhost:4873/@scope/a@1.2":  "http://localhost:4873/@scope/a@1.2",
		"https://h.example:443/@scope/a@b.cd": "https://h.example:443/@scope/a@b.cd",
		"https://user:pass@exa%zzmple.com/a":  "https://exa%zzmple.com/a",
		// Nor is an argument always one URL.
		"--index-url https://u:p@a.example/simple --extra https://t@b.example": "--index-url https://a.example/simple --extra https://b.example",
		"https://u:p@a.example,https://u:p@b.example":                          "https://a.example,https://b.example",
		"direct\nhttps://u:p@a.example\n":                                      "direct\nhttps://a.example\n",
		"url=https://u:p@a.example/x":                                          "url=https://a.example/x",
		// Credentials in queries.
		"https://s3.example/c.tar?X-Amz-Credential=AK%2F1&X-Amz-Signature=abc&versionId=7": "https://s3.example/c.tar?X-Amz-Credential=&X-Amz-Signature=&versionId=7",
		"https://blob.example/c?sv=1&sig=abc%3D#x":                                         "https://blob.example/c?sv=1&sig=#x",
		"https://git.example/r.git?ref=main&private_token=abc":                             "https://git.example/r.git?ref=main&private_token=",
		"https://example.com/?design=a&assignee=b":                                         "https://example.com/?design=a&assignee=b",
		"oci-layout://abc@" + sum.String():                                                 "oci-layout://abc@" + sum.String(),
		"docker-image://debian:12@" + sum.String():                                         "docker-image://debian:12@" + sum.String(),
		"docker-image://user:pass@sha256:1/x":                                              "docker-image://sha256:1/x",
		// Without a scheme.
		"user:pass@proxy.example:3128":         "proxy.example:3128",
		"user:pass@localhost:3128":             "localhost:3128",
		"-x user:pass@example.com/a b":         "-x example.com/a b",
		"url=user:pass@example.com":            "url=example.com",
		"debian:12@" + sum.String():            "debian:12@" + sum.String(),
		"example.com:5000/a:b@" + sum.String(): "example.com:5000/a:b@" + sum.String(),
		"mailto:me@example.com":                "mailto:me@example.com",
		"npm:react@17.0.0":                     "npm:react@17.0.0",
		"git@example.com:team/re:po@v1":        "git@example.com:team/re:po@v1",
		// Percent-encoded.
		"https://us%65r:p%40ss@example.com/a":                                "https://example.com/a",
		"https://example.com/?to=https%3A%2F%2Fu%3Apass%40h.example%2Fa&b=c": "https://example.com/?to=https%3A%2F%2Fh.example%2Fa&b=c",
		"HTTPS%3a%2f%2ftoken%40h.example":                                    "HTTPS%3a%2f%2fh.example",
		"https%3A%2F%2Fh.example%2F%40scope":                                 "https%3A%2F%2Fh.example%2F%40scope",
		// Headers and settings.
		"Authorization: Basic dTpw":                "Authorization: [masked]",
		`{"Authorization":"Bearer abc.def","x":1}`: `{"Authorization":"[masked]","x":1}`,
		"proxy-authorization=abc, b":               "proxy-authorization=[masked], b",
		"curl -H 'X-Api-Key: abc' x":               "curl -H 'X-Api-Key: [masked]' x",
		"host=db password=abc user=u":              "host=db password=[masked] user=u",
		"--access-token abc":                       "--access-token abc",
		`{"secret": "abc"}`:                        `{"secret": "[masked]"}`,
		`{"registry":"https://u:p@a.example/x"}`:   `{"registry":"https://a.example/x"}`,
	} {
		require.Equal(t, want, materials.WithoutCredentials(in), in)
	}
}
