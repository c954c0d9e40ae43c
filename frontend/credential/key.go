// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/plombproject/plomb/provenance/sign"
)

// The words below are all that is ever said of a key: none quotes a library,
// whose errors may quote the key.
var (
	errKeyEmpty  = fmt.Errorf("the secret %s is empty; on CI, check that the job may see it", Key)
	errKeyPEM    = fmt.Errorf("the secret %s is not one private key in PEM; plomb takes PRIVATE KEY (PKCS #8), EC PRIVATE KEY, RSA PRIVATE KEY and ENCRYPTED SIGSTORE PRIVATE KEY", Key)
	errKeyBroken = fmt.Errorf("the secret %s is a broken private key", Key)
	errKeyKind   = fmt.Errorf("the secret %s is encrypted in a way that plomb does not read: cosign import-key-pair --key FILE makes a key of it that plomb and cosign read", Key)
	errKeyScrypt = fmt.Errorf("the secret %s asks for other scrypt parameters than cosign writes, which could take any time and memory", Key)
	errPassword  = fmt.Errorf("the secret %s does not open %s", KeyPassword, Key)
	errNoSecret  = fmt.Errorf("the secret %s is encrypted with a password: pass it as --secret id=%s,src=FILE", Key, KeyPassword)
)

const (
	// maxKey is in bytes: more than an encrypted RSA key of 8192 bits has, and
	// little enough to be worked on at once.
	maxKey      = 16 << 10
	maxPassword = 4 << 10 // bytes
)

// parseKey reads a private key of a kind that is signed with. A nil password is
// one that was not given.
func parseKey(data, password []byte) (crypto.Signer, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errKeyEmpty
	}
	block, err := onlyKey(data)
	if err != nil {
		return nil, err
	}
	defer clear(block.Bytes)
	der := block.Bytes
	switch block.Type {
	case "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
		if der, err = decrypt(block.Bytes, password); err != nil {
			return nil, err
		}
		defer clear(der)
	case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY":
	case "ENCRYPTED PRIVATE KEY":
		return nil, errKeyKind
	default:
		return nil, errKeyPEM
	}
	key, err := parseDER(block.Type, der)
	if err != nil {
		return nil, err
	}
	if _, err := sign.HashFor(key.Public()); err != nil {
		return nil, fmt.Errorf("the secret %s: %w", Key, err)
	}
	return key, nil
}

// onlyKey is the one block of data, not counting the parameters that openssl
// ecparam writes before it.
func onlyKey(data []byte) (*pem.Block, error) {
	block, rest := pem.Decode(data)
	if block != nil && block.Type == "EC PARAMETERS" {
		block, rest = pem.Decode(rest)
	}
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errKeyPEM
	}
	if len(block.Headers) > 0 { // Proc-Type: 4,ENCRYPTED of RFC 1421
		return nil, errKeyKind
	}
	return block, nil
}

// parseDER reads what a block of that type holds; cosign encrypts PKCS #8.
func parseDER(kind string, der []byte) (crypto.Signer, error) {
	var key any
	var err error
	switch kind {
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(der)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(der)
	default:
		key, err = x509.ParsePKCS8PrivateKey(der)
	}
	if err != nil {
		return nil, errKeyBroken
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the secret %s is of a kind that cannot sign", Key)
	}
	return signer, nil
}

// scryptParams are how much work it is to try a password.
type scryptParams struct {
	N int `json:"N"`
	R int `json:"r"`
	P int `json:"p"`
}

// allowedScrypt are those of github.com/secure-systems-lab/go-securesystemslib/encrypted,
// which cosign uses: at most 128 MiB and half a second.
var allowedScrypt = []scryptParams{{1 << 15, 8, 1}, {1 << 16, 8, 1}, {1 << 17, 8, 1}}

// decrypt opens the box that cosign puts a key into: scrypt and NaCl's
// secretbox, told of in JSON.
func decrypt(box, password []byte) ([]byte, error) {
	var head struct {
		KDF struct {
			Params scryptParams `json:"params"`
		} `json:"kdf"`
	}
	if err := json.Unmarshal(box, &head); err != nil {
		return nil, errKeyBroken
	}
	// Here as well as in the library: a key must not be able to stall a build.
	if !slices.Contains(allowedScrypt, head.KDF.Params) {
		return nil, errKeyScrypt
	}
	for _, p := range passwords(password) {
		if der, err := encrypted.Decrypt(box, p); err == nil {
			return der, nil
		}
	}
	if password == nil {
		return nil, errNoSecret
	}
	return nil, errPassword
}

// passwords are what the secret may mean: itself, and what an editor or echo
// made a line of. Nothing is the empty password, which cosign knows as well.
func passwords(secret []byte) [][]byte {
	line, ok := bytes.CutSuffix(secret, []byte("\n"))
	if !ok {
		return [][]byte{secret}
	}
	return [][]byte{bytes.TrimSuffix(line, []byte("\r")), secret}
}
