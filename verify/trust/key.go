// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
)

// ErrKey reports a public key that cannot be read, or is of a kind that is not
// trusted.
var ErrKey = errors.New("unacceptable public key")

// RSA keys below are within reach of factoring, and above make each
// verification slow.
const minRSA, maxRSA = 2048, 8192

// A Key is a public key of an algorithm that is trusted: ECDSA on P-256, P-384
// or P-521, Ed25519, or RSA of 2048 to 8192 bits.
type Key struct {
	public crypto.PublicKey
	// hashes are those that a signature may be over. Ed25519 brings its own.
	hashes   []crypto.Hash
	id       digest.Digest
	verifier root.TimeConstrainedVerifier
}

// ID is the SHA-256 of the key's SubjectPublicKeyInfo.
func (k Key) ID() digest.Digest { return k.id }

// ParseKeys reads one or several PEM blocks: PUBLIC KEY (RFC 7468, section 13)
// or RSA PUBLIC KEY (RFC 8017, appendix A.1.1). hash is the one that signatures
// are over: sha256, sha384 or sha512; empty is sha256, or what fits the curve.
// Errors are ErrKey.
func ParseKeys(data []byte, hash string) ([]Key, error) {
	blocks, err := decodePEM(data, "PUBLIC KEY")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	var keys []Key
	for i, block := range blocks {
		public, err := parsePublic(block.Type, block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: block %d: %w", ErrKey, i+1, err)
		}
		key, err := newKey(public, hash)
		if err == nil {
			err = key.complete()
		}
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
		}
		if !slices.ContainsFunc(keys, func(k Key) bool { return k.id == key.id }) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func parsePublic(kind string, der []byte) (crypto.PublicKey, error) {
	switch kind {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(der)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(der)
	case "CERTIFICATE":
		return nil, errors.New("it is a certificate; give its public key (openssl x509 -pubkey)")
	}
	return nil, fmt.Errorf("it is a %q, want PUBLIC KEY", kind)
}

// newKey holds a key against the list of what is trusted. It is good for
// verifying signatures; a trusted key has to be completed.
func newKey(public crypto.PublicKey, hash string) (Key, error) {
	key := Key{public: public, hashes: []crypto.Hash{crypto.SHA256}}
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		own, err := hashOfCurve(p.Curve)
		if err != nil {
			return Key{}, err
		}
		// Older clients signed with SHA-256 whatever the curve.
		if own != crypto.SHA256 {
			key.hashes = []crypto.Hash{own, crypto.SHA256}
		}
	case *rsa.PublicKey:
		if bits := p.N.BitLen(); bits < minRSA || bits > maxRSA {
			return Key{}, fmt.Errorf("%w: RSA with %d bits, want %d to %d", ErrKey, bits, minRSA, maxRSA)
		}
	case ed25519.PublicKey:
		hash, key.hashes = "", []crypto.Hash{crypto.SHA512}
	default:
		return Key{}, fmt.Errorf("%w: %s is not trusted, use ECDSA on P-256", ErrKey, strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", public), "*"), ".PublicKey"))
	}
	if hash != "" {
		h, ok := hashes[digest.Algorithm(hash)]
		if !ok {
			return Key{}, fmt.Errorf("%w: hash %q is not trusted, want sha256, sha384 or sha512", ErrKey, hash)
		}
		key.hashes = []crypto.Hash{h}
	}
	return key, nil
}

// complete works out the key's name, and the form that sigstore-go wants it in
// to compare log entries with it.
func (k *Key) complete() error {
	der, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	k.id = digest.FromBytes(der)
	verifier, err := signature.LoadVerifier(k.public, crypto.SHA256)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKey, err)
	}
	k.verifier = alwaysValid{verifier}
	return nil
}

// alwaysValid is a key without an end: policies replace keys, they do not date
// them.
type alwaysValid struct{ signature.Verifier }

func (alwaysValid) ValidAtTime(time.Time) bool { return true }

func hashOfCurve(curve elliptic.Curve) (crypto.Hash, error) {
	switch curve {
	case elliptic.P256():
		return crypto.SHA256, nil
	case elliptic.P384():
		return crypto.SHA384, nil
	case elliptic.P521():
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("%w: ECDSA on %s is not trusted, use P-256, P-384 or P-521", ErrKey, curve.Params().Name)
}

// hashes are those that are trusted, by the name that digests have.
var hashes = map[digest.Algorithm]crypto.Hash{
	digest.SHA256: crypto.SHA256,
	digest.SHA384: crypto.SHA384,
	digest.SHA512: crypto.SHA512,
}

// signed reports whether sig is a signature by the key over the message.
func (k Key) signed(message, sig []byte) bool {
	if p, ok := k.public.(ed25519.PublicKey); ok && ed25519.Verify(p, message, sig) {
		return true
	}
	return slices.ContainsFunc(k.hashes, func(h crypto.Hash) bool {
		hash := h.New()
		hash.Write(message)
		return k.signedSum(h, hash.Sum(nil), sig)
	})
}

// signedSum is signed for a message of which only the hash is known.
func (k Key) signedSum(hash crypto.Hash, sum, sig []byte) bool {
	if !slices.Contains(k.hashes, hash) || len(sum) != hash.Size() {
		return false
	}
	switch p := k.public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(p, sum, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(p, hash, sum, sig) == nil || rsa.VerifyPSS(p, hash, sum, sig, nil) == nil
	case ed25519.PublicKey:
		// Ed25519ph (RFC 8032, section 5.1), the form of Ed25519 that signs a
		// hash.
		return ed25519.VerifyWithOptions(p, sum, sig, &ed25519.Options{Hash: hash}) == nil
	}
	return false
}
