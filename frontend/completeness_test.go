// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/slsa"
)

// closed reaches nothing that is not in the build graph.
const closed = "FROM base AS a\nRUN --network=none make\nFROM base\nCOPY --from=a /x /x\nCOPY y /y\n"

func TestCompleteness(t *testing.T) {
	step := func(name string, line int) []slsa.Step {
		return []slsa.Step{{Name: name, File: "Dockerfile", Line: line}}
	}
	for name, row := range map[string]struct {
		dockerfile string
		opts       []string
		want       []slsa.Gap
	}{
		"nothing open":          {closed, nil, nil},
		"no network by option":  {"FROM base\nRUN make\n", []string{"force-network-mode=none"}, nil},
		"the network":           {"FROM base\nRUN --network=none true\n\nRUN apt-get\n", nil, []slsa.Gap{{Kind: slsa.GapNetwork, Name: "sandbox", Steps: step("[3/3] RUN", 4)}}},
		"in an earlier stage":   {"FROM base AS dep\nRUN true\nFROM base\nCOPY --from=dep / /\n", nil, []slsa.Gap{{Kind: slsa.GapNetwork, Name: "sandbox", Steps: step("[dep 2/2] RUN", 2)}}},
		"not in an unused one":  {"FROM base AS dep\nRUN true\nFROM base\nCOPY y /y\n", nil, nil},
		"the host's network":    {"FROM base\nRUN true\n", []string{"force-network-mode=host"}, []slsa.Gap{{Kind: slsa.GapNetwork, Name: "host", Steps: step("[2/2] RUN", 2)}}},
		"a cache":               {"FROM base\nRUN --network=none --mount=type=cache,target=/c true\n", nil, []slsa.Gap{{Kind: slsa.GapCacheMount, Name: "/c", Steps: step("[stage-0 2/2] RUN", 2)}}},
		"a secret":              {"FROM base\nRUN --network=none --mount=type=secret,id=npm true\n", nil, []slsa.Gap{{Kind: slsa.GapSecret, Name: "npm", Steps: step("[stage-0 2/2] RUN", 2)}}},
		"an agent":              {"FROM base\nRUN --network=none --mount=type=ssh true\n", nil, []slsa.Gap{{Kind: slsa.GapSSH, Name: "default", Steps: step("[stage-0 2/2] RUN", 2)}}},
		"no isolation":          {"# syntax=x:labs\nFROM base\nRUN --network=none --security=insecure true\n", nil, []slsa.Gap{{Kind: slsa.GapPrivileged, Steps: step("[2/2] RUN", 3)}}},
		"a cache of the client": {closed, []string{"cache-from=example.com/app:cache"}, []slsa.Gap{{Kind: slsa.GapCacheImport, Name: "registry example.com/app:cache"}}},
		"caches with credentials": {closed, []string{`cache-imports=[{"Type":"s3","Attrs":{"secret_access_key":"s3cr3t"}},{"Type":"registry","Attrs":{"ref":"https://u:s3cr3t@example.com/c"}}]`},
			[]slsa.Gap{{Kind: slsa.GapCacheImport, Name: "registry https://example.com/c"}, {Kind: slsa.GapCacheImport, Name: "s3"}}},
		"a masked argument": {closed, []string{"build-arg:NPM_TOKEN=x"}, []slsa.Gap{{Kind: slsa.GapParameter, Name: "args.NPM_TOKEN"}}},
		"an unpinned URL":   {closed + "ADD https://example.com/f /f\n", nil, []slsa.Gap{{Kind: slsa.GapDependency, Name: "https://example.com/f"}}},
		"a pinned URL":      {closed + "ADD --checksum=sha256:1111111111111111111111111111111111111111111111111111111111111111 https://example.com/f /f\n", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := provenanceOf(t, newGateway(t, row.dockerfile, row.opts...))
			got := p.BuildDefinition.InternalParameters.Completeness
			require.Equal(t, row.want, got.Gaps)
			require.Equal(t, len(row.want) == 0, got.Complete)
		})
	}
}

// What another build hands in is told of as such, even where it takes the
// place of the main context without a word in the options.
func TestInputsAreGaps(t *testing.T) {
	g := newGateway(t, closed)
	b, c := prepared(t, g)
	require.NoError(t, b.resolveSources(t.Context()))
	b.sources.inputs = map[string]bool{"dockerfile": true, "other": true}
	b.sources.contexts["x"] = slsa.Context{Kind: slsa.ContextInput, URI: "other"}
	p, err := b.provenance(c, "x")
	require.NoError(t, err)
	require.Equal(t, &slsa.Completeness{Gaps: []slsa.Gap{{Kind: slsa.GapInput, Name: "dockerfile"}, {Kind: slsa.GapInput, Name: "other"}}},
		p.BuildDefinition.InternalParameters.Completeness)
	require.Equal(t, slsa.ContextInput, p.BuildDefinition.ExternalParameters.Dockerfile.From)
}

// A frontend whose digest BuildKit does not tell, as v0.26 may not, is a gap.
func TestUnpinnedFrontendIsAGap(t *testing.T) {
	b, c := prepared(t, newGateway(t, closed))
	require.NoError(t, b.resolveSources(t.Context()))
	for name, want := range map[string]slsa.Gap{
		"docker-image://example.com/plomb:v1": {Kind: slsa.GapDependency, Name: "pkg:docker/example.com/plomb@v1"},
		"":                                    {Kind: slsa.GapDependency, Name: "frontend"},
	} {
		b.self.name = name
		p, err := b.provenance(c, "x")
		require.NoError(t, err)
		require.Contains(t, p.BuildDefinition.InternalParameters.Completeness.Gaps, want)
		require.False(t, p.BuildDefinition.InternalParameters.Completeness.Complete)
	}
}

// The Dockerfile of a Git context is in no build graph: its repository is a
// dependency all the same, and once.
func TestContextOfTheDockerfileIsADependency(t *testing.T) {
	for _, dockerfile := range []string{"FROM base\n", "FROM base\nCOPY y /y\n"} {
		g := newGateway(t, dockerfile, "context=https://u:s3cr3t@example.com/repo.git#main", "dockerfilekey=dockerfile")
		b, c := prepared(t, g)
		g.opts["dockerfilekey"] = ""
		require.NoError(t, b.resolveSources(t.Context()))
		p, err := b.provenance(c, "x")
		require.NoError(t, err)
		require.Equal(t, slsa.ContextGit, p.BuildDefinition.ExternalParameters.Dockerfile.From)
		var found []slsa.ResourceDescriptor
		for _, d := range p.BuildDefinition.ResolvedDependencies {
			if d.Digest["gitCommit"] != "" {
				found = append(found, d)
			}
		}
		require.Equal(t, []slsa.ResourceDescriptor{{URI: "git://example.com/repo.git#main", Digest: p.BuildDefinition.ExternalParameters.Context.Digest}}, found)
	}
}
