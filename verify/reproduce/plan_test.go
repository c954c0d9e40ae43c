// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/contents"
	"github.com/plombproject/plomb/provenance/slsa"
)

var (
	sum    = strings.Repeat("ab", 32)
	commit = strings.Repeat("c", 40)
)

// built is the provenance of a build that used what there is.
func built() *slsa.Provenance {
	epoch := int64(1790000000)
	return &slsa.Provenance{BuildDefinition: slsa.BuildDefinition{
		BuildType: slsa.BuildType,
		ExternalParameters: slsa.ExternalParameters{
			Dockerfile: slsa.Dockerfile{Name: "Dockerfile", SHA256: sum, From: "local"},
			Target:     "release",
			Args:       map[string]string{"VERSION": "1 2;$(x)", "BUILDKIT_SYNTAX": "example.com/other", "SOURCE_DATE_EPOCH": "context"},
			Labels:     map[string]string{"team": "a=b"},
			Options:    map[string]string{"network": "none", "addHosts": "a=1.2.3.4,b=::1", "shmSize": "64", "ulimits": "nofile=1:2", "hostname": "h", "pull": "pull"},
			Context:    &slsa.Context{Kind: "local", URI: "context"},
			Contexts: map[string]slsa.Context{
				"docs": {Kind: "local", URI: "docs"}, "base": {Kind: "image", URI: "docker-image://example.com/b:1"},
				"dep":                  {Kind: "git", URI: "https://example.com/dep.git#main:sub", Digest: map[string]string{"gitCommit": commit}},
				"file::linux/amd64/v2": {Kind: "http", URI: "https://example.com/x.tar"},
			},
			Secrets: []string{"npm"}, Masked: []string{"args.HTTP_PROXY", "args.TOKEN", "contexts.dep"},
		},
		InternalParameters: slsa.InternalParameters{
			Frontend: slsa.Frontend{Image: "example.com/plomb:v1@sha256:" + sum},
			Sealing:  slsa.Sealing{Layers: "squash", Scrub: "off", SourceDateEpoch: &epoch},
		},
		ResolvedDependencies: []slsa.ResourceDescriptor{
			{URI: "local://context", Digest: map[string]string{contents.Algorithm: sum}, Annotations: map[string]any{
				slsa.AnnotationContents: map[string]any{"digest": "lie", "entries": 3.0, "bytes": 9.0, "marks": "aabb"},
				slsa.AnnotationFilter:   map[string]any{"exclude": []any{"*.log"}},
			}},
			{URI: "local://docs", Digest: map[string]string{contents.Algorithm: sum}},
			{URI: "pkg:docker/debian@12?digest=sha256:" + sum + "&platform=linux%2Famd64", Digest: map[string]string{"sha256": sum}},
			{URI: "https://example.com/loose", Annotations: map[string]any{slsa.AnnotationIncomplete: true}},
		},
	}}
}

func TestNewPlan(t *testing.T) {
	p, err := NewPlan(built(), "linux/amd64", Given{Args: map[string]string{"TOKEN": "t"}})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]string{
		"--platform=linux/amd64", "--provenance=false", "--sbom=false", "--no-cache", "--target=release",
		"--build-arg=BUILDKIT_SANDBOX_HOSTNAME=h", "--build-arg=BUILDKIT_SYNTAX=example.com/plomb:v1@sha256:" + sum,
		"--build-arg=PLOMB_LAYERS=squash", "--build-arg=PLOMB_SCRUB=off", "--build-arg=PLOMB_SIGN=off",
		"--build-arg=SOURCE_DATE_EPOCH=1790000000", "--build-arg=TOKEN=t", "--build-arg=VERSION=1 2;$(x)",
		"--label=team=a=b",
		"--add-host=a=1.2.3.4", "--add-host=b=::1", "--network=none", "--shm-size=64", "--ulimit=nofile=1:2",
		"--build-context=base=docker-image://example.com/b:1", "--build-context=dep=https://example.com/dep.git#" + commit + ":sub",
		"--build-context=file::linux/amd64/v2=https://example.com/x.tar",
	}, p.Flags))
	require.Empty(t, p.Remote)
	require.Equal(t, Folder{Used: true, Recorded: []Recorded{{
		Filter: slsa.Filter{Exclude: []string{"*.log"}}, Summary: contents.Summary{Digest: sum, Entries: 3, Bytes: 9, Marks: "aabb"},
	}}}, p.Folders["context"], "the digest is that of the dependency, whatever the annotation says")
	require.Len(t, p.Folders, 2)
	notes := strings.Join(p.Notes, "\n")
	require.Contains(t, notes, "HTTP_PROXY")
	require.NotContains(t, notes, "argument TOKEN", "it was given")
	for _, says := range []string{"secrets (npm)", "contexts.dep", "https://example.com/loose is not pinned"} {
		require.Contains(t, notes, says)
	}
}

