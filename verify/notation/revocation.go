// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
)

// revocation: no certificate of the chain is revoked. It is decided by the
// revocation lists at hand, never over the network: what a certificate
// authority's server says today could not be replayed tomorrow, and whether a
// container starts would depend on it (docs/decisions/0013).
func (e *examination) revocation() error { return e.unrevoked(e.info.CertificateChain) }

// unrevoked goes through a chain without its root, which nobody could revoke.
func (e *examination) unrevoked(chain []*x509.Certificate) error {
	var unknown error
	for i := 0; i+1 < len(chain); i++ {
		known, err := e.lookUp(chain[i], chain[i+1])
		if err != nil {
			return err // a certificate that is revoked tells more than one that may be
		}
		if !known && revocable(chain[i]) && unknown == nil {
			unknown = fmt.Errorf("%w: %q can be revoked, and no current revocation list of %q is at hand; put one into the folder of revocation lists",
				ErrRevocation, chain[i].Subject, chain[i+1].Subject)
		}
	}
	return unknown
}

// revocable: the authority says where to ask. A certificate without such an
// address cannot be revoked.
func revocable(cert *x509.Certificate) bool {
	return len(cert.CRLDistributionPoints) > 0 || len(cert.OCSPServer) > 0
}

// lookUp searches the lists of the issuer. known: one of them is complete and
// in force, and the certificate is not on it.
func (e *examination) lookUp(cert, issuer *x509.Certificate) (known bool, err error) {
	for _, list := range e.v.crls {
		if !bytes.Equal(list.RawIssuer, issuer.RawSubject) || list.CheckSignatureFrom(issuer) != nil {
			continue
		}
		for _, entry := range list.RevokedCertificateEntries {
			// removeFromCRL (RFC 5280, section 5.3.1) is only for lists of changes.
			if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 && entry.ReasonCode != removeFromCRL {
				return false, fmt.Errorf("%w: %q (serial %s), since %s", ErrRevoked, cert.Subject, cert.SerialNumber.Text(16), stamp(entry.RevocationTime))
			}
		}
		if e.inForce(list) && complete(list) {
			known = true
		}
	}
	return known, nil
}

const removeFromCRL = 8

// inForce: an old list can still convict, but no longer acquit.
func (e *examination) inForce(list *x509.RevocationList) bool {
	return !e.now.Before(list.ThisUpdate) && !list.NextUpdate.IsZero() && e.now.Before(list.NextUpdate)
}

// issuingDistributionPoint and deltaCRLIndicator are critical extensions of
// lists that do not speak of every certificate (RFC 5280, sections 5.2.4 and
// 5.2.5).
var (
	deltaCRLIndicator        = asn1.ObjectIdentifier{2, 5, 29, 27}
	issuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// complete: nothing about the list says that it leaves certificates out.
func complete(list *x509.RevocationList) bool {
	for _, ext := range list.Extensions {
		if ext.Critical || ext.Id.Equal(deltaCRLIndicator) || ext.Id.Equal(issuingDistributionPoint) {
			return false
		}
	}
	return true
}
