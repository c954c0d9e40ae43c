// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/provenance/sign"
)

// SignCommand is the sub-command of the helper that signs.
const SignCommand = "sign"

// A KeySigner signs with the key in a build secret, in a container that has the
// key for as long as that takes. It implements sign.Key.
type KeySigner struct {
	secrets BuildSecrets
	spki    []byte
	public  crypto.PublicKey
}

// NewKeySigner is for the key that Look found through secrets.
func NewKeySigner(secrets BuildSecrets, key *PublicKey) (*KeySigner, error) {
	public, err := x509.ParsePKIXPublicKey(key.SPKI)
	if err != nil {
		return nil, fmt.Errorf("%w: the helper answered with a broken public key", ErrKey)
	}
	return &KeySigner{secrets: secrets, spki: key.SPKI, public: public}, nil
}

// Public implements sign.Key.
func (k *KeySigner) Public() crypto.PublicKey { return k.public }

// signed is what the helper that signs prints.
type signed struct {
	PublicKey
	Signature []byte `json:"signature,omitempty"`
}

// SignDigest implements sign.Key.
func (k *KeySigner) SignDigest(ctx context.Context, hash crypto.Hash, sum []byte) ([]byte, error) {
	algorithm, ok := algorithms[hash]
	if !ok {
		return nil, fmt.Errorf("%w: %w", ErrKey, errNotForKey)
	}
	var got signed
	args := []string{SignCommand, digest.NewDigestFromBytes(algorithm, sum).String()}
	if err := k.secrets.run(ctx, keys, args, &got); err != nil {
		return nil, fmt.Errorf("sign with the secret %s: %w", Key, err)
	}
	if got.Fault != "" {
		return nil, fmt.Errorf("%w: %s", ErrKey, got.Fault)
	}
	if !bytes.Equal(got.SPKI, k.spki) {
		return nil, fmt.Errorf("%w: the secret %s is another key than before the build steps", ErrKey, Key)
	}
	return got.Signature, nil
}

// algorithms are the hashes that keys sign, by the name that digests have.
var algorithms = map[crypto.Hash]digest.Algorithm{
	crypto.SHA256: digest.SHA256, crypto.SHA384: digest.SHA384, crypto.SHA512: digest.SHA512,
}

// SignMain is the helper that signs: it prints the signature over the digest
// args[0] by the key in the build secrets, as JSON.
func SignMain(args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("want one digest")
	}
	return printSignature(secretsDir, args[0], stdout)
}

func printSignature(dir, dgst string, stdout io.Writer) error {
	return json.NewEncoder(stdout).Encode(signDigest(dir, digest.Digest(dgst)))
}

func signDigest(dir string, dgst digest.Digest) signed {
	key, err := loadKey(dir)
	if err != nil {
		return signed{PublicKey: PublicKey{Fault: err.Error()}}
	}
	s := signed{PublicKey: publicHalf(key)}
	if s.Fault == "" {
		s.Signature, err = signWith(key, dgst)
	}
	if err != nil {
		s.Fault = err.Error()
	}
	return s
}

var errNotForKey = errors.New("the digest is not of the kind that this key signs")

// signWith makes ECDSA signatures in ASN.1, RSA signatures of PKCS #1 v1.5 and
// Ed25519ph signatures: what cosign makes, and what its log takes.
func signWith(key crypto.Signer, dgst digest.Digest) ([]byte, error) {
	hash, err := sign.HashFor(key.Public())
	if err != nil {
		return nil, err
	}
	if dgst.Validate() != nil || dgst.Algorithm() != algorithms[hash] {
		return nil, errNotForKey
	}
	sum, err := hex.DecodeString(dgst.Encoded())
	if err != nil {
		return nil, errNotForKey
	}
	sig, err := key.Sign(rand.Reader, sum, hash)
	if err != nil {
		return nil, errKeyBroken
	}
	return sig, nil
}

// describeKey tells of the key in the build secrets, or is nil where no secret
// of a key's was given.
func describeKey(dir string) *PublicKey {
	key, err := loadKey(dir)
	if errors.Is(err, errNoKey) {
		return nil
	}
	if err != nil {
		return &PublicKey{Fault: err.Error()}
	}
	public := publicHalf(key)
	return &public
}

func publicHalf(key crypto.Signer) PublicKey {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return PublicKey{Fault: errKeyBroken.Error()}
	}
	return PublicKey{SPKI: der}
}

// errNoKey reports that there is no secret of a key's at all.
var errNoKey = errors.New("there is no signing key any more")

// loadKey reads the key in the build secrets. Files and buffers are gone when
// it returns; what crypto/x509 made of them lives as long as the process, which
// is one signature.
func loadKey(dir string) (crypto.Signer, error) {
	var values [3][]byte
	var none int
	for i, id := range keys {
		value, err := readSecret(dir, id, []int{maxKey, maxPassword, maxKey}[i])
		if errors.Is(err, fs.ErrNotExist) {
			none++
			continue
		}
		if err != nil {
			return nil, err
		}
		values[i] = value
		defer clear(value)
	}
	key, password, certificate := values[0], values[1], values[2]
	switch {
	case none == len(keys):
		return nil, errNoKey
	case certificate != nil:
		return nil, fmt.Errorf("the secret %s is not supported: plomb signs with a bare key, or keyless with a certificate of Fulcio; leave it out", Certificate)
	case key == nil:
		return nil, fmt.Errorf("the secret %s was given, and %s was not", KeyPassword, Key)
	}
	return parseKey(key, password)
}