// The provenance comes out of a registry; what it names goes on a command
// line. Nothing in it makes the builder read this machine.
func TestNewPlanRefusesPathsOfThisMachine(t *testing.T) {
	for _, c := range []slsa.Context{
		{Kind: "git", URI: "/etc", Digest: map[string]string{"gitCommit": commit}},
		{Kind: "git", URI: "file:///etc", Digest: map[string]string{"gitCommit": commit}},
		{Kind: "git", URI: "--output=/etc/passwd", Digest: map[string]string{"gitCommit": commit}},
		{Kind: "git", URI: "https://example.com/r.git"},
		{Kind: "git", URI: "ext::sh -c id", Digest: map[string]string{"gitCommit": commit}},
		{Kind: "http", URI: "/etc"}, {Kind: "http", URI: "-"}, {Kind: "http", URI: "http://buildkit-session/x"},
		{Kind: "image", URI: "/etc"}, {Kind: "oci-layout", URI: "oci-layout:///etc"}, {Kind: "input", URI: "x"},
		{Kind: "target"}, {},
	} {
		p := built()
		p.BuildDefinition.ExternalParameters.Contexts = map[string]slsa.Context{"x": c}
		_, err := NewPlan(p, "linux/amd64", Given{})
		require.ErrorIs(t, err, ErrProvenance, c)
		p = built()
		p.BuildDefinition.ExternalParameters.Context = &c
		_, err = NewPlan(p, "linux/amd64", Given{})
		require.ErrorIs(t, err, ErrProvenance, c)
	}
}

func TestNewPlanRefusesNamesThatAreNone(t *testing.T) {
	for _, name := range []string{"", "/etc/passwd", "../Dockerfile", "a/../../Dockerfile", "http://example.com/Dockerfile"} {
		p := built()
		p.BuildDefinition.ExternalParameters.Dockerfile.Name = name
		_, err := NewPlan(p, "linux/amd64", Given{})
		require.ErrorIs(t, err, ErrProvenance, name)
	}
	for _, name := range []string{"", "a=/etc", "context"} {
		p := built()
		p.BuildDefinition.ExternalParameters.Contexts = map[string]slsa.Context{name: {Kind: "image", URI: "docker-image://a"}}
		_, err := NewPlan(p, "linux/amd64", Given{})
		require.ErrorIs(t, err, ErrProvenance, name)
	}
}

func TestNewPlanRefusesOldProvenance(t *testing.T) {
	for says, spoil := range map[string]func(*slsa.BuildDefinition){
		"where the build context came from": func(d *slsa.BuildDefinition) { d.ExternalParameters.Context = nil },
		"image of the frontend":             func(d *slsa.BuildDefinition) { d.InternalParameters.Frontend.Image = "" },
		`digest of local context "context"`: func(d *slsa.BuildDefinition) { d.ResolvedDependencies[0].Digest = nil },
		"annotation":                        func(d *slsa.BuildDefinition) { d.ResolvedDependencies[0].Annotations[slsa.AnnotationFilter] = "x" },
	} {
		p := built()
		spoil(&p.BuildDefinition)
		_, err := NewPlan(p, "linux/amd64", Given{})
		require.ErrorIs(t, err, ErrProvenance)
		require.ErrorContains(t, err, says)
	}
}

