// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/policy/spec"
)

// key reads the keys of a keyed authority. The step that verifies parses them
// once more; here their fingerprints are taken, so that a claim by any other
// key is refused whoever made it.
func (c *compiler) key(s *spec.Key) (*KeyTrust, []digest.Digest) {
	keys, err := fingerprints(s.Data)
	if err != nil {
		c.fault(s.At, "key.data: %v", err)
	}
	return &KeyTrust{PEM: s.Data, Hash: c.hash(s)}, keys
}

// hash reads key.hashAlgorithm as policy-controller does: whatever its case.
func (c *compiler) hash(s *spec.Key) string {
	hash := strings.ToLower(strings.TrimSpace(s.HashAlgorithm))
	switch {
	case hash == "":
		// The trust step then takes SHA-256, which is policy-controller's
		// default, or the hash that goes with the curve, as cosign signs.
	case hash == "sha224":
		c.faults = append(c.faults, fmt.Errorf("%w: %s: key.hashAlgorithm sha224 is too short: sign with sha256", ErrUnsupported, s.At))
	case !slices.Contains([]string{"sha256", "sha384", "sha512"}, hash):
		c.fault(s.At, "key.hashAlgorithm is %q, want sha256, sha384 or sha512", s.HashAlgorithm)
	}
	return hash
}

// fingerprints are the SHA-256 of the SubjectPublicKeyInfo of each key.
func fingerprints(data string) ([]digest.Digest, error) {
	var prints []digest.Digest
	rest := []byte(data)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		spki := block.Bytes
		switch block.Type {
		case "PUBLIC KEY":
		case "RSA PUBLIC KEY":
			key, err := x509.ParsePKCS1PublicKey(block.Bytes)
			if err != nil {
				return nil, err
			}
			if spki, err = x509.MarshalPKIXPublicKey(key); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("a PEM block of type %q, want PUBLIC KEY", block.Type)
		}
		if _, err := x509.ParsePKIXPublicKey(spki); err != nil {
			return nil, err
		}
		prints = append(prints, digest.FromBytes(spki))
	}
	if text := strings.TrimSpace(string(rest)); text != "" {
		return nil, fmt.Errorf("%d bytes that are no PEM", len(text))
	}
	if len(prints) == 0 {
		return nil, fmt.Errorf("no public key in PEM")
	}
	return prints, nil
}

// caCert checks keyless.ca-cert.
func (c *compiler) caCert(s *spec.Key) {
	if s.HashAlgorithm != "" {
		c.fault(s.At, "hashAlgorithm means nothing for ca-cert: a certificate says which it is")
	}
	rest, n := []byte(s.Data), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			c.fault(s.At, "ca-cert.data: PEM block %d is no certificate", n+1)
		}
		n++
	}
	if n == 0 || strings.TrimSpace(string(rest)) != "" {
		c.fault(s.At, "ca-cert.data must be certificates in PEM")
	}
}
