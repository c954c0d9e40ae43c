// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An authority certifies signers, and other authorities.
type authority struct {
	key   crypto.Signer
	chain []*x509.Certificate // from its own certificate to the root
}

// A signer has a key and the chain of certificates that goes into envelopes.
type signer struct {
	key   crypto.Signer
	chain []*x509.Certificate
}

// cert is the authority's own certificate, which a trust store holds.
func (a *authority) cert() *x509.Certificate { return a.chain[0] }

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	return (&authority{}).certify(t, name)
}

// certify makes an authority below a, or a root if a is nobody. change may
// alter its certificate first.
func (a *authority) certify(t *testing.T, name string, change ...func(*x509.Certificate)) *authority {
	t.Helper()
	template := &x509.Certificate{
		Subject: subject(name), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	for _, f := range change {
		f(template)
	}
	b := &authority{key: ecKey(t, elliptic.P256())}
	b.chain = a.sign(t, template, b.key)
	return b
}

// subject is the name of the release department's certificates, by default.
func subject(name string) pkix.Name {
	return pkix.Name{
		Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"},
		OrganizationalUnit: []string{"release"}, CommonName: name,
	}
}

// distinguishedName is subject as decisions show it.
func distinguishedName(name string) string { return "CN=" + name + ",OU=release,O=Acme,ST=WA,C=US" }

// issue certifies a signer called name. change may alter the certificate first.
func (a *authority) issue(t *testing.T, name string, key crypto.Signer, change ...func(*x509.Certificate)) *signer {
	t.Helper()
	template := &x509.Certificate{
		Subject: subject(name), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	for _, f := range change {
		f(template)
	}
	return &signer{key: key, chain: a.sign(t, template, key)}
}

// sign certifies a key and returns the chain. If a is nobody the certificate is
// signed by its own key.
func (a *authority) sign(t *testing.T, template *x509.Certificate, key crypto.Signer) []*x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	require.NoError(t, err)
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	parent, by := template, key
	if a.key != nil {
		parent, by = a.cert(), a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return append([]*x509.Certificate{cert}, a.chain...)
}

// list is a revocation list, in force for an hour, that names these
// certificates.
func (a *authority) list(t *testing.T, revoked ...*x509.Certificate) []byte {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	for _, cert := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: cert.SerialNumber, RevocationTime: time.Now().Add(-time.Minute),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.cert(), a.key)
	require.NoError(t, err)
	return der
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return key
}

func pemOf(certs ...*x509.Certificate) string {
	var text []byte
	for _, cert := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return string(text)
}
