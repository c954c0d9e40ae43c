// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"

	"github.com/moby/buildkit/frontend/gateway/client"

	"github.com/plombproject/plomb/frontend/materials"
)

// discreet is a BuildKit that is not told the users and passwords of URLs in
// the names of steps, which it prints. dockerui names a Git context as the
// client gave it. A name has no part in what a step does or is known by.
type discreet struct{ client.Client }

// Solve implements client.Client.
func (d discreet) Solve(ctx context.Context, req client.SolveRequest) (*client.Result, error) {
	materials.HideUsers(req.Definition)
	return d.Client.Solve(ctx, req)
}
