// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"context"
	"errors"

	"github.com/sigstore/sigstore-go/pkg/sign"
)

// certificates gives a Fulcio client the words of a service for what its
// transport cannot see: an answer that is no certificate.
type certificates struct {
	service   *service
	authority sign.CertificateProvider
}

// GetCertificate implements sign.CertificateProvider.
func (c certificates) GetCertificate(ctx context.Context, k sign.Keypair, opts *sign.CertificateProviderOptions) ([]byte, error) {
	cert, err := c.authority.GetCertificate(ctx, k, opts)
	var failed *serviceError
	if err != nil && !errors.As(err, &failed) {
		return nil, c.service.failure(err)
	}
	return cert, err
}
