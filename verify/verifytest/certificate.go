// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"testing"
	"time"

	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	"github.com/google/certificate-transparency-go/x509util"
	"github.com/stretchr/testify/require"
)

var (
	oidIssuerV2     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
	oidSCTList      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
	oidExtKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimestamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
)

// timestampingUsage is the critical extended key usage that RFC 3161, section
// 2.3, wants.
func timestampingUsage(t testing.TB) pkix.Extension {
	t.Helper()
	value, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimestamping})
	require.NoError(t, err)
	return pkix.Extension{Id: oidExtKeyUsage, Critical: true, Value: value}
}

// leaf issues a signing certificate as Fulcio does: the subject is a URI, the
// issuer an extension, and a certificate transparency log has seen it.
func (s *Sigstore) leaf(t testing.TB, key crypto.Signer, opts BundleOptions) *x509.Certificate {
	t.Helper()
	subject, err := url.Parse(opts.Subject)
	require.NoError(t, err)
	issuer, err := asn1.MarshalWithParams(opts.Issuer, "utf8")
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber:    big.NewInt(time.Now().UnixNano()),
		NotBefore:       opts.CertificateFrom,
		NotAfter:        opts.CertificateFrom.Add(10 * time.Minute),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		URIs:            []*url.URL{subject},
		ExtraExtensions: append([]pkix.Extension{{Id: oidIssuerV2, Value: issuer}}, opts.Extensions...),
	}
	cert := s.certify(t, template, key)
	if opts.NoSCT {
		return cert
	}
	orElse(&opts.SCTBy, s)
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oidSCTList, Value: opts.SCTBy.scts(t, cert, s.fulcio.cert)})
	return s.certify(t, template, key)
}

func (s *Sigstore) certify(t testing.TB, template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, s.fulcio.cert, key.Public(), s.fulcio.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// scts is the SCT list extension for a certificate that does not have it yet
// (RFC 6962, section 3.3): without it, its TBSCertificate is what the log
// signs.
func (s *Sigstore) scts(t testing.TB, cert, issuer *x509.Certificate) []byte {
	t.Helper()
	sct := ct.SignedCertificateTimestamp{
		SCTVersion: ct.V1,
		LogID:      ct.LogID{KeyID: [32]byte(logID(t, s.ctLog.Public()))},
		Timestamp:  uint64(time.Now().UnixMilli()),
	}
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		Version:  ct.V1,
		LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{
			EntryType: ct.PrecertLogEntryType,
			Timestamp: sct.Timestamp,
			PrecertEntry: &ct.PreCert{
				IssuerKeyHash:  sha256.Sum256(issuer.RawSubjectPublicKeyInfo),
				TBSCertificate: cert.RawTBSCertificate,
			},
		},
	}})
	require.NoError(t, err)
	sct.Signature = ct.DigitallySigned{
		Algorithm: cttls.SignatureAndHashAlgorithm{Hash: cttls.SHA256, Signature: cttls.ECDSA},
		Signature: sign(t, s.ctLog, input),
	}
	list, err := x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct})
	require.NoError(t, err)
	raw, err := cttls.Marshal(*list)
	require.NoError(t, err)
	value, err := asn1.Marshal(raw)
	require.NoError(t, err)
	return value
}
