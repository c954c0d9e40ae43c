// SPDX-License-Identifier: Apache-2.0

package attach_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/solver/result"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/attach"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
)

var update = flag.Bool("update", false, "write the golden files anew")

func image(platform string) attach.Image {
	p := platforms.Normalize(platforms.MustParse(platform))
	return attach.Image{ID: platforms.FormatAll(p), Platform: p, Config: digest.FromString(platform)}
}

func TestStatement(t *testing.T) {
	images := []attach.Image{image("linux/amd64"), image("linux/arm64"), image("linux/arm/v7")}
	got, err := attach.Statement(images, slsa.Provenance{
		BuildDefinition: slsa.BuildDefinition{BuildType: slsa.BuildType, ExternalParameters: slsa.ExternalParameters{Args: map[string]string{"B": "<&>", "A": "1"}}},
		RunDetails:      slsa.RunDetails{Builder: slsa.Builder{ID: "https://example.com/builder"}},
	})
	require.NoError(t, err)
	const golden = "testdata/statement.json"
	if *update {
		require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, strings.TrimSuffix(string(want), "\n"), string(got))

	// What the frontend writes, verify can read.
	s, err := provenance.ParseStatement(got)
	require.NoError(t, err)
	require.Equal(t, provenance.PredicateSLSA1, s.PredicateType)
	require.Len(t, s.Subject, 3)
	require.Equal(t, provenance.Subject{Name: "image-id", Digest: map[string]string{"sha256": images[2].Config.Encoded()}, Annotations: map[string]string{"platform": "linux/arm/v7"}}, s.Subject[2])
	// An exporter that encodes it anew must not change what was signed.
	again, err := json.Marshal(json.RawMessage(got))
	require.NoError(t, err)
	require.Equal(t, string(got), string(again))
}

// A gateway solves one definition, the one with the bundle's file.
type gateway struct {
	client.Client
	solved []*pb.Definition
	err    error
}

type reference struct{ client.Reference }

func (g *gateway) Solve(_ context.Context, req client.SolveRequest) (*client.Result, error) {
	g.solved = append(g.solved, req.Definition)
	res := client.NewResult()
	res.SetRef(reference{})
	return res, g.err
}

func TestBundle(t *testing.T) {
	bundle := []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`)
	for name, row := range map[string]struct {
		images []attach.Image
		multi  bool
		keys   []string
	}{
		"one platform": {[]attach.Image{image("linux/amd64")}, false,
			[]string{"annotation-manifest-descriptor.io.github.plombproject.bundle"}},
		"one platform, asked for as many": {[]attach.Image{image("linux/amd64")}, true,
			[]string{"annotation-manifest-descriptor[linux/amd64].io.github.plombproject.bundle"}},
		"many platforms": {[]attach.Image{image("linux/amd64"), image("linux/arm/v7")}, true,
			[]string{"annotation-manifest-descriptor[linux/amd64].io.github.plombproject.bundle", "annotation-manifest-descriptor[linux/arm/v7].io.github.plombproject.bundle"}},
	} {
		t.Run(name, func(t *testing.T) {
			g, res := &gateway{}, client.NewResult()
			require.NoError(t, attach.Bundle(t.Context(), g, res, row.images, row.multi, bundle))

			require.Len(t, res.Metadata, len(row.keys))
			for _, key := range row.keys {
				require.Contains(t, res.Metadata, key)
				decoded, err := base64.StdEncoding.DecodeString(string(res.Metadata[key]))
				require.NoError(t, err)
				require.Equal(t, string(bundle), string(decoded))
				parsed, ok, err := exptypes.ParseAnnotationKey(key)
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, provenance.BundleAnnotation, parsed.Key)
			}

			require.Len(t, res.Attestations, len(row.images))
			for _, img := range row.images {
				require.Len(t, res.Attestations[img.ID], 1, img.ID)
				require.Equal(t, client.Attestation{
					Kind: gwpb.AttestationKind_InToto,
					Ref:  reference{},
					Path: "plomb.sigstore.json",
					InToto: result.InTotoAttestation{
						PredicateType: "https://plombproject.github.io/embedded-bundle/v1",
						Subjects: []result.InTotoSubject{
							{Kind: gwpb.InTotoSubjectKind_Self},
							{Kind: gwpb.InTotoSubjectKind_Raw, Name: "image-id", Digest: []digest.Digest{img.Config}},
						},
					},
				}, res.Attestations[img.ID][0])
			}
			require.Equal(t, bundle, fileIn(t, g, "/plomb.sigstore.json"))
		})
	}
}

// fileIn returns the content that the only solved definition puts at path.
func fileIn(t *testing.T, g *gateway, path string) []byte {
	require.Len(t, g.solved, 1, "all platforms share one file")
	for _, dt := range g.solved[0].Def {
		var op pb.Op
		require.NoError(t, proto.Unmarshal(dt, &op))
		for _, a := range op.GetFile().GetActions() {
			if mk := a.GetMkfile(); mk != nil && mk.Path == path {
				require.EqualValues(t, -1, a.Input, "on scratch")
				return mk.Data
			}
		}
	}
	t.Fatalf("no file %s", path)
	return nil
}

func TestBundleFailsWithTheBuild(t *testing.T) {
	g, res := &gateway{err: errors.New("out of space")}, client.NewResult()
	err := attach.Bundle(t.Context(), g, res, []attach.Image{image("linux/amd64")}, false, []byte("{}"))
	require.ErrorContains(t, err, "put the bundle into the build: out of space")
	require.Empty(t, res.Attestations)
	require.Empty(t, res.Metadata)
}
