// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	fstypes "github.com/tonistiigi/fsutil/types"
	"google.golang.org/protobuf/proto"
)

func TestAdd(t *testing.T) {
	h := Helper{Image: llb.Image("plomb"), Binary: "/bin/x", Platform: ocispecs.Platform{OS: "linux", Architecture: "arm64"}}
	for _, scrub := range []bool{true, false} {
		sealed := h.Add(Step{Lower: llb.Image("lower"), Upper: llb.Image("upper"), Parent: llb.Image("parent"), Name: "RUN x",
			Rules: Rules{Time: time.Unix(1234, 5e8), Scrub: scrub}})
		layer, err := sealed.State.Marshal(t.Context())
		require.NoError(t, err)
		report, err := sealed.Report().Marshal(t.Context())
		require.NoError(t, err)
		op := run(t, layer)
		require.True(t, proto.Equal(op, run(t, report)), "both are outputs of one run")
		require.Equal(t, []string{"/bin/x", "seal", "--time", "1234", "--scrub", map[bool]string{true: "on", false: "off"}[scrub]}, op.GetExec().Meta.Args)
		require.Equal(t, "arm64", op.Platform.Architecture)
		require.Equal(t, pb.NetMode_NONE, op.GetExec().Network)

		writable := map[string]bool{}
		for _, m := range op.GetExec().Mounts {
			require.Equal(t, pb.MountType_BIND, m.MountType)
			if m.Dest != pb.RootMount && m.Input != int64(pb.Empty) {
				require.Equal(t, pb.MountContentCache_OFF, m.ContentCache, "%s: the whole root filesystem would be read", m.Dest)
			}
			if !m.Readonly {
				writable[m.Dest] = true
			}
		}
		require.Equal(t, map[string]bool{OutDir: true, ReportDir: true}, writable)
	}
}

// run returns the only exec of a graph.
func run(t *testing.T, def *llb.Definition) *pb.Op {
	var found *pb.Op
	for _, dt := range def.Def {
		var op pb.Op
		require.NoError(t, proto.Unmarshal(dt, &op))
		if op.GetExec() != nil {
			require.Nil(t, found)
			found = &op
		}
	}
	require.NotNil(t, found)
	return found
}

// A gateway has run a helper that reported text.
type gateway struct {
	client.Reference
	text string
	size int64
}

func (g gateway) StatFile(_ context.Context, req client.StatRequest) (*fstypes.Stat, error) {
	if g.text == "" {
		return nil, os.ErrNotExist
	}
	return &fstypes.Stat{Path: req.Path, Size: max(g.size, int64(len(g.text)))}, nil
}

func (g gateway) ReadFile(context.Context, client.ReadRequest) ([]byte, error) {
	return []byte(g.text), nil
}

func TestReadReport(t *testing.T) {
	id := digest.FromString("layer")
	good := `{"diffID":"` + string(id) + `","size":1024,"changes":2,"scrubbed":[{"path":"/a","rule":"r"}]}`
	got, err := ReadReport(t.Context(), gateway{text: good})
	require.NoError(t, err)
	require.Equal(t, &Report{DiffID: id, Size: 1024, Changes: 2, Scrubbed: []Scrubbed{{"/a", "r"}}}, got)

	for name, row := range map[string]struct {
		g    gateway
		says string
	}{
		"no report":        {gateway{}, "find the helper's report"},
		"a huge one":       {gateway{text: good, size: maxReport + 1}, "more than the"},
		"half":             {gateway{text: good[:20]}, "EOF"},
		"of another shape": {gateway{text: strings.Replace(good, "changes", "changed", 1)}, "unknown field"},
		"no digest":        {gateway{text: `{"size":1}`}, "diffID"},
		"a bad digest":     {gateway{text: strings.Replace(good, "sha256:", "sha256:zz", 1)}, "diffID"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadReport(t.Context(), row.g)
			require.ErrorContains(t, err, row.says)
		})
	}
}
