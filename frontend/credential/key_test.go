// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// password opens testdata/cosign.key and cosign-ed25519.key, which cosign
// v3.1.3 made, as it did the others there.
const password = "correct horse"

func fixture(t testing.TB, name string) []byte {
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return data
}

func pkcs8(t testing.TB, key any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return der
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return key
}

// withHeader is a key that is encrypted as RFC 1421 has it.
func withHeader(t testing.TB) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: pkcs8(t, ecKey(t, elliptic.P256()))})
}

func TestParseKey(t *testing.T) {
	ec := ecKey(t, elliptic.P256())
	sec1, err := x509.MarshalECPrivateKey(ec)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	r := rsaKey(t, 2048)
	for name, row := range map[string]struct {
		data     []byte
		password string
		want     crypto.Signer // nil: any
	}{
		"PKCS #8, P-256":            {block("PRIVATE KEY", pkcs8(t, ec)), "", ec},
		"with text around":          {append([]byte("my key\n"), block("PRIVATE KEY", pkcs8(t, ec))...), "", ec},
		"with Windows' line ends":   {bytes.ReplaceAll(block("PRIVATE KEY", pkcs8(t, ec)), []byte("\n"), []byte("\r\n")), "", ec},
		"P-384":                     {block("PRIVATE KEY", pkcs8(t, ecKey(t, elliptic.P384()))), "", nil},
		"P-521":                     {block("PRIVATE KEY", pkcs8(t, ecKey(t, elliptic.P521()))), "", nil},
		"Ed25519":                   {block("PRIVATE KEY", pkcs8(t, ed)), "", ed},
		"RSA":                       {block("PRIVATE KEY", pkcs8(t, r)), "", r},
		"PKCS #1":                   {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r)), "", r},
		"SEC 1":                     {block("EC PRIVATE KEY", sec1), "", ec},
		"SEC 1 as openssl has it":   {append(block("EC PARAMETERS", []byte{6, 1, 1}), block("EC PRIVATE KEY", sec1)...), "", ec},
		"a needless password":       {block("PRIVATE KEY", pkcs8(t, ec)), password, ec},
		"cosign's":                  {fixture(t, "cosign.key"), password, nil},
		"cosign's, password a line": {fixture(t, "cosign.key"), password + "\n", nil},
		"cosign's, imported":        {fixture(t, "cosign-ed25519.key"), password, nil},
		"cosign's, no password":     {fixture(t, "cosign-empty.key"), "", nil},
		"cosign's older name":       {block("ENCRYPTED COSIGN PRIVATE KEY", unwrap(fixture(t, "cosign.key"))), password, nil},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := parseKey(bytes.Clone(row.data), []byte(row.password))
			require.NoError(t, err)
			if row.want != nil {
				require.Equal(t, row.want.Public(), key.Public())
			}
		})
	}
	key, err := parseKey(fixture(t, "cosign.key"), []byte(password))
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	require.Equal(t, string(fixture(t, "cosign.pub")), string(block("PUBLIC KEY", der)))
}

func TestPasswords(t *testing.T) {
	for secret, want := range map[string][]string{
		"": {""}, "a": {"a"}, " a ": {" a "}, "a\n": {"a", "a\n"}, "a\r\n": {"a", "a\r\n"}, "a\n\n": {"a\n", "a\n\n"},
	} {
		var got []string
		for _, p := range passwords([]byte(secret)) {
			got = append(got, string(p))
		}
		require.Equal(t, want, got)
	}
}

func unwrap(data []byte) []byte {
	b, _ := pem.Decode(data)
	return b.Bytes
}

// box changes what cosign's box says of itself.
func box(t testing.TB, change func(kdf, params map[string]any)) []byte {
	var doc map[string]any
	require.NoError(t, json.Unmarshal(unwrap(fixture(t, "cosign.key")), &doc))
	kdf := doc["kdf"].(map[string]any)
	change(kdf, kdf["params"].(map[string]any))
	data, err := json.Marshal(doc)
	require.NoError(t, err)
	return block("ENCRYPTED SIGSTORE PRIVATE KEY", data)
}

