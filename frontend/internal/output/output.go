// SPDX-License-Identifier: Apache-2.0

// Package output gets what a helper wrote in its build container, through
// BuildKit's gateway, bounded and in pieces that fit its messages.
package output

import (
	"context"
	"fmt"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
)

// piece is how many bytes are asked for at once. Messages to and from BuildKit
// end at 16 MiB, which is gRPC's limit as containerd's defaults set it.
const piece = 8 << 20

// Solve runs what graph needs, unless the cache has it, and returns its result.
func Solve(ctx context.Context, c client.Client, graph *llb.Definition, cache []client.CacheOptionsEntry) (client.Reference, error) {
	res, err := c.Solve(ctx, client.SolveRequest{Definition: graph.ToPB(), CacheImports: cache})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}

// Read returns the file name of a result, which may have limit bytes at most.
func Read(ctx context.Context, ref client.Reference, name string, limit int64) ([]byte, error) {
	stat, err := ref.StatFile(ctx, client.StatRequest{Path: name})
	if err != nil {
		return nil, fmt.Errorf("find the helper's report %s: %w", name, err)
	}
	if stat.Size > limit {
		return nil, fmt.Errorf("the helper's report %s has %d bytes, more than the %d allowed", name, stat.Size, limit)
	}
	if stat.Size <= piece {
		data, err := ref.ReadFile(ctx, client.ReadRequest{Filename: name})
		if err != nil {
			return nil, fmt.Errorf("read the helper's report %s: %w", name, err)
		}
		return data, nil
	}
	data := make([]byte, 0, stat.Size)
	for int64(len(data)) < stat.Size {
		part, err := ref.ReadFile(ctx, client.ReadRequest{Filename: name, Range: &client.FileRange{Offset: len(data), Length: piece}})
		if err != nil {
			return nil, fmt.Errorf("read the helper's report %s: %w", name, err)
		}
		if len(part) == 0 {
			return nil, fmt.Errorf("the helper's report %s ends after %d of %d bytes", name, len(data), stat.Size)
		}
		data = append(data, part...)
	}
	return data, nil
}
