// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/slsa"
)

// prepared is a build whose platforms are sealed.
func prepared(t *testing.T, g *gateway) (*build, *collection) { return preparedOn(t, g) }

// preparedOn is prepared on any BuildKit.
func preparedOn(t *testing.T, g client.Client) (*build, *collection) {
	f := Frontend{Version: "v0", Now: func() time.Time { return now }, HTTP: http.DefaultClient}
	b, err := f.prepare(t.Context(), g)
	require.NoError(t, err)
	t.Cleanup(b.beginSources(t.Context()))
	c := newCollection(b.ui)
	_, err = b.ui.Build(t.Context(), c.collect(b.platform))
	require.NoError(t, err)
	return b, c
}

// The digest that is signed is that of the config as the exporter encodes it.
func TestForetoldDigestIsThatOfTheResult(t *testing.T) {
	for _, opt := range []string{signOff, "build-arg:PLOMB_LAYERS=squash", "build-arg:SOURCE_DATE_EPOCH=1000000000", "label:a=<&>"} {
		_, c := prepared(t, newGateway(t, dockerfile, opt))
		handed, err := json.Marshal(c.built[0].result.Image)
		require.NoError(t, err)
		var top map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(handed, &top))
		exported, err := json.Marshal(top)
		require.NoError(t, err)
		require.Equal(t, digest.FromBytes(exported), c.built[0].config, opt)
	}
}

func TestProvenance(t *testing.T) {
	g := newGateway(t, dockerfile, "platform=linux/amd64,linux/arm64", "target=", "build-arg:PLOMB_REPOSITORY=example.com/team/app",
		"build-arg:VERSION=1", "build-arg:mine=s3cr3t", "vcs:source=https://u:s3cr3t@example.com/repo.git", "vcs:revision=abc")
	b, c := prepared(t, g)
	require.NoError(t, b.resolveSources(t.Context()))
	p, err := b.provenance(c, "https://example.com/signer")
	require.NoError(t, err)

	ext := p.BuildDefinition.ExternalParameters
	require.Equal(t, slsa.Dockerfile{Name: "Dockerfile", SHA256: digest.FromString(dockerfile).Encoded(), From: "local"}, ext.Dockerfile)
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, ext.Platforms)
	require.Equal(t, map[string]string{"VERSION": "1"}, ext.Args, "mine is a secret's name, PLOMB_REPOSITORY an option")
	require.Equal(t, &slsa.Source{Repository: "https://example.com/repo.git", Revision: "abc"}, ext.Source)
	require.Equal(t, "example.com/team/app", ext.Repository)

	in := p.BuildDefinition.InternalParameters
	require.Equal(t, slsa.Frontend{Image: selfImage, Version: "v0"}, in.Frontend)
	require.Equal(t, map[string]string{"executor": "fake"}, in.WorkerLabels)
	require.Equal(t, "keep", in.Sealing.Layers)
	require.Equal(t, "on", in.Sealing.Scrub)
	require.Nil(t, in.Sealing.SourceDateEpoch)
	require.Equal(t, map[string][]slsa.Scrubbed{
		"linux/amd64": {{Path: "/var/log/dpkg.log", Rule: "dpkg-log"}},
		"linux/arm64": {{Path: "/var/log/dpkg.log", Rule: "dpkg-log"}},
	}, in.Sealing.Scrubbed)

	var uris []string
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		uris = append(uris, d.Name+d.URI)
	}
	frontend := "frontendpkg:docker/example.com/plomb/frontend@v1?digest=sha256:" + selfImage[len(selfImage)-64:]
	require.Contains(t, uris, frontend, "the frontend's own image is listed as such, once")
	require.Equal(t, frontend, uris[len(uris)-1])
	require.Contains(t, uris, "local://context")

	require.Equal(t, "https://example.com/signer", p.RunDetails.Builder.ID)
	require.Equal(t, "session", p.RunDetails.Metadata.InvocationID)
	require.True(t, now.Equal(*p.RunDetails.Metadata.StartedOn))

	data, err := json.Marshal(p)
	require.NoError(t, err)
	require.NotContains(t, string(data), "s3cr3t")

	images := c.images()
	require.Len(t, images, 2)
	require.Equal(t, "linux/arm64", images[1].ID)
	require.Equal(t, c.built[1].config, images[1].Config)
}

// With SOURCE_DATE_EPOCH, the provenance holds no wall time.
func TestProvenanceWithAnEpoch(t *testing.T) {
	b, c := prepared(t, newGateway(t, dockerfile, "build-arg:SOURCE_DATE_EPOCH=1000000000", "build-arg:PLOMB_SCRUB=off", "build-arg:PLOMB_LAYERS=squash"))
	require.NoError(t, b.resolveSources(t.Context()))
	p, err := b.provenance(c, "x")
	require.NoError(t, err)
	require.Nil(t, p.RunDetails.Metadata.StartedOn)
	require.Nil(t, p.RunDetails.Metadata.FinishedOn)
	require.EqualValues(t, 1000000000, *p.BuildDefinition.InternalParameters.Sealing.SourceDateEpoch)
	require.Equal(t, "squash", p.BuildDefinition.InternalParameters.Sealing.Layers)
	require.Equal(t, "off", p.BuildDefinition.InternalParameters.Sealing.Scrub)
}

func TestCollectionWithoutPlatforms(t *testing.T) {
	_, c := prepared(t, newGateway(t, "FROM base"))
	require.Len(t, c.targets, 1)
	require.NotEqual(t, ocispecs.Platform{}, c.targets[0])
	require.Empty(t, c.scrubbed())
}
