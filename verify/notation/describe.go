// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Claim is what an envelope says of itself. Its certificate has signed it;
// whether anybody trusts that certificate has not been looked at: to show,
// never to judge.
type Claim struct {
	Target ocispec.Descriptor
	// X509 is the name in the certificate.
	X509 string
	// SigningTime is what the signer says.
	SigningTime time.Time
}

// DescribeUnverified reads an envelope without asking who is trusted.
func DescribeUnverified(envelope []byte, mediaType string) (*Claim, error) {
	content, err := open(envelope, mediaType)
	if err != nil {
		return nil, err
	}
	target, err := targetOf(content.Payload)
	if err != nil {
		return nil, err
	}
	return &Claim{
		Target: target, X509: content.SignerInfo.CertificateChain[0].Subject.String(),
		SigningTime: content.SignerInfo.SignedAttributes.SigningTime.UTC(),
	}, nil
}
