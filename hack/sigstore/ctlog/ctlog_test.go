// SPDX-License-Identifier: Apache-2.0

package ctlog

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/hack/sigstore/keys"
)

func newIssuer(t *testing.T) keys.Pair {
	t.Helper()
	pair, err := keys.NewChain("issuer", &keys.Template{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, time.Now())
	require.NoError(t, err)
	return pair
}

func precert(t *testing.T, issuer keys.Pair) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	// RFC 6962, 3.1: "The Precertificate is constructed [...] by adding a special
	// critical poison extension".
	poison := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}, Critical: true, Value: asn1.NullBytes}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{poison},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Chain[0], key.Public(), issuer.Signer)
	require.NoError(t, err)
	return der
}

func TestOnlyTheIssuersPrecertificatesAreAccepted(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ours, theirs := newIssuer(t), newIssuer(t)
	log, err := New(key, ours.Chain[0], time.Now)
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		chain  [][]byte
		status int
	}{
		{"ours", [][]byte{precert(t, ours), ours.Chain[0].Raw}, http.StatusOK},
		{"theirs", [][]byte{precert(t, theirs), theirs.Chain[0].Raw}, http.StatusBadRequest},
		{"theirs under our name", [][]byte{precert(t, theirs), ours.Chain[0].Raw}, http.StatusBadRequest},
		{"no issuer", [][]byte{precert(t, ours)}, http.StatusBadRequest},
		{"no certificate", [][]byte{{1}, ours.Chain[0].Raw}, http.StatusBadRequest},
		{"not a precertificate", [][]byte{ours.Chain[0].Raw, ours.Chain[1].Raw}, http.StatusBadRequest},
		{"empty", nil, http.StatusBadRequest},
	} {
		body, err := json.Marshal(ct.AddChainRequest{Chain: c.chain})
		require.NoError(t, err)
		answer := httptest.NewRecorder()
		log.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, ct.AddPreChainPath, bytes.NewReader(body)))
		require.Equal(t, c.status, answer.Code, "%s: %s", c.name, answer.Body)
	}
}
