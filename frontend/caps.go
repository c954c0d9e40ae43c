// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"fmt"
	"strings"

	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"
)

// capabilities are those of BuildKit's Dockerfile frontend, whose libraries
// plomb is built with.
var capabilities = map[string]bool{
	"moby.buildkit.frontend.inputs":         true,
	"moby.buildkit.frontend.subrequests":    true,
	"moby.buildkit.frontend.contexts":       true,
	"moby.buildkit.frontend.contexts.zstd":  true,
	"moby.buildkit.frontend.gitquerystring": true,
}

// checkCaps refuses a build that needs what plomb cannot do. The suffix
// +forward is for frontends that hand builds on to another one; plomb is the
// last in line.
func checkCaps(requested string) error {
	if requested == "" {
		return nil
	}
	for c := range strings.SplitSeq(requested, ",") {
		name, _, _ := strings.Cut(c, "+")
		if !capabilities[name] {
			// Clients know this one by its type.
			err := grpcerrors.WrapCode(errdefs.NewUnsupportedFrontendCapError(name), codes.Unimplemented)
			return fmt.Errorf("%w: %w: use a newer plomb frontend in the # syntax line", errCaps, err)
		}
	}
	return nil
}
