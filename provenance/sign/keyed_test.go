// SPDX-License-Identifier: Apache-2.0

package sign

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
)

// local is a Key in this process.
type local struct {
	crypto.Signer
	public crypto.PublicKey // nil: its own
	err    error
	asked  int
}

func (l *local) Public() crypto.PublicKey {
	if l.public != nil {
		return l.public
	}
	return l.Signer.Public()
}

func (l *local) SignDigest(_ context.Context, hash crypto.Hash, sum []byte) ([]byte, error) {
	l.asked++
	if l.err != nil {
		return nil, l.err
	}
	return l.Sign(rand.Reader, sum, hash)
}

func ec(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func rsaOf(t *testing.T, bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return key
}

// keyBundle is what is read here of a bundle that a key signed.
type keyBundle struct {
	MediaType            string                     `json:"mediaType"`
	VerificationMaterial map[string]json.RawMessage `json:"verificationMaterial"`
	DSSE                 struct {
		Payload     []byte `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			Sig   []byte `json:"sig"`
			KeyID string `json:"keyid"`
		} `json:"signatures"`
	} `json:"dsseEnvelope"`
}

// statement is one that is checked when it was signed.
const statement = `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1",` +
	`"subject":[{"name":"image-id","digest":{"sha256":"` + "0000000000000000000000000000000000000000000000000000000000000000" + `"}}],"predicate":{"a":"<&>"}}`

// Every kind of key that verifiers take makes a bundle of key and signature.
func TestKeyed(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for name, row := range map[string]struct {
		key  crypto.Signer
		hash crypto.Hash
	}{
		"P-256": {ec(t, elliptic.P256()), crypto.SHA256}, "P-384": {ec(t, elliptic.P384()), crypto.SHA384}, "P-521": {ec(t, elliptic.P521()), crypto.SHA512},
		"Ed25519": {ed, crypto.SHA512}, "RSA": {rsaOf(t, 2048), crypto.SHA256}, "RSA of an odd size": {rsaOf(t, 2056), crypto.SHA256},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := x509.MarshalPKIXPublicKey(row.key.Public())
			require.NoError(t, err)
			sum := sha256.Sum256(der)
			identity, err := NoServices().Keyed(&local{Signer: row.key}, now)
			require.NoError(t, err)
			require.Equal(t, "https://plombproject.github.io/builder/key/"+hex.EncodeToString(sum[:]), identity.Builder)
			data, err := identity.Sign(t.Context(), []byte(statement))
			require.NoError(t, err)

			var b keyBundle
			require.NoError(t, json.Unmarshal(data, &b))
			require.Equal(t, "application/vnd.dev.sigstore.bundle.v0.3+json", b.MediaType)
			require.JSONEq(t, `{"hint":"`+base64.StdEncoding.EncodeToString(sum[:])+`"}`, string(b.VerificationMaterial["publicKey"]))
			require.Len(t, b.VerificationMaterial, 1)
			require.Equal(t, provenance.PayloadType, b.DSSE.PayloadType)
			require.Equal(t, statement, string(b.DSSE.Payload))
			require.Len(t, b.DSSE.Signatures, 1)
			h := row.hash.New()
			fmt.Fprintf(h, "DSSEv1 %d %s %d %s", len(b.DSSE.PayloadType), b.DSSE.PayloadType, len(b.DSSE.Payload), b.DSSE.Payload)
			pair := &keypair{key: &local{Signer: row.key}, hash: row.hash}
			require.True(t, pair.signed(h.Sum(nil), b.DSSE.Signatures[0].Sig))
			var again json.RawMessage
			require.NoError(t, json.Unmarshal(data, &again))
			same, err := json.Marshal(again)
			require.NoError(t, err)
			require.Equal(t, string(data), string(same), "an exporter that encodes it again leaves it alone")
		})
	}
}

func TestKeyedRefusesKeys(t *testing.T) {
	for name, row := range map[string]struct {
		key  crypto.PublicKey
		says string
	}{
		"P-224":           {ec(t, elliptic.P224()).Public(), "ECDSA on P-224: use P-256, P-384 or P-521"},
		"RSA, too short":  {rsaOf(t, 1024).Public(), "RSA with 1024 bits: use 2048 to 8192"},
		"RSA, a bit less": {rsaOf(t, 2047).Public(), "RSA with 2047 bits"},
		"X25519":          {&ecdh.PublicKey{}, "unknown kind"},
		"none":            {nil, "unknown kind"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := HashFor(row.key)
			require.ErrorIs(t, err, ErrKey)
			require.ErrorContains(t, err, row.says)
			key := &local{Signer: ec(t, elliptic.P256()), public: row.key}
			if row.key != nil {
				_, err = NoServices().Keyed(key, now)
				require.ErrorIs(t, err, ErrKey)
			}
		})
	}
	s, err := LoadServices(config("", "", "https://log.invalid"), nil)
	require.NoError(t, err)
	_, err = s.Keyed(&local{Signer: rsaOf(t, 2056)}, now)
	require.ErrorIs(t, err, ErrKey)
	require.ErrorContains(t, err, "2048, 3072 and 4096 bits only")
	_, err = s.Keyed(&local{Signer: ec(t, elliptic.P256())}, now.AddDate(5, 0, 0))
	require.ErrorIs(t, err, ErrSigningConfig, "the log is out of service: nothing is left out in silence")
	_, err = NoServices().Certify(t.Context(), idToken, now)
	require.ErrorIs(t, err, ErrSigningConfig)
}

// No service hears of a signature that is not the key's.
func TestKeyedChecksWhatItGets(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer srv.Close()
	s, err := LoadServices(config("", srv.URL, srv.URL), nil)
	require.NoError(t, err)
	away := errors.New("the key is away")
	for name, row := range map[string]struct {
		key *local
		is  error
	}{
		"it does not sign": {&local{Signer: ec(t, elliptic.P256()), err: away}, away},
		"another key does": {&local{Signer: ec(t, elliptic.P256()), public: ec(t, elliptic.P256()).Public()}, ErrKey},
		"another kind":     {&local{Signer: rsaOf(t, 2048), public: ec(t, elliptic.P256()).Public()}, ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			identity, err := s.Keyed(row.key, now)
			require.NoError(t, err)
			require.Zero(t, row.key.asked, "not before there is something to sign")
			_, err = identity.Sign(t.Context(), []byte("{}"))
			require.ErrorIs(t, err, row.is)
			require.NotErrorIs(t, err, ErrSelfCheck)
			require.Zero(t, asked)
		})
	}
}

// A service that fails leaves no bundle.
func TestKeyedNeedsItsServices(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not today", http.StatusForbidden)
	}))
	defer srv.Close()
	s, err := LoadServices(config("", srv.URL, ""), nil)
	require.NoError(t, err)
	identity, err := s.Keyed(&local{Signer: ec(t, elliptic.P256())}, now)
	require.NoError(t, err)
	bundle, err := identity.Sign(t.Context(), []byte("{}"))
	require.ErrorIs(t, err, ErrService)
	require.ErrorContains(t, err, "timestamp authority at "+srv.URL)
	require.Nil(t, bundle)
}