func TestAtCommit(t *testing.T) {
	for in, want := range map[string]string{
		"https://e.com/r.git":                                       "https://e.com/r.git#" + commit,
		"https://e.com/r.git#main":                                  "https://e.com/r.git#" + commit,
		"https://e.com/r.git#:sub/x":                                "https://e.com/r.git#" + commit + ":sub/x",
		"git@e.com:r.git#v1:sub":                                    "git@e.com:r.git#" + commit + ":sub",
		"https://e.com/r.git?branch=main&subdir=a&submodules=false": "https://e.com/r.git?submodules=false#" + commit + ":a",
		"https://e.com/r.git?ref=x&checksum=y":                      "https://e.com/r.git#" + commit,
	} {
		got, err := atCommit(in, commit)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := atCommit("https://e.com/r.git?%zz", commit)
	require.ErrorIs(t, err, ErrProvenance)
}

func TestSourcePolicy(t *testing.T) {
	sha := map[string]string{"sha256": sum}
	data, err := sourcePolicy([]slsa.ResourceDescriptor{
		{URI: "pkg:docker/debian@12?platform=linux%2Famd64", Digest: sha},
		{URI: "pkg:docker/team/app@v1", Digest: sha},
		{URI: "pkg:docker/localhost%3A5000/a/b@v1", Digest: sha},
		{URI: "pkg:docker/ghcr.io/a/b@v1", Digest: sha},
		{URI: "pkg:docker/alpine?digest=sha256:" + sum, Digest: sha}, // by digest alone
		{URI: "pkg:docker/loose@1"},
		{Name: "frontend", URI: "pkg:docker/plomb@v1", Digest: sha},
		{URI: "git://e.com/r.git#main:sub", Digest: map[string]string{"gitCommit": commit}},
		{URI: "https://e.com/f", Digest: sha},
		{URI: "local://context", Digest: map[string]string{contents.Algorithm: sum}},
	})
	require.NoError(t, err)
	var p policy
	require.NoError(t, json.Unmarshal(data, &p))
	got := map[string]string{}
	for _, r := range p.Rules {
		require.Equal(t, "CONVERT", r.Action)
		require.Equal(t, "EXACT", r.Selector.MatchType)
		got[r.Selector.Identifier] = r.Updates.Identifier + r.Updates.Attrs["http.checksum"]
	}
	at := "@sha256:" + sum
	require.Equal(t, map[string]string{
		"docker-image://docker.io/library/debian:12": "docker-image://docker.io/library/debian:12" + at,
		"docker-image://docker.io/team/app:v1":       "docker-image://docker.io/team/app:v1" + at,
		"docker-image://localhost:5000/a/b:v1":       "docker-image://localhost:5000/a/b:v1" + at,
		"docker-image://ghcr.io/a/b:v1":              "docker-image://ghcr.io/a/b:v1" + at,
		"git://e.com/r.git#main:sub":                 "git://e.com/r.git#" + commit + ":sub",
		"https://e.com/f":                            "https://e.com/fsha256:" + sum,
	}, got)
}

func TestCompression(t *testing.T) {
	layers := func(types ...string) (out []ocispec.Descriptor) {
		for _, m := range types {
			out = append(out, ocispec.Descriptor{MediaType: m})
		}
		return out
	}
	require.Empty(t, Compression(nil))
	require.Empty(t, Compression(layers(ocispec.MediaTypeImageLayerZstd, ocispec.MediaTypeImageLayerGzip)))
	require.Equal(t, "compression=zstd", Compression(layers(ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd)))
	require.Equal(t, "compression=uncompressed", Compression(layers(ocispec.MediaTypeImageLayer)))
}
