// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"
)

// lifetime of everything the local Sigstore certifies: long enough that no
// stand outlives it.
const lifetime = 10 * 365 * 24 * time.Hour

// backdate makes a fresh chain valid for a client whose clock is a little
// behind.
const backdate = time.Hour

// Template describes the certificate of the key at the bottom of a chain. The
// caller fills what makes it a CA or a leaf; NewChain fills serial number and
// validity.
type Template = x509.Certificate

// NewChain makes a root with a throw-away key and, below it, the certificate
// described by template with a new ECDSA P-256 key. Nothing else can ever be
// signed by the root.
func NewChain(name string, template *Template, now time.Time) (Pair, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	root := &x509.Certificate{
		Subject:               subject(name + " root"),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLen:            1,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	rootCert, err := certify(root, root, rootKey.Public(), rootKey, now)
	if err != nil {
		return Pair{}, fmt.Errorf("certify root: %w", err)
	}
	template.Subject = subject(name)
	cert, err := certify(template, rootCert, key.Public(), rootKey, now)
	if err != nil {
		return Pair{}, fmt.Errorf("certify %s: %w", name, err)
	}
	return Pair{Signer: key, Chain: []*x509.Certificate{cert, rootCert}}, nil
}

func subject(name string) pkix.Name {
	return pkix.Name{Organization: []string{"plomb local sigstore"}, CommonName: name}
}

func certify(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, now time.Time) (*x509.Certificate, error) {
	// RFC 5280, 4.1.2.2: "CAs MUST force the serialNumber to be a non-negative
	// integer", at most 20 octets.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 159))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-backdate)
	template.NotAfter = now.Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
