// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/solver/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/foretell"
	"github.com/plombproject/plomb/frontend/lineage"
)

// inputSource is the BaseSource of a lineage that starts from another build.
const inputSource = "input (another target of the same build)"

// Options in which the client describes the inputs of a build.
const (
	contextOption  = "context:"
	inputScheme    = "input:"
	metadataOption = "input-metadata:"
)

// startAtInput cuts the lineage where another target of the same build ends,
// as bake's `target:` contexts bring it: its steps are layers already, sealed
// if plomb built it, and the config knows their digests. It looks only where
// lineage and history disagree, and cuts only where that settles it.
func (b *build) startAtInput(ctx context.Context, line *lineage.Lineage, image foretell.Image) error {
	told := image.NewLayers()
	if told < 0 || told >= len(line.Steps) {
		return nil
	}
	cut := len(line.Steps) - told // so many steps belong to the input
	at, err := outputOf(ctx, line.Steps[cut-1].State)
	if err != nil {
		return err
	}
	opts := b.gateway.BuildOpts().Opts
	inputs := map[string]llb.State{}
	for key, value := range opts {
		name, isInput := strings.CutPrefix(value, inputScheme)
		if !isInput || !strings.HasPrefix(key, contextOption) || !wholeConfig(opts[metadataOption+name], image) {
			continue
		}
		if len(inputs) == 0 {
			if inputs, err = b.gateway.Inputs(ctx); err != nil {
				return fmt.Errorf("read the inputs of the build: %w", err)
			}
		}
		input, ok := inputs[name]
		if !ok {
			continue
		}
		end, err := outputOf(ctx, input)
		if err != nil {
			return err
		}
		if end != nil && proto.Equal(end, at) {
			line.Base, line.BaseSource = line.Steps[cut-1].State, inputSource
			line.Steps = line.Steps[cut:]
			return nil
		}
	}
	return nil
}

// wholeConfig tells whether an input's config knows all layers of the input,
// and they are those on which the image stands.
func wholeConfig(metadata string, image foretell.Image) bool {
	var m map[string][]byte
	if json.Unmarshal([]byte(metadata), &m) != nil {
		return false
	}
	var config dockerspec.DockerOCIImage
	if json.Unmarshal(m[exptypes.ExporterImageConfigKey], &config) != nil {
		return false
	}
	ids := config.RootFS.DiffIDs
	return len(ids) > 0 && slices.Equal(ids, image.Config.RootFS.DiffIDs) &&
		foretell.Image{Config: &config}.NewLayers() == 0
}

// outputOf is the output of an operation that a state stands for, nil for scratch.
func outputOf(ctx context.Context, s llb.State) (*pb.Input, error) {
	def, err := s.Marshal(ctx)
	if err != nil || len(def.Def) == 0 {
		return nil, err
	}
	var op pb.Op
	if err := proto.Unmarshal(def.Def[len(def.Def)-1], &op); err != nil {
		return nil, fmt.Errorf("read the build graph: %w", err)
	}
	if len(op.Inputs) != 1 {
		return nil, nil
	}
	return op.Inputs[0], nil
}
