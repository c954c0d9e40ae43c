// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/notaryproject/tspclient-go"
	"github.com/stretchr/testify/require"
)

// Notary is an X.509 authority with an intermediate, and a timestamp authority
// of its own (RFC 3161), whose signatures are real Notary Project ones.
type Notary struct {
	root, issuer authority
	tsaRoot, tsa authority
}

// NewNotary makes a Notary with keys of its own. Its authorities were valid for
// ten years.
func NewNotary(t testing.TB) *Notary {
	t.Helper()
	n := &Notary{}
	n.root = issueLong(t, "notation root", nil, nil)
	n.issuer = issueLong(t, "notation issuer", &n.root, nil)
	n.tsaRoot = issueLong(t, "notation tsa root", nil, nil)
	n.tsa = issueLong(t, "notation tsa", &n.tsaRoot, []pkix.Extension{timestampingUsage(t)})
	return n
}

// issueLong makes an authority, or with extensions a leaf, that is ten years
// old.
func issueLong(t testing.TB, name string, parent *authority, leaf []pkix.Extension) authority {
	t.Helper()
	a := authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"verifytest"}},
		NotBefore:             time.Now().AddDate(-10, 0, 0),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if leaf != nil {
		template.IsCA, template.KeyUsage, template.ExtraExtensions = false, x509.KeyUsageDigitalSignature, leaf
	}
	if parent == nil {
		parent = &authority{cert: template, key: a.key}
	}
	a.cert = certify(t, template, parent, a.key.Public())
	return a
}

func certify(t testing.TB, template *x509.Certificate, parent *authority, key crypto.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, key, parent.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// CA is the root certificate, for trust stores of type ca or signingAuthority.
func (n *Notary) CA() []*x509.Certificate { return []*x509.Certificate{n.root.cert} }

// TSA is the root certificate of the timestamp authority.
func (n *Notary) TSA() []*x509.Certificate { return []*x509.Certificate{n.tsaRoot.cert} }

// PEM encodes certificates as a policy or a trust store has them.
func PEM(certs ...*x509.Certificate) string {
	var out bytes.Buffer
	for _, c := range certs {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes everything
	}
	return out.String()
}

// CRL is a revocation list of the intermediate authority, in force for an
// hour from the given time.
func (n *Notary) CRL(t testing.TB, from time.Time, revoked ...*big.Int) *x509.RevocationList {
	t.Helper()
	return revoke(t, n.issuer, from, revoked)
}

// RevokedTSA is a revocation list with the timestamp authority on it.
func (n *Notary) RevokedTSA(t testing.TB, from time.Time) *x509.RevocationList {
	t.Helper()
	return revoke(t, n.tsaRoot, from, []*big.Int{n.tsa.cert.SerialNumber})
}

func revoke(t testing.TB, by authority, from time.Time, revoked []*big.Int) *x509.RevocationList {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: from.Add(validity)}
	for _, serial := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: from})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, by.cert, by.key)
	require.NoError(t, err)
	list, err := x509.ParseRevocationList(der)
	require.NoError(t, err)
	return list
}

// stamper is a timestamp authority without a network.
type stamper struct {
	t  testing.TB
	n  *Notary
	at time.Time
}

func (s stamper) Timestamp(_ context.Context, req *tspclient.Request) (*tspclient.Response, error) {
	der, err := req.MarshalBinary()
	require.NoError(s.t, err)
	parsed, err := timestamp.ParseRequest(der)
	require.NoError(s.t, err)
	token := timestamp.Timestamp{
		HashAlgorithm:     parsed.HashAlgorithm,
		HashedMessage:     parsed.HashedMessage,
		Nonce:             parsed.Nonce,
		Time:              s.at,
		Accuracy:          time.Second,
		Policy:            asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
		AddTSACertificate: true,
		Certificates:      []*x509.Certificate{s.n.tsaRoot.cert},
	}
	der, err = token.CreateResponseWithOpts(s.n.tsa.cert, s.n.tsa.key, crypto.SHA256)
	require.NoError(s.t, err)
	response := &tspclient.Response{}
	return response, response.UnmarshalBinary(der)
}
