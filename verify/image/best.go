// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/internal/document"
)

// OpenBest opens the image dgst and returns the one manifest that a node of
// the platform would run. matcher nil is this machine's platform. Errors are
// those of Open.
func OpenBest(ctx context.Context, store document.Store, dgst digest.Digest, matcher platforms.Matcher) (Manifest, error) {
	if matcher == nil {
		matcher = platforms.Default()
	}
	img, err := Open(ctx, store, dgst, matcher, MaxForNode)
	if err != nil {
		return Manifest{}, err
	}
	best := img.Manifests[0]
	if order, ok := matcher.(platforms.MatchComparer); ok {
		for _, m := range img.Manifests[1:] {
			if order.Less(m.Platform, best.Platform) {
				best = m
			}
		}
	}
	return best, nil
}
