// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"
)

// mounted is a folder of secrets as a build container has it.
func mounted(t *testing.T, secrets map[string]string) string {
	dir := t.TempDir()
	for id, content := range secrets {
		require.NoError(t, os.WriteFile(filepath.Join(dir, id), []byte(content), 0o400))
	}
	return dir
}

func look(t *testing.T, secrets map[string]string, ids ...string) (*Given, string) {
	var out bytes.Buffer
	require.NoError(t, printSecrets(mounted(t, secrets), ids, &out))
	var got Given
	require.NoError(t, json.Unmarshal(out.Bytes(), &got))
	return &got, out.String()
}

// What leaves the container is the public half.
func TestTheHelperKeepsTheKey(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	secret := string(block("PRIVATE KEY", pkcs8(t, key)))
	got, printed := look(t, map[string]string{Key: secret, KeyPassword: "s3cr3t", IDToken: "token"}, Reserved...)
	require.Equal(t, map[string]string{IDToken: "token"}, got.Tokens)
	public, err := x509.ParsePKIXPublicKey(got.Key.SPKI)
	require.NoError(t, err)
	require.Equal(t, key.Public(), public)
	require.Empty(t, got.Key.Fault)
	for line := range strings.SplitSeq(secret, "\n") {
		if line != "" {
			require.NotContains(t, printed, line)
		}
	}
	require.NotContains(t, printed, "s3cr3t")

	got, printed = look(t, map[string]string{Key: "s3cr3t key", KeyPassword: "s3cr3t"}, keys...)
	require.NotContains(t, printed, "s3cr3t")
	require.NotEmpty(t, got.Key.Fault)

	// Where the build wants a token, the key is not looked at.
	got, _ = look(t, map[string]string{Key: secret}, tokens...)
	require.Nil(t, got.Key)
	got, _ = look(t, nil, Reserved...)
	require.Nil(t, got.Key)
}

func TestKeySecretsThatDoNotGoTogether(t *testing.T) {
	key := string(block("PRIVATE KEY", pkcs8(t, ecKey(t, elliptic.P256()))))
	for name, row := range map[string]struct {
		secrets map[string]string
		says    string
	}{
		"a certificate":         {map[string]string{Key: key, Certificate: "s3cr3t"}, "plomb-certificate is not supported"},
		"a certificate alone":   {map[string]string{Certificate: ""}, "plomb-certificate is not supported"},
		"a password alone":      {map[string]string{KeyPassword: "s3cr3t"}, "plomb-key was not"},
		"an empty key":          {map[string]string{Key: ""}, "plomb-key is empty"},
		"a key too large":       {map[string]string{Key: key + strings.Repeat(" s3cr3t", maxKey)}, "plomb-key is larger than 16384 bytes"},
		"a password too large":  {map[string]string{Key: key, KeyPassword: strings.Repeat("s3cr3t", maxPassword)}, "plomb-key-password is larger than 4096 bytes"},
		"a key that is a token": {map[string]string{Key: "ey.s3cr3t.s3cr3t"}, "not one private key"},
	} {
		t.Run(name, func(t *testing.T) {
			got, printed := look(t, row.secrets, keys...)
			require.Contains(t, got.Key.Fault, row.says)
			require.NotContains(t, printed, "s3cr3t")
		})
	}
}

func TestSignDigest(t *testing.T) {
	message := []byte("message")
	sums := map[crypto.Hash][]byte{}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		hash := h.New()
		hash.Write(message)
		sums[h] = hash.Sum(nil)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, row := range map[string]struct {
		key  crypto.Signer
		hash crypto.Hash
	}{
		"P-256": {ecKey(t, elliptic.P256()), crypto.SHA256}, "P-384": {ecKey(t, elliptic.P384()), crypto.SHA384},
		"P-521": {ecKey(t, elliptic.P521()), crypto.SHA512}, "Ed25519": {ed, crypto.SHA512}, "RSA": {rsaKey(t, 2048), crypto.SHA256},
	} {
		t.Run(name, func(t *testing.T) {
			dir := mounted(t, map[string]string{Key: string(block("PRIVATE KEY", pkcs8(t, row.key)))})
			for hash, sum := range sums {
				got := signDigest(dir, digest.NewDigestFromBytes(algorithms[hash], sum))
				if hash != row.hash {
					require.Equal(t, errNotForKey.Error(), got.Fault, "%s", hash)
					require.Empty(t, got.Signature)
					continue
				}
				require.Empty(t, got.Fault)
				require.True(t, verifies(row.key.Public(), hash, sum, got.Signature))
			}
		})
	}
}

