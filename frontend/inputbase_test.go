// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"encoding/json"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/foretell"
)

// Only a config that knows every layer of the input, as plomb's does, says
// where the input ends.
func TestWholeConfigOfAnInput(t *testing.T) {
	a, b := digest.FromString("a"), digest.FromString("b")
	config := func(history int, ids ...digest.Digest) *dockerspec.DockerOCIImage {
		return &dockerspec.DockerOCIImage{Image: ocispecs.Image{
			History: make([]ocispecs.History, history),
			RootFS:  ocispecs.RootFS{Type: "layers", DiffIDs: ids},
		}}
	}
	for name, tc := range map[string]struct {
		input *dockerspec.DockerOCIImage
		image *dockerspec.DockerOCIImage
		want  bool
	}{
		"whole":                         {config(2, a, b), config(3, a, b), true},
		"layers that are not known yet": {config(2, a), config(3, a), false},
		"layers of another image":       {config(2, a, b), config(3, a, a), false},
		"no layers":                     {config(0), config(1), false},
	} {
		t.Run(name, func(t *testing.T) {
			dt, err := json.Marshal(tc.input)
			require.NoError(t, err)
			metadata, err := json.Marshal(map[string][]byte{exptypes.ExporterImageConfigKey: dt})
			require.NoError(t, err)
			require.Equal(t, tc.want, wholeConfig(string(metadata), foretell.Image{Config: tc.image}))
		})
	}
	for _, broken := range []string{"", "{}", "[]", `{"containerimage.config":"e30="}`, `{"containerimage.config":"eA=="}`} {
		require.False(t, wholeConfig(broken, foretell.Image{Config: config(1, a)}), broken)
	}
}

func TestOutputOfAState(t *testing.T) {
	base := llb.Image("example.com/base")
	one, err := outputOf(t.Context(), base)
	require.NoError(t, err)
	same, err := outputOf(t.Context(), llb.Image("example.com/base"))
	require.NoError(t, err)
	require.True(t, proto.Equal(one, same))
	run, err := outputOf(t.Context(), base.Run(llb.Shlex("true")).Root())
	require.NoError(t, err)
	require.False(t, proto.Equal(one, run))
	scratch, err := outputOf(t.Context(), llb.Scratch())
	require.NoError(t, err)
	require.Nil(t, scratch)
}
