// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"
	"net/http"
	"regexp"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/pkg/reference"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// tagShape is what a tag may be
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests).
var tagShape = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// Referrers implements Location.
func (r *Registry) Referrers(ctx context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error) {
	ctx = quiet(ctx)
	f, err := r.resolver.Fetcher(ctx, r.ref)
	if err != nil {
		return nil, r.translate(ctx, err)
	}
	fetcher, ok := f.(remotes.ReferrersFetcher)
	if !ok {
		return nil, nil
	}
	list, err := fetcher.FetchReferrers(ctx, dgst)
	switch status := r.referrers.Load(); status {
	case 0, http.StatusOK, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
		if err != nil {
			return nil, r.translate(ctx, err)
		}
		return list, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("%w: it answers %d to a request for referrers", ErrAccess, status)
	default:
		return nil, fmt.Errorf("%w: it answers %d to a request for referrers", ErrUnreachable, status)
	}
}

// Tagged implements Location.
func (r *Registry) Tagged(ctx context.Context, tag string) (digest.Digest, error) {
	if !tagShape.MatchString(tag) {
		return "", fmt.Errorf("%w: %q is not a tag", ErrReference, tag)
	}
	spec, err := reference.Parse(r.ref)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", ErrReference, r.ref, err)
	}
	_, desc, err := r.resolver.Resolve(quiet(ctx), spec.Locator+":"+tag)
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", r.translate(ctx, err)
	}
	return desc.Digest, nil
}
