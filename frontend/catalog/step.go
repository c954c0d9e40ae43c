// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"context"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/internal/output"
	"github.com/plombproject/plomb/provenance/sbom"
)

// A Helper is the image that carries this package's binary.
type Helper struct {
	Image    llb.State
	Binary   string            // its path in the image
	Platform ocispecs.Platform // where the helper runs, whatever the target is
}

// unhashed has BuildKit find a step in its cache by what made its inputs, as
// frontend/seal does and for the same reason.
var unhashed = llb.ContentCache(llb.MountContentCacheOff)

// Root puts a look at a whole root filesystem into the build graph, and returns
// the state with its report.
func (h Helper) Root(root llb.State, level Level, name string) llb.State {
	run := h.Image.Run(
		llb.Args([]string{h.Binary, Command, "--level", string(level)}),
		llb.Network(llb.NetModeNone),
		llb.Platform(h.Platform),
		llb.ReadonlyRootFS(),
		llb.AddMount(RootDir, root, llb.Readonly, unhashed),
		llb.WithCustomName("[plomb] catalogue "+name),
	)
	return run.AddMount(ReportDir, llb.Scratch())
}

// Read reads the report that a look left in a result.
func Read(ctx context.Context, ref client.Reference) (*sbom.Report, error) {
	data, err := output.Read(ctx, ref, ReportFile, MaxReport)
	if err != nil {
		return nil, err
	}
	return ReadReport(data)
}
