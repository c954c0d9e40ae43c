// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/basesbom"
	"github.com/plombproject/plomb/frontend/internal/output"
	"github.com/plombproject/plomb/frontend/lineage"
	"github.com/plombproject/plomb/provenance/sbom"
)

// baseDocument finds the SBOM that the base image brings, nil if there is none
// or it cannot be read: a document that refers to nothing is still true.
func (b *build) baseDocument(ctx context.Context, source string, platform ocispecs.Platform) (*sbom.Document, error) {
	name, ok := strings.CutPrefix(source, lineage.ImageScheme)
	caps := b.gateway.BuildOpts().LLBCaps
	// BuildKit reads with its own credentials and mirrors, and keeps what it
	// has read. Versions before this capability could not.
	if !ok || b.options.SBOM == SBOMOff || caps.Supports(pb.CapSourceImageBlob) != nil {
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
	doc, err := basesbom.Find(ctx, b.blobsOf(pinned), pinned.Digest(), platform)
	if errors.Is(err, basesbom.ErrMalformed) || err != nil && ctx.Err() == nil {
		warn(ctx, b.source, "BaseSBOM", fmt.Sprintf("the SBOM of the base image %s cannot be read, and is not referred to: %v", name, err))
		return nil, nil
	}
	return doc, err
}

// blobsOf reads the content of an image's repository through BuildKit.
func (b *build) blobsOf(image reference.Canonical) basesbom.Reader {
	const filename = "blob"
	return func(ctx context.Context, dgst digest.Digest, limit int64) ([]byte, error) {
		ref, err := reference.WithDigest(reference.TrimNamed(image), dgst)
		if err != nil {
			return nil, err
		}
		graph, err := llb.ImageBlob(ref.String(), llb.Filename(filename),
			llb.WithCustomName("[plomb] look for the SBOM of the base image")).Marshal(ctx)
		if err != nil {
			return nil, err
		}
		found, err := output.Solve(ctx, b.gateway, graph, nil)
		if err != nil {
			return nil, err
		}
		return output.Read(ctx, found, filename, limit)
	}
}
