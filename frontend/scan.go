// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/attestations/sbom"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/result"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// scanner is the one that the client asked for with --sbom, nil for none. A
// scanner that cannot be had ends the build before its steps run.
func (b *build) scanner(ctx context.Context) (sbom.Scanner, error) {
	if b.ui.SBOM == nil {
		return nil, nil
	}
	on := b.ui.BuildPlatforms[0]
	return sbom.CreateSBOMScanner(ctx, b.gateway, b.ui.SBOM.Generator, on, sourceresolver.Opt{
		ImageOpt: &sourceresolver.ResolveImageOpt{
			ResolveMode: b.gateway.BuildOpts().Opts["image-resolve-mode"],
			Platform:    &on,
		},
	}, b.ui.SBOM.Parameters)
}

// scan adds what the scanner says of each platform to the result, as BuildKit's
// own frontend does. What is scanned is the sealed image, as it is exported.
func (b *build) scan(ctx context.Context, scanner sbom.Scanner, rb *dockerui.ResultBuilder, sealed *collection) error {
	if scanner == nil {
		return nil
	}
	return rb.EachPlatform(ctx, func(ctx context.Context, id string, p ocispecs.Platform) error {
		built := sealed.of(p)
		if built == nil {
			return fmt.Errorf("nothing to scan for %s", id)
		}
		var opts []llb.ConstraintsOpt
		if built.converted.IsIgnoreCache {
			opts = append(opts, llb.IgnoreCache)
		}
		scanned, err := scanner(ctx, id, built.state, built.converted.SBOM.Extras, opts...)
		if err != nil {
			return err
		}
		attestation, err := result.ConvertAttestation(&scanned, func(st *llb.State) (client.Reference, error) {
			def, err := st.Marshal(ctx)
			if err != nil {
				return nil, err
			}
			onceLocated(def.Source)
			res, err := b.gateway.Solve(ctx, client.SolveRequest{Definition: def.ToPB()})
			if err != nil {
				return nil, err
			}
			return res.Ref, nil
		})
		if err != nil {
			return err
		}
		rb.AddAttestation(id, *attestation)
		return nil
	})
}
