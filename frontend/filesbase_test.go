// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"testing"

	"github.com/moby/buildkit/client/llb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/frontend/foretell"
	"github.com/plombproject/plomb/frontend/lineage"
)

func TestFilesAsBaseAreALayer(t *testing.T) {
	for source, layers := range map[string]int{
		"":                                 1,
		"docker-image://example.com/a@b":   1,
		"oci-layout://store@sha256:0":      1,
		"local://context":                  2,
		"git://example.com/repo.git":       2,
		"https://example.com/files.tar.gz": 2,
	} {
		t.Run(source, func(t *testing.T) {
			line := &lineage.Lineage{Base: llb.Local("context"), BaseSource: source, Steps: []lineage.Step{{Kind: lineage.Exec}}}
			image := foretell.Image{Config: &dockerspec.DockerOCIImage{Image: ocispecs.Image{History: []ocispecs.History{{CreatedBy: "RUN"}}}}}
			filesAsLayer(line, image)
			require.Len(t, line.Steps, layers)
			require.Equal(t, layers, image.NewLayers())
			require.Equal(t, "RUN", image.Config.History[layers-1].CreatedBy)
			require.Equal(t, layers == 2 || source == "", line.BaseSource == "")
		})
	}
}

func TestInlineCacheIsRefused(t *testing.T) {
	for value, refused := range map[string]bool{"1": true, "true": true, "0": false, "": false, "false": false} {
		err := refuseInlineCache(map[string]string{"BUILDKIT_INLINE_CACHE": value})
		if !refused {
			require.NoError(t, err, value)
			continue
		}
		require.ErrorIs(t, err, ErrInlineCache, value)
		require.ErrorContains(t, err, "type=registry", value)
	}
}
