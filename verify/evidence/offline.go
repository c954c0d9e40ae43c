// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify/internal/document"
)

// Offline is a location without a network: it holds nothing. A policy that can
// be decided from the name and the digest alone still can be.
type Offline struct{}

var _ Location = Offline{}

// Open fails with ErrOffline.
func (Offline) Open(_ context.Context, kind document.Kind, dgst digest.Digest) (io.ReadCloser, error) {
	return nil, fmt.Errorf("%w: %s %s would have to be fetched; give the image as oci-layout:DIR, or allow the network", ErrOffline, kind, dgst)
}

// Referrers fails with ErrOffline.
func (Offline) Referrers(_ context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error) {
	return nil, fmt.Errorf("%w: the referrers of %s would have to be listed; give the image as oci-layout:DIR, or allow the network", ErrOffline, dgst)
}

// Tagged fails with ErrOffline.
func (Offline) Tagged(_ context.Context, tag string) (digest.Digest, error) {
	return "", fmt.Errorf("%w: tag %s would have to be looked up; give the image as oci-layout:DIR, or allow the network", ErrOffline, tag)
}

// Requests is always 0.
func (Offline) Requests() int { return 0 }
