// SPDX-License-Identifier: Apache-2.0

package lineage_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/lineage"
)

// registry answers for every image with the same config of two layers.
type registry struct{}

func (registry) ResolveSourceMetadata(_ context.Context, op *pb.SourceOp, _ sourceresolver.Opt) (*sourceresolver.MetaResponse, error) {
	config, err := json.Marshal(ocispecs.Image{
		Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		RootFS:   ocispecs.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("1"), digest.FromString("2")}},
		History:  []ocispecs.History{{CreatedBy: "ADD"}, {CreatedBy: "CMD", EmptyLayer: true}, {CreatedBy: "RUN"}},
	})
	return &sourceresolver.MetaResponse{Op: op, Image: &sourceresolver.ResolveImageResponse{Digest: digest.FromString("manifest"), Config: config}}, err
}

// The layers that a Dockerfile's history tells of are the steps that its graph
// has: the seal relies on it.
func TestOfDockerfiles(t *testing.T) {
	for name, row := range map[string]struct {
		dockerfile string
		kinds      []lineage.Kind
	}{
		"only a base":           {"FROM base", nil},
		"only settings":         {"FROM base\nENV A=b\nLABEL c=d\nUSER nobody\nVOLUME /data\nEXPOSE 80\nCMD [\"x\"]\n", nil},
		"scratch":               {"FROM scratch\nCOPY a /\nCOPY b c /d/\n", []lineage.Kind{"file", "file"}},
		"a stage on a stage":    {"FROM base AS one\nRUN 1\nFROM one\nRUN 2\nENV A=b\nRUN 3\n", []lineage.Kind{"exec", "exec", "exec"}},
		"a stage beside":        {"FROM base AS one\nRUN 1\nFROM base\nCOPY --from=one /a /b\nCOPY --from=other /a /c\n", []lineage.Kind{"file", "file"}},
		"links":                 {"FROM base\nCOPY --link a /\nRUN 1\nADD --link b /c/\n", []lineage.Kind{"merge", "exec", "merge"}},
		"links on scratch":      {"FROM scratch\nCOPY --link a /\nCOPY --link b /\n", []lineage.Kind{"file", "merge"}},
		"owners, modes, here":   {"FROM base\nCOPY --chown=1:1 --chmod=755 a b /c/\nCOPY <<EOT /x\nhello\nEOT\nRUN <<EOT\nset -e\n1\nEOT\n", []lineage.Kind{"file", "file", "exec"}},
		"archives and URLs":     {"FROM base\nADD a.tar /\nADD https://example.com/x /y\nADD https://example.com/git/repo.git /z\n", []lineage.Kind{"file", "file", "file"}},
		"excludes and parents":  {"FROM base\nCOPY --exclude=*.md --parents a/b /c/\n", []lineage.Kind{"file"}},
		"working directories":   {"FROM base\nWORKDIR /a\nWORKDIR b\nRUN 1\n", []lineage.Kind{"file", "file", "exec"}},
		"all kinds of mounts":   {"FROM base\nRUN --mount=type=cache,target=/c --mount=type=secret,id=s --mount=type=ssh --mount=type=tmpfs,target=/t --mount=type=bind,from=other,target=/o --mount=type=bind,target=/ctx,rw 1\nRUN 2\n", []lineage.Kind{"exec", "exec"}},
		"network and security":  {"FROM base\nRUN --network=none 1\n", []lineage.Kind{"exec"}},
		"arguments and shells":  {"ARG V=1\nFROM base\nARG V\nSHELL [\"/bin/bash\",\"-c\"]\nRUN echo $V\nHEALTHCHECK CMD x\nSTOPSIGNAL 9\nONBUILD RUN y\n", []lineage.Kind{"exec"}},
		"an image by digest":    {"FROM base@sha256:" + digest.FromString("m").Encoded() + "\nRUN 1\n", []lineage.Kind{"exec"}},
		"many steps of one RUN": {"FROM base\nRUN 1 && \\\n  2 && \\\n  3\nRUN [\"x\", \"y\"]\n", []lineage.Kind{"exec", "exec"}},
	} {
		t.Run(name, func(t *testing.T) {
			platform := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
			caps := pb.Caps.CapSet(pb.Caps.All())
			res, err := dockerfile2llb.Dockerfile2LLB(t.Context(), []byte(row.dockerfile), dockerfile2llb.ConvertOpt{
				Config:         dockerui.Config{BuildPlatforms: []ocispecs.Platform{platform}},
				TargetPlatform: &platform,
				MetaResolver:   sourceresolver.NewImageMetaResolver(registry{}),
				LLBCaps:        &caps,
			})
			require.NoError(t, err)
			def, err := res.State.Marshal(t.Context())
			require.NoError(t, err)
			l, err := lineage.Of(def.ToPB())
			require.NoError(t, err)

			var kinds []lineage.Kind
			for _, step := range l.Steps {
				kinds = append(kinds, step.Kind)
				require.NotEmpty(t, step.Name)
			}
			require.Equal(t, row.kinds, kinds)
			told := 0
			for _, h := range res.Image.History {
				if !h.EmptyLayer {
					told++
				}
			}
			require.Equal(t, len(kinds), told-len(res.Image.RootFS.DiffIDs))
			if res.BaseImage == nil {
				require.Empty(t, l.BaseSource)
			} else {
				require.Contains(t, l.BaseSource, "docker-image://docker.io/library/base")
			}
		})
	}
}
