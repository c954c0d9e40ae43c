// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// ErrKey reports a key that is not signed with, or that does not sign.
var ErrKey = errors.New("unusable key")

// A Key is a private key that may be elsewhere.
type Key interface {
	Public() crypto.PublicKey
	// SignDigest signs sum, made with the hash that HashFor tells: ECDSA in
	// ASN.1, RSA as PKCS #1 v1.5, Ed25519 as Ed25519ph (RFC 8032, section 5.1).
	SignDigest(ctx context.Context, hash crypto.Hash, sum []byte) ([]byte, error)
}

// KeyBuilder is the start of the builder's URI where a key signs; the SHA-256
// of its SubjectPublicKeyInfo follows, in lower-case hex.
const KeyBuilder = "https://plombproject.github.io/builder/key/"

// RSA keys below are within reach of factoring, and verifiers refuse those
// above.
const minRSA, maxRSA = 2048, 8192

// HashFor is what a key signs with: SHA-256 for ECDSA on P-256 and RSA of 2048
// to 8192 bits, SHA-384 on P-384, SHA-512 on P-521 and for Ed25519. Any other
// key is refused with ErrKey.
func HashFor(public crypto.PublicKey) (crypto.Hash, error) {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		switch p.Curve {
		case elliptic.P256():
			return crypto.SHA256, nil
		case elliptic.P384():
			return crypto.SHA384, nil
		case elliptic.P521():
			return crypto.SHA512, nil
		}
		return 0, fmt.Errorf("%w: ECDSA on %s: use P-256, P-384 or P-521", ErrKey, p.Curve.Params().Name)
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits < minRSA || bits > maxRSA {
			return 0, fmt.Errorf("%w: RSA with %d bits: use %d to %d", ErrKey, bits, minRSA, maxRSA)
		}
		return crypto.SHA256, nil
	case ed25519.PublicKey:
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("%w: it is of an unknown kind: use ECDSA on P-256", ErrKey)
}

// Keyed is the identity of a key. Where s has no signing config, its signatures
// have neither log entry nor timestamp. Nothing is asked of a service yet.
func (s *Services) Keyed(key Key, now time.Time) (*Identity, error) {
	pair, err := newKeypair(key)
	if err != nil {
		return nil, err
	}
	var opts sign.BundleOptions
	if s.config != nil {
		if opts, err = s.witnesses(now); err != nil {
			return nil, err
		}
	}
	if err := pair.fitLogs(len(opts.TransparencyLogs)); err != nil {
		return nil, err
	}
	if opts.TrustedRoot, err = s.trusting(pair, len(opts.TransparencyLogs)+len(opts.TimestampAuthorities)); err != nil {
		return nil, err
	}
	return &Identity{keypair: pair, opts: opts, Builder: KeyBuilder + pair.id}, nil
}

// trusting is what a finished bundle is checked with: the key; and the trusted
// root, without which the words of services cannot be checked.
func (s *Services) trusting(pair *keypair, services int) (root.TrustedMaterial, error) {
	if services > 0 && s.trusted == nil {
		return nil, nil
	}
	// Not LoadDefaultVerifier: it knows three sizes of RSA.
	verifier, err := signature.LoadVerifierWithOpts(pair.key.Public(), options.WithHash(pair.hash), options.WithED25519ph())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	own := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
	})
	if s.trusted == nil {
		return own, nil
	}
	return root.TrustedMaterialCollection{own, s.trusted}, nil
}

// A keypair is a Key as sigstore-go wants it.
type keypair struct {
	key  Key
	hash crypto.Hash
	spki []byte
	id   string // SHA-256 of spki, in hex
}

func newKeypair(key Key) (*keypair, error) {
	hash, err := HashFor(key.Public())
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	sum := sha256.Sum256(spki)
	return &keypair{key: key, hash: hash, spki: spki, id: hex.EncodeToString(sum[:])}, nil
}

// fitLogs refuses what transparency logs cannot take, before the build steps
// and not after them.
func (k *keypair) fitLogs(logs int) error {
	if logs > 0 && k.GetSigningAlgorithm() == protocommon.PublicKeyDetails_PUBLIC_KEY_DETAILS_UNSPECIFIED {
		return fmt.Errorf("%w: transparency logs take RSA keys of 2048, 3072 and 4096 bits only: use such a key, or a signing config without a log", ErrKey)
	}
	return nil
}

// GetHashAlgorithm implements sign.Keypair.
func (k *keypair) GetHashAlgorithm() protocommon.HashAlgorithm {
	switch k.hash {
	case crypto.SHA384:
		return protocommon.HashAlgorithm_SHA2_384
	case crypto.SHA512:
		return protocommon.HashAlgorithm_SHA2_512
	}
	return protocommon.HashAlgorithm_SHA2_256
}

// GetSigningAlgorithm implements sign.Keypair.
func (k *keypair) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	details, err := signature.GetDefaultPublicKeyDetails(k.key.Public(), options.WithED25519ph())
	if err != nil {
		return protocommon.PublicKeyDetails_PUBLIC_KEY_DETAILS_UNSPECIFIED
	}
	return details
}

// GetHint implements sign.Keypair. It is the hint that sigstore-go and cosign
// write: base64 of the SHA-256 of the SubjectPublicKeyInfo.
func (k *keypair) GetHint() []byte {
	sum := sha256.Sum256(k.spki)
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}

// GetKeyAlgorithm implements sign.Keypair.
func (k *keypair) GetKeyAlgorithm() string {
	switch k.key.Public().(type) {
	case *rsa.PublicKey:
		return "RSA"
	case ed25519.PublicKey:
		return "ED25519"
	}
	return "ECDSA"
}

// GetPublicKey implements sign.Keypair.
func (k *keypair) GetPublicKey() crypto.PublicKey { return k.key.Public() }

// GetPublicKeyPem implements sign.Keypair.
func (k *keypair) GetPublicKeyPem() (string, error) {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.spki})), nil
}

// SignData implements sign.Keypair. What comes back from elsewhere is held
// against the public key before any service hears of it.
func (k *keypair) SignData(ctx context.Context, data []byte) ([]byte, []byte, error) {
	h := k.hash.New()
	h.Write(data)
	sum := h.Sum(nil)
	sig, err := k.key.SignDigest(ctx, k.hash, sum)
	if err != nil {
		return nil, nil, &keyError{err}
	}
	if !k.signed(sum, sig) {
		return nil, nil, &keyError{fmt.Errorf("%w: the signature is not by it", ErrKey)}
	}
	return sig, sum, nil
}

func (k *keypair) signed(sum, sig []byte) bool {
	switch p := k.key.Public().(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(p, sum, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(p, k.hash, sum, sig) == nil
	case ed25519.PublicKey:
		return ed25519.VerifyWithOptions(p, sum, sig, &ed25519.Options{Hash: k.hash}) == nil
	}
	return false
}

// keyError lets explain find what a key said.
type keyError struct{ error }

func (e *keyError) Unwrap() error { return e.error }
