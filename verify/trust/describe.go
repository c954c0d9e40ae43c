// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
)

// A Claim is what an unverified bundle says of itself: to show, never to judge.
type Claim struct {
	// Signer is who the certificate names. For a bare key it has the key's ID,
	// where the bundle's hint has that form.
	Signer Signer
	// Keyed: it was signed with a bare key, at which Hint points.
	Keyed bool
	Hint  string
	// Payload and PayloadType are those of the envelope, empty for a signature
	// over a message, of which Digest is then the hash, if the bundle has it.
	Payload     []byte
	PayloadType string
	Digest      digest.Digest
	// IssuedAt is when the certificate was issued, which for keyless signing is
	// within minutes of the signature; zero for a bare key.
	IssuedAt time.Time
}

// DescribeUnverified reads a bundle without verifying anything.
func DescribeUnverified(data []byte) (*Claim, error) {
	p, err := parseBundle(data)
	if err != nil {
		return nil, err
	}
	c := &Claim{Payload: p.GetDsseEnvelope().GetPayload(), PayloadType: p.GetDsseEnvelope().GetPayloadType()}
	if stated := p.GetMessageSignature().GetMessageDigest(); len(stated.GetDigest()) > 0 {
		algorithm, err := algorithmOf(stated.GetAlgorithm())
		if err != nil {
			return nil, err
		}
		c.Digest = digest.NewDigestFromBytes(algorithm, stated.GetDigest())
	}
	if p.certificate == nil {
		c.Keyed, c.Hint = true, p.hint
		c.Signer.Key = hinted(p.hint)
		return c, nil
	}
	if c.Signer, err = signerOf(p.certificate); err != nil {
		return nil, fmt.Errorf("%w: certificate: %w", ErrBundle, err)
	}
	c.IssuedAt = p.certificate.NotBefore.UTC()
	return c, nil
}

// hinted is the ID of the key that a hint means, empty if it has another form.
// cosign and sigstore-go hint with the SHA-256 of the public key, in base64.
func hinted(hint string) digest.Digest {
	sum, err := base64.StdEncoding.DecodeString(hint)
	if err != nil || len(sum) != digest.SHA256.Size() {
		return ""
	}
	return digest.NewDigestFromBytes(digest.SHA256, sum)
}
