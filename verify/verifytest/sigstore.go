// SPDX-License-Identifier: Apache-2.0

// Package verifytest has what the tests of verify and of everything that calls
// it need: a Sigstore whose bundles are real and can be spoilt one property at
// a time, images, and a registry that can lie. It is imported by tests only.
package verifytest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Who signs unless a test says otherwise: a GitHub Actions workflow.
const (
	Issuer  = "https://token.actions.githubusercontent.com"
	Subject = "https://github.com/plombproject/demo/.github/workflows/release.yml@refs/heads/main"

	// FulcioURL is the certificate authority's name in the trusted root.
	FulcioURL = "https://fulcio.test"

	// RekorURL and Rekor1URL are the logs' names in the trusted root, of
	// version 2 and 1, and TSAURL is the timestamp authority's.
	RekorURL  = "https://" + logOrigin
	Rekor1URL = "https://" + log1Origin
	TSAURL    = "https://tsa.test"

	logOrigin  = "rekor.test"
	log1Origin = "rekor1.test"
	validity   = time.Hour
)

// authority is a certificate with its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Sigstore is a certificate authority, a certificate transparency log, two
// transparency logs (Rekor v2 and v1) and a timestamp authority.
type Sigstore struct {
	fulcioRoot, fulcio   authority
	tsaRoot, tsa         authority
	ctLog, rekor, rekor1 *ecdsa.PrivateKey
	start                time.Time
}

// NewSigstore makes a Sigstore with keys of its own, which are valid for an
// hour before and after now.
func NewSigstore(t testing.TB) *Sigstore {
	t.Helper()
	s := &Sigstore{ctLog: newKey(t), rekor: newKey(t), rekor1: newKey(t), start: time.Now().Add(-validity)}
	s.fulcioRoot = s.issue(t, "fulcio root", nil, nil)
	s.fulcio = s.issue(t, "fulcio", &s.fulcioRoot, nil)
	s.tsaRoot = s.issue(t, "tsa root", nil, nil)
	s.tsa = s.issue(t, "tsa", &s.tsaRoot, []pkix.Extension{timestampingUsage(t)})
	return s
}

// ExpireFulcio lets the issuing certificate expire, so that it issues
// certificates that outlive it.
func (s *Sigstore) ExpireFulcio(t testing.TB, at time.Time) {
	t.Helper()
	template := *s.fulcio.cert
	template.NotAfter = at
	der, err := x509.CreateCertificate(rand.Reader, &template, s.fulcioRoot.cert, s.fulcio.key.Public(), s.fulcioRoot.key)
	require.NoError(t, err)
	s.fulcio.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
}

// CACert is the certificate authority's chain in PEM.
func (s *Sigstore) CACert() []byte {
	return append(pemOf("CERTIFICATE", s.fulcio.cert.Raw), pemOf("CERTIFICATE", s.fulcioRoot.cert.Raw)...)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

// issue makes a CA certificate, or with extensions a leaf.
func (s *Sigstore) issue(t testing.TB, name string, parent *authority, leaf []pkix.Extension) authority {
	t.Helper()
	a := authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name, Organization: []string{"verifytest"}},
		NotBefore:             s.start,
		NotAfter:              time.Now().Add(validity),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if leaf != nil {
		template.IsCA, template.KeyUsage, template.ExtraExtensions = false, x509.KeyUsageDigitalSignature, leaf
	}
	if parent == nil {
		parent = &authority{cert: template, key: a.key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.cert, a.key.Public(), parent.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return a
}

// RootOptions spoil a trusted root.
type RootOptions struct {
	// RekorUntil ends the validity of the logs' keys.
	RekorUntil time.Time
	// Without leaves parts out, with commas between them:
	// certificateAuthorities, tlogs, ctlogs, timestampAuthorities.
	Without string
	// Always puts every part in force at any time, as far as the root says.
	Always bool
	// Operator runs the logs and the timestamp authority.
	Operator string
}

// TrustedRoot is the trusted_root.json of the Sigstore.
func (s *Sigstore) TrustedRoot(t testing.TB, opts RootOptions) []byte {
	t.Helper()
	until := time.Now().Add(validity)
	rekorUntil := until
	if !opts.RekorUntil.IsZero() {
		rekorUntil = opts.RekorUntil
	}
	m := &prototrustroot.TrustedRoot{
		MediaType:              root.TrustedRootMediaType01,
		CertificateAuthorities: []*prototrustroot.CertificateAuthority{s.chain(FulcioURL, until, s.fulcio, s.fulcioRoot)},
		TimestampAuthorities:   []*prototrustroot.CertificateAuthority{s.chain(TSAURL, until, s.tsa, s.tsaRoot)},
		Tlogs: []*prototrustroot.TransparencyLogInstance{
			s.log(t, RekorURL, s.rekor, rekorUntil),
			s.log(t, Rekor1URL, s.rekor1, rekorUntil),
		},
		Ctlogs: []*prototrustroot.TransparencyLogInstance{s.log(t, "https://ct.test", s.ctLog, until)},
	}
	for _, log := range m.GetTlogs() {
		log.Operator = opts.Operator
	}
	m.TimestampAuthorities[0].Operator = opts.Operator
	if opts.Always {
		m.TimestampAuthorities[0].ValidFor = always()
		m.CertificateAuthorities[0].ValidFor = always()
		for _, log := range m.GetTlogs() {
			log.PublicKey.ValidFor = always()
		}
	}
	for part := range strings.SplitSeq(opts.Without, ",") {
		switch part {
		case "certificateAuthorities":
			m.CertificateAuthorities = nil
		case "timestampAuthorities":
			m.TimestampAuthorities = nil
		case "tlogs":
			m.Tlogs = nil
		case "ctlogs":
			m.Ctlogs = nil
		}
	}
	data, err := protojson.Marshal(m)
	require.NoError(t, err)
	return data
}

func (s *Sigstore) chain(uri string, until time.Time, certs ...authority) *prototrustroot.CertificateAuthority {
	chain := &protocommon.X509CertificateChain{}
	for _, c := range certs {
		chain.Certificates = append(chain.Certificates, &protocommon.X509Certificate{RawBytes: c.cert.Raw})
	}
	return &prototrustroot.CertificateAuthority{Uri: uri, CertChain: chain, ValidFor: s.period(until)}
}

func always() *protocommon.TimeRange {
	return &protocommon.TimeRange{Start: &timestamppb.Timestamp{}}
}

func (s *Sigstore) period(until time.Time) *protocommon.TimeRange {
	return &protocommon.TimeRange{Start: timestamppb.New(s.start), End: timestamppb.New(until)}
}

func (s *Sigstore) log(t testing.TB, url string, key *ecdsa.PrivateKey, until time.Time) *prototrustroot.TransparencyLogInstance {
	t.Helper()
	return &prototrustroot.TransparencyLogInstance{
		BaseUrl:       url,
		HashAlgorithm: protocommon.HashAlgorithm_SHA2_256,
		PublicKey: &protocommon.PublicKey{
			RawBytes:   spki(t, key.Public()),
			KeyDetails: protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
			ValidFor:   s.period(until),
		},
		LogId: &protocommon.LogId{KeyId: logID(t, key.Public())},
	}
}

func spki(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	require.NoError(t, err)
	return der
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func logID(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	sum := sha256.Sum256(spki(t, key))
	return sum[:]
}

// background is the context of signers that take one and do no I/O.
func background() context.Context { return context.Background() }
