// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

func publicPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestParseKeys(t *testing.T) {
	p256, rsa3072 := verifytest.NewKey(t, "p256"), verifytest.NewKey(t, "rsa3072")
	one := verifytest.PublicPEM(t, p256)
	pkcs1 := publicPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(rsa3072.Public().(*rsa.PublicKey)))
	text := append(append([]byte("\n"), one...), append(pkcs1, one...)...)
	keys, err := trust.ParseKeys(text, "")
	require.NoError(t, err)
	require.Len(t, keys, 2, "each once")
	der, err := x509.MarshalPKIXPublicKey(p256.Public())
	require.NoError(t, err)
	require.Equal(t, digest.FromBytes(der), keys[0].ID())
}

// dsaKey is a public key of DSA (RFC 3279, section 2.3.2).
func dsaKey(t *testing.T) []byte {
	t.Helper()
	parameters, err := asn1.Marshal(struct{ P, Q, G *big.Int }{big.NewInt(23), big.NewInt(11), big.NewInt(4)})
	require.NoError(t, err)
	y, err := asn1.Marshal(big.NewInt(4))
	require.NoError(t, err)
	out, err := asn1.Marshal(struct {
		Algorithm struct {
			ID         asn1.ObjectIdentifier
			Parameters asn1.RawValue
		}
		Key asn1.BitString
	}{struct {
		ID         asn1.ObjectIdentifier
		Parameters asn1.RawValue
	}{asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}, asn1.RawValue{FullBytes: parameters}}, asn1.BitString{Bytes: y, BitLength: len(y) * 8}})
	require.NoError(t, err)
	return publicPEM("PUBLIC KEY", out)
}

func TestKeysThatAreRefused(t *testing.T) {
	good := verifytest.PublicPEM(t, verifytest.NewKey(t, "p256"))
	private, err := x509.MarshalPKCS8PrivateKey(verifytest.NewKey(t, "p256"))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		text []byte
		hash string
		says string
	}{
		"nothing":                {nil, "", "no PEM in it"},
		"no PEM":                 {[]byte("ecdsa"), "", "no PEM in it, want -----BEGIN PUBLIC KEY-----"},
		"RSA 1024":               {verifytest.PublicPEM(t, verifytest.NewKey(t, "rsa1024")), "", "RSA with 1024 bits"},
		"P-224":                  {verifytest.PublicPEM(t, verifytest.NewKey(t, "p224")), "", "P-224"},
		"DSA":                    {dsaKey(t), "", "dsa is not trusted"},
		"SHA-1":                  {good, "sha1", `"sha1"`},
		"SHA-224":                {good, "sha224", `"sha224"`},
		"MD5":                    {good, "md5", `"md5"`},
		"private":                {publicPEM("PRIVATE KEY", private), "", "PRIVATE KEY"},
		"certificate":            {publicPEM("CERTIFICATE", private), "", "certificate"},
		"junk in the block":      {publicPEM("PUBLIC KEY", []byte("junk")), "", "block 1"},
		"second key misspelt":    {append(good, "-----BEGIN PUBLC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"...), "", "block 1"},
		"first key misspelt":     {append([]byte("-----BEGIN PUBLC KEY-----\nAA==\n-----END PUBLIC KEY-----\n"), good...), "", "not PEM"},
		"second key is unwanted": {append(good, verifytest.PublicPEM(t, verifytest.NewKey(t, "rsa1024"))...), "", "block 2"},
		"too long":               {make([]byte, 1<<20), "", "bytes of PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := trust.ParseKeys(c.text, c.hash)
			require.ErrorIs(t, err, trust.ErrKey)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// FuzzParseKeys: what comes out is a usable key with a name.
func FuzzParseKeys(f *testing.F) {
	for _, kind := range []string{"p256", "p384", "p521", "p224", "ed25519", "rsa2048", "rsa1024"} {
		f.Add(verifytest.PublicPEM(f, verifytest.NewKey(f, kind)), "sha256")
	}
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"), "")
	f.Add([]byte("-----BEGIN RSA PUBLIC KEY-----\nMAA=\n-----END RSA PUBLIC KEY-----\n"), "sha1")
	f.Fuzz(func(t *testing.T, text []byte, hash string) {
		keys, err := trust.ParseKeys(text, hash)
		if err != nil {
			require.ErrorIs(t, err, trust.ErrKey)
			return
		}
		require.NotEmpty(t, keys)
		for _, k := range keys {
			require.NoError(t, k.ID().Validate())
		}
		_, err = trust.NewVerifier(trust.Options{Keys: keys})
		require.NoError(t, err)
	})
}