func TestParseKeyRefuses(t *testing.T) {
	ec := pkcs8(t, ecKey(t, elliptic.P256()))
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	set := func(name string, value any) []byte {
		return box(t, func(_, params map[string]any) { params[name] = value })
	}
	for name, row := range map[string]struct {
		data     []byte
		password []byte
		says     string
	}{
		"nothing":                 {nil, nil, "is empty; on CI"},
		"spaces":                  {[]byte(" \n"), nil, "is empty; on CI"},
		"no PEM":                  {[]byte("s3cr3t"), nil, "not one private key in PEM"},
		"a public key":            {fixture(t, "cosign.pub"), nil, "not one private key in PEM"},
		"two keys":                {append(block("PRIVATE KEY", ec), block("PRIVATE KEY", ec)...), nil, "not one private key in PEM"},
		"a certificate behind it": {append(block("PRIVATE KEY", ec), block("CERTIFICATE", ec)...), nil, "not one private key in PEM"},
		"OpenSSH's":               {block("OPENSSH PRIVATE KEY", []byte("s3cr3t")), nil, "not one private key in PEM"},
		"parameters alone":        {block("EC PARAMETERS", []byte{6, 1, 1}), nil, "not one private key in PEM"},
		"broken":                  {block("PRIVATE KEY", []byte("s3cr3t")), nil, "broken private key"},
		"cut off":                 {block("PRIVATE KEY", ec[:len(ec)-9]), nil, "broken private key"},
		"SEC 1 that is PKCS #8":   {block("EC PRIVATE KEY", ec), nil, "broken private key"},
		"PKCS #1 that is PKCS #8": {block("RSA PRIVATE KEY", ec), nil, "broken private key"},
		"encrypted PKCS #8":       {block("ENCRYPTED PRIVATE KEY", []byte("s3cr3t")), []byte("x"), "cosign import-key-pair"},
		"encrypted in headers":    {withHeader(t), []byte("x"), "cosign import-key-pair"},
		"it cannot sign":          {block("PRIVATE KEY", pkcs8(t, x25519)), nil, "cannot sign"},
		"P-224":                   {block("PRIVATE KEY", pkcs8(t, ecKey(t, elliptic.P224()))), nil, "P-224: use P-256"},
		"RSA of 1024 bits":        {block("PRIVATE KEY", pkcs8(t, rsaKey(t, 1024))), nil, "1024 bits: use 2048 to 8192"},
		"a wrong password":        {fixture(t, "cosign.key"), []byte("s3cr3t"), "plomb-key-password does not open plomb-key"},
		"an empty password":       {fixture(t, "cosign.key"), []byte{}, "does not open"},
		"no password":             {fixture(t, "cosign.key"), nil, "--secret id=plomb-key-password,src=FILE"},
		"no box":                  {block("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("s3cr3t")), []byte(password), "broken private key"},
		"an empty box":            {block("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("{}")), []byte(password), "other scrypt parameters"},
		"hours of work":           {set("N", 1<<40), []byte(password), "other scrypt parameters"},
		"more blocks":             {set("r", 1<<20), []byte(password), "other scrypt parameters"},
		"more rounds":             {set("p", 1<<20), []byte(password), "other scrypt parameters"},
		"less than nothing":       {set("N", -1), []byte(password), "other scrypt parameters"},
		"a number of text":        {set("N", "s3cr3t"), []byte(password), "broken private key"},
		"no work":                 {set("N", 2), []byte(password), "other scrypt parameters"},
		"another function":        {box(t, func(kdf, _ map[string]any) { kdf["name"] = "s3cr3t" }), []byte(password), "does not open"},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			key, err := parseKey(bytes.Clone(row.data), row.password)
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), "s3cr3t")
			require.Nil(t, key)
			require.Less(t, time.Since(begun), 10*time.Second)
		})
	}
}

// What an error says comes from a short list, whatever the key.
func FuzzParseKey(f *testing.F) {
	f.Add(fixture(f, "cosign.key"), []byte("x"))
	f.Add(block("PRIVATE KEY", pkcs8(f, ecKey(f, elliptic.P256()))), []byte{})
	f.Add(block("RSA PRIVATE KEY", []byte{0x30, 0}), []byte{})
	f.Add(append(block("EC PARAMETERS", nil), block("EC PRIVATE KEY", []byte{0x30, 0})...), []byte{})
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----"), []byte{})
	f.Fuzz(func(t *testing.T, data, password []byte) {
		if len(data) > maxKey || len(password) > maxPassword {
			return // readSecret refuses them
		}
		key, err := parseKey(data, password)
		if err == nil {
			_, err = x509.MarshalPKIXPublicKey(key.Public())
			require.NoError(t, err)
			return
		}
		require.True(t, strings.HasPrefix(err.Error(), "the secret plomb-key"), err.Error())
		require.Less(t, len(err.Error()), 250)
	})
}
