// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/foretell"
	"github.com/plombproject/plomb/frontend/lineage"
	"github.com/plombproject/plomb/frontend/seal"
)

// manifests foretells the image's manifest, if PLOMB_SUBJECTS=manifest asks for
// it. Where it cannot, the build goes on with a warning: the image ID, which is
// always signed, binds the same content.
func (b *build) manifests(ctx context.Context, c *chain, image foretell.Image, config []byte, reports []*seal.Report) ([]foretell.Manifest, error) {
	if !b.options.Manifests {
		return nil, nil
	}
	sealed := c.layers(reports)
	base, err := b.baseLayers(ctx, c.base, image.Config.Platform, len(image.Config.RootFS.DiffIDs)-len(sealed))
	if err != nil {
		return nil, b.noManifest(ctx, err)
	}
	var layers []ocispecs.Descriptor
	for _, r := range sealed {
		if r.Gzip == nil {
			return nil, errors.New("foretell the manifest: a layer was sealed without its compressed digest")
		}
		layers = append(layers, ocispecs.Descriptor{Digest: r.Gzip.Digest, Size: r.Gzip.Size})
	}
	manifests, err := foretell.Manifests(config, base, layers)
	if err != nil {
		return nil, b.noManifest(ctx, err)
	}
	return manifests, nil
}

// noManifest warns and goes on, except where the build was given up.
func (b *build) noManifest(ctx context.Context, reason error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	warn(ctx, b.source, "Manifest", fmt.Sprintf("the manifest cannot be foretold, so only the image ID is signed: %v", reason))
	return nil
}

// baseLayers are the compressed layers of the base, which only its manifest
// knows. BuildKit does not pass manifests on to frontends.
func (b *build) baseLayers(ctx context.Context, base string, platform ocispecs.Platform, count int) ([]ocispecs.Descriptor, error) {
	if base == "" {
		return nil, nil
	}
	name, ok := strings.CutPrefix(base, lineage.ImageScheme)
	if !ok || b.Images == nil {
		return nil, fmt.Errorf("the base %s is not in a registry", base)
	}
	layers, err := b.Images.Layers(ctx, name, platform)
	if err != nil {
		return nil, fmt.Errorf("read the base's manifest: %w", err)
	}
	if len(layers) != count {
		return nil, fmt.Errorf("the base's manifest lists %d layers, its config %d", len(layers), count)
	}
	return layers, nil
}
