// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerui"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A collection keeps what each platform came to, in the order in which the
// platforms were asked for.
type collection struct {
	targets []ocispecs.Platform
	built   []*sealedPlatform
}

func newCollection(ui *dockerui.Client) *collection {
	targets := ui.TargetPlatforms
	if len(targets) == 0 {
		targets = []ocispecs.Platform{platforms.DefaultSpec()}
	}
	return &collection{targets: targets, built: make([]*sealedPlatform, len(targets))}
}

// collect makes a dockerui.BuildFunc of build, which runs for all platforms at
// the same time. Each writes to a place of its own.
func (c *collection) collect(build func(context.Context, *ocispecs.Platform, int) (*sealedPlatform, error)) dockerui.BuildFunc {
	return func(ctx context.Context, platform *ocispecs.Platform, idx int) (*dockerui.BuildResult, error) {
		p, err := build(ctx, platform, idx)
		if err != nil {
			return nil, err
		}
		c.built[idx] = p
		return p.result, nil
	}
}

// of is what the platform came to, nil if it was not asked for.
func (c *collection) of(p ocispecs.Platform) *sealedPlatform {
	for i, target := range c.targets {
		if platforms.FormatAll(platforms.Normalize(target)) == platforms.FormatAll(platforms.Normalize(p)) {
			return c.built[i]
		}
	}
	return nil
}
