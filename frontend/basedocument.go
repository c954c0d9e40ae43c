// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/basesbom"
	"github.com/plombproject/plomb/frontend/internal/output"
	"github.com/plombproject/plomb/frontend/lineage"
	"github.com/plombproject/plomb/provenance/sbom"
)

// baseDocument finds the SBOM that the base image brings, nil if there is none.
// One that cannot be read ends no build: a document that refers to nothing is
// still true.
func (b *build) baseDocument(ctx context.Context, source string, platform ocispecs.Platform) (*sbom.Document, error) {
	name, ok := strings.CutPrefix(source, lineage.ImageScheme)
	if !ok || b.options.SBOM == SBOMOff {
		return nil, nil
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, fmt.Errorf("base image %q: %w", name, err)
	}
	pinned, ok := named.(reference.Canonical)
	if !ok {
		return nil, nil
	}
	doc, err := b.findDocument(ctx, pinned, platform)
	if err != nil && ctx.Err() == nil {
		warn(ctx, b.source, "BaseSBOM", fmt.Sprintf("whether the base image %s brings an SBOM cannot be told, so none is referred to: %v", name, err))
		return nil, nil
	}
	return doc, err
}

func (b *build) findDocument(ctx context.Context, image reference.Canonical, platform ocispecs.Platform) (*sbom.Document, error) {
	graph, err := b.self.baseFinder(b.ui.BuildPlatforms[0]).Find(image, platform).Marshal(ctx)
	if err != nil {
		return nil, err
	}
	ref, err := output.Solve(ctx, b.gateway, graph, b.ui.CacheImports)
	if err != nil {
		return nil, err
	}
	return basesbom.Read(ctx, ref)
}