func verifies(public crypto.PublicKey, hash crypto.Hash, sum, sig []byte) bool {
	switch p := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(p, sum, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(p, hash, sum, sig) == nil
	}
	return ed25519.VerifyWithOptions(public.(ed25519.PublicKey), sum, sig, &ed25519.Options{Hash: hash}) == nil
}

func TestSignDigestRefuses(t *testing.T) {
	sum := sha256.Sum256([]byte("message"))
	dgst := digest.NewDigestFromBytes(digest.SHA256, sum[:])
	good := mounted(t, map[string]string{Key: string(block("PRIVATE KEY", pkcs8(t, ecKey(t, elliptic.P256()))))})
	for name, row := range map[string]struct {
		dir  string
		dgst digest.Digest
		says string
	}{
		"the key has gone":       {t.TempDir(), dgst, "no signing key any more"},
		"no digest":              {good, "", "not of the kind"},
		"half a digest":          {good, dgst[:40], "not of the kind"},
		"no hex":                 {good, "sha256:" + digest.Digest(strings.Repeat("z", 64)), "not of the kind"},
		"a hash of another kind": {good, "md5:d41d8cd98f00b204e9800998ecf8427e", "not of the kind"},
		"a broken key":           {mounted(t, map[string]string{Key: "s3cr3t"}), dgst, "not one private key"},
	} {
		t.Run(name, func(t *testing.T) {
			got := signDigest(row.dir, row.dgst)
			require.Contains(t, got.Fault, row.says)
			require.Empty(t, got.Signature)
			require.NotContains(t, got.Fault, "s3cr3t")
		})
	}
	require.Error(t, SignMain(nil, nil))
	require.Error(t, SignMain([]string{"a", "b"}, nil))
}

// The container that signs gets the key's secrets and no others; the digest is
// all that is on its command line.
func TestKeySigner(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	sum := sha256.Sum256([]byte("message"))
	answer := func(s signed) string {
		data, err := json.Marshal(s)
		require.NoError(t, err)
		return string(data)
	}
	g := &gateway{answer: answer(signed{PublicKey: PublicKey{SPKI: spki}, Signature: []byte("signature")})}
	signer, err := NewKeySigner(BuildSecrets{Client: g, Image: llb.Image("plomb"), Binary: "/plomb-frontend"}, &PublicKey{SPKI: spki})
	require.NoError(t, err)
	require.Equal(t, key.Public(), signer.Public())
	sig, err := signer.SignDigest(t.Context(), crypto.SHA256, sum[:])
	require.NoError(t, err)
	require.Equal(t, "signature", string(sig))
	require.Equal(t, []string{"/plomb-frontend", "sign", digest.FromString("message").String()}, g.started.Args)
	require.Nil(t, g.started.Stdin)
	require.Equal(t, pb.NetMode_NONE, g.net)
	require.True(t, g.released)
	require.Len(t, g.mounts, 4)
	for i, id := range []string{Key, KeyPassword, Certificate} {
		require.Equal(t, &pb.SecretOpt{ID: id, Mode: 0o400, Optional: true}, g.mounts[i+1].SecretOpt)
	}

	for name, row := range map[string]struct {
		answer string
		says   string
	}{
		"the helper refuses": {answer(signed{PublicKey: PublicKey{Fault: "why"}}), "why"},
		"another key":        {answer(signed{PublicKey: PublicKey{SPKI: []byte("other")}, Signature: []byte("s")}), "another key than before"},
		"no answer":          {"", "not what it should be"},
		"no object":          {`["s3cr3t"]`, "not what it should be"},
	} {
		t.Run(name, func(t *testing.T) {
			g.answer = row.answer
			_, err := signer.SignDigest(t.Context(), crypto.SHA256, sum[:])
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), "s3cr3t")
		})
	}
	_, err = signer.SignDigest(t.Context(), crypto.SHA512_256, sha512.New512_256().Sum(nil))
	require.ErrorIs(t, err, ErrKey)
	_, err = NewKeySigner(BuildSecrets{}, &PublicKey{SPKI: []byte("x")})
	require.ErrorIs(t, err, ErrKey)
}
