// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/contents"
	"github.com/plombproject/plomb/provenance/slsa"
)

func provenanceOf(t *testing.T, g *gateway) *slsa.Provenance {
	b, c := prepared(t, g)
	require.NoError(t, b.resolveSources(t.Context()))
	p, err := b.provenance(c, "x")
	require.NoError(t, err)
	return p
}

// Everything that a rebuild needs is there; see docs/build-type.md.
func TestProvenanceTellsWhatARebuildNeeds(t *testing.T) {
	g := newGateway(t, dockerfile, "force-network-mode=host", "add-hosts=db=10.0.0.1", "shm-size=64000000", "ulimit=nofile=10:20",
		"hostname=builder", "label:team=a", "context:docs=local:docs-1", "context:base2::linux/amd64=docker-image://example.com/b:1",
		"context:dep=https://u:s3cr3t@example.com/dep.git#main", "context:plomb=local:plomb", "vcs:localdir:context=app", "vcs:localdir:dockerfile=app")
	p := provenanceOf(t, g)
	ext := p.BuildDefinition.ExternalParameters
	require.Equal(t, map[string]string{"network": "host", "addHosts": "db=10.0.0.1", "shmSize": "64000000", "ulimits": "nofile=10:20", "hostname": "builder"}, ext.Options)
	require.Equal(t, map[string]string{"team": "a"}, ext.Labels)
	require.Equal(t, &slsa.Context{Kind: "local", URI: "context"}, ext.Context)
	require.Equal(t, map[string]slsa.Context{
		"docs":               {Kind: "local", URI: "docs-1"},
		"base2::linux/amd64": {Kind: "image", URI: "docker-image://example.com/b:1@" + digest.FromString("base manifest").String()},
		"dep":                {Kind: "git", URI: "https://example.com/dep.git#main", Digest: map[string]string{"gitCommit": strings.Repeat("c", 40)}},
	}, ext.Contexts, "the settings of plomb are no source")
	require.Equal(t, []string{"contexts.dep"}, ext.Masked)
	require.Equal(t, []string{"mine"}, ext.Secrets)
	require.Equal(t, "app", ext.Source.Context)
	require.Equal(t, "linux/amd64", p.BuildDefinition.InternalParameters.BuildPlatform)

	for _, d := range p.BuildDefinition.ResolvedDependencies {
		if d.URI == "local://context" {
			require.Equal(t, map[string]string{contents.Algorithm: contextSummary.Digest}, d.Digest)
			require.Equal(t, slsa.Filter{Follow: []string{"a", "b"}}, d.Annotations[slsa.AnnotationFilter])
			require.Equal(t, &contextSummary, d.Annotations[slsa.AnnotationContents])
			return
		}
	}
	t.Fatal("the local context is not among the dependencies")
}

// A password in the URL of the context, in a named context, in a label or in
// an argument named like a secret: none of it is published, and that something
// was left out is.
func TestProvenanceHoldsNoSecret(t *testing.T) {
	g := newGateway(t, dockerfile, "context=https://user:s3cr3t@example.com/repo.git#main", "dockerfilekey=dockerfile",
		"build-arg:MINE=s3cr3t", "build-arg:HTTPS_PROXY=http://u:s3cr3t@proxy:3128", "build-arg:BUILDKIT_SYNTAX=example.com/f",
		"context:other=https://example.com/x.tar?X-Amz-Signature=s3cr3t", "label:from=https://u:s3cr3t@example.com",
		"vcs:source=https://u:s3cr3t@example.com/repo.git")
	p := provenanceOf(t, g)
	data, err := json.Marshal(p)
	require.NoError(t, err)
	require.NotContains(t, string(data), "s3cr3t")
	require.Equal(t, []string{"args.HTTPS_PROXY", "args.MINE", "context", "contexts.other", "labels.from", "source.repository"}, p.BuildDefinition.ExternalParameters.Masked)
	require.Equal(t, "git", p.BuildDefinition.ExternalParameters.Context.Kind)
	require.Equal(t, "local", p.BuildDefinition.ExternalParameters.Dockerfile.From)
}

// The helper sees the very operation of the build, without network and without
// secrets, and cannot write to it.
func TestContextIsDigestedByAHelper(t *testing.T) {
	g := newGateway(t, dockerfile)
	provenanceOf(t, g)
	var helpers int
	for _, def := range g.solved {
		ops, at := parse(t, def)
		if at == nil {
			continue
		}
		exec := ops[at.Digest].GetExec()
		if args := exec.GetMeta().GetArgs(); len(args) < 2 || args[1] != materials.Command {
			continue
		}
		helpers++
		require.Equal(t, pb.NetMode_NONE, exec.Network)
		for _, m := range exec.Mounts {
			require.Equal(t, m.Dest != "/report", m.Readonly, m.Dest)
			require.Equal(t, pb.MountType_BIND, m.MountType)
		}
	}
	require.Equal(t, 1, helpers)
}

// A context that cannot be digested ends the build before a token is used, and
// an unsigned image pays for none of it.
func TestSourcesOfSignedImagesOnly(t *testing.T) {
	g := newGateway(t, dockerfile, signOff)
	_, err := g.build()
	require.NoError(t, err)
	for _, def := range g.solved {
		ops, at := parse(t, def)
		if at != nil {
			require.NotContains(t, ops[at.Digest].GetExec().GetMeta().GetArgs(), materials.Command)
		}
	}

	b, _ := prepared(t, newGateway(t, dockerfile))
	broken := &pb.Definition{Def: [][]byte{{0xff}}}
	b.sources.of(broken)
	require.ErrorContains(t, b.resolveSources(t.Context()), "read the build graph")
}

// A named context that is an image is pinned before the build uses it, where
// nobody has done so. A tag that moves later makes no difference.
func TestImageContextsArePinned(t *testing.T) {
	sum := digest.FromString("base manifest").String()
	other := "docker-image://example.com/b:1@" + digest.FromString("another").String()
	for given, want := range map[string]string{
		"docker-image://example.com/b:1": "docker-image://example.com/b:1@" + sum,
		"docker-image:example.com/b":     "docker-image://example.com/b:latest@" + sum,
		"docker-image://b":               "docker-image://docker.io/library/b:latest@" + sum,
		other:                            other,
		"docker-image://scratch":         "docker-image://scratch",
		"docker-image://no name":         "docker-image://no name",
		"local:b":                        "local:b",
	} {
		g := newGateway(t, dockerfile, "context:b="+given)
		f := Frontend{Version: "v0", Now: func() time.Time { return now }, HTTP: http.DefaultClient}
		b, err := f.prepare(t.Context(), g)
		require.NoError(t, err)
		t.Cleanup(b.beginSources(t.Context()))
		require.Equal(t, want, g.opts["context:b"], given)
	}

	p := provenanceOf(t, newGateway(t, "FROM b\nRUN --network=none true\n", "context:b=docker-image://example.com/b:1"))
	require.True(t, p.BuildDefinition.InternalParameters.Completeness.Complete, p.BuildDefinition.InternalParameters.Completeness.Gaps)
}
