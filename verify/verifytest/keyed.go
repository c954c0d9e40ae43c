// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/stretchr/testify/require"
)

// NewKey makes a private key: p256, p384, p521, p224, ed25519, or rsa1024,
// rsa2048, rsa3072.
func NewKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	curves := map[string]elliptic.Curve{"p224": elliptic.P224(), "p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()}
	bits := map[string]int{"rsa1024": 1024, "rsa2048": 2048, "rsa3072": 3072}
	switch {
	case curves[kind] != nil:
		key, err := ecdsa.GenerateKey(curves[kind], rand.Reader)
		require.NoError(t, err)
		return key
	case bits[kind] > 0:
		key, err := rsa.GenerateKey(rand.Reader, bits[kind])
		require.NoError(t, err)
		return key
	}
	require.Equal(t, "ed25519", kind)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}

// PublicPEM is the key's public half.
func PublicPEM(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	return pemOf("PUBLIC KEY", spki(t, key.Public()))
}

// form is how a signature is made.
type form struct {
	hash crypto.Hash
	// pss and prehash choose RSASSA-PSS and Ed25519ph.
	pss, prehash bool
}

// sign signs message with key in the form that opts ask for.
func (o BundleOptions) sign(t testing.TB, key crypto.Signer, message []byte) []byte {
	t.Helper()
	return signAs(t, key, message, form{o.hashFor(key), o.PSS, o.Prehash})
}

func signAs(t testing.TB, key crypto.Signer, message []byte, f form) []byte {
	t.Helper()
	var opts crypto.SignerOpts = f.hash
	sum := sumOf(f.hash, message)
	switch key.(type) {
	case ed25519.PrivateKey:
		if !f.prehash {
			sum, opts = message, crypto.Hash(0)
		}
	case *rsa.PrivateKey:
		if f.pss {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: f.hash}
		}
	}
	sig, err := key.Sign(rand.Reader, sum, opts)
	require.NoError(t, err)
	return sig
}

func sumOf(hash crypto.Hash, message []byte) []byte {
	h := hash.New()
	h.Write(message)
	return h.Sum(nil)
}

// hashFor is the hash that clients sign with, by default.
func (o BundleOptions) hashFor(key crypto.Signer) crypto.Hash {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return crypto.SHA512
	case *ecdsa.PrivateKey:
		if o.Hash == 0 && k.Curve == elliptic.P384() {
			return crypto.SHA384
		}
		if o.Hash == 0 && k.Curve == elliptic.P521() {
			return crypto.SHA512
		}
	}
	if o.Hash == 0 {
		return crypto.SHA256
	}
	return o.Hash
}

// hint is how cosign points at a bare key.
func hint(t testing.TB, key crypto.Signer) *protobundle.VerificationMaterial_PublicKey {
	t.Helper()
	sum := sha256.Sum256(spki(t, key.Public()))
	return &protobundle.VerificationMaterial_PublicKey{
		PublicKey: &protocommon.PublicKeyIdentifier{Hint: base64.StdEncoding.EncodeToString(sum[:])},
	}
}

// messageSignature is a signature over the message itself.
func messageSignature(t testing.TB, sig, message []byte, hash crypto.Hash, opts BundleOptions) *protobundle.Bundle_MessageSignature {
	t.Helper()
	algorithms := map[crypto.Hash]protocommon.HashAlgorithm{
		crypto.SHA1:   protocommon.HashAlgorithm_HASH_ALGORITHM_UNSPECIFIED,
		crypto.SHA256: protocommon.HashAlgorithm_SHA2_256,
		crypto.SHA384: protocommon.HashAlgorithm_SHA2_384,
		crypto.SHA512: protocommon.HashAlgorithm_SHA2_512,
	}
	sum := sumOf(hash, message)
	if opts.MessageDigest != nil {
		sum = opts.MessageDigest
	}
	stated := &protocommon.HashOutput{Algorithm: algorithms[hash], Digest: sum}
	if opts.NoMessageDigest {
		stated = &protocommon.HashOutput{}
	}
	return &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{MessageDigest: stated, Signature: sig}}
}
