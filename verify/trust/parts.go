// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Parts are the keys and certificates of a Sigstore of one's own, as a
// TrustRoot document has them under sigstoreKeys. The documents know no
// validity: every part is in force from 1970 on, and a certificate as long as
// it says itself. A key that is to be retired needs a trusted_root.json.
type Parts struct {
	CertificateAuthorities []PartAuthority
	TLogs                  []PartLog
	CTLogs                 []PartLog
	TimestampAuthorities   []PartAuthority
}

// PartAuthority is a certificate authority, or a timestamp authority.
type PartAuthority struct {
	// URI names it; decisions and `plomb trust show` say it.
	URI string
	// Organization and CommonName are what the document calls it. They are
	// names only, as with policy-controller, whose own examples have other
	// ones than the certificates: what is trusted is the chain.
	Organization, CommonName string
	// Chain is PEM: the issuing certificate, or the timestamping one, first,
	// each followed by its issuer, a root last.
	Chain []byte
}

// PartLog is a transparency log. Its ID is the SHA-256 of its public key (the
// DER of its SubjectPublicKeyInfo), as RFC 6962, section 3.2, has it.
type PartLog struct {
	BaseURL string
	// HashAlgorithm of the log's tree: sha256 or sha-256.
	HashAlgorithm string
	// Key is one public key in PEM.
	Key []byte
}

const (
	// maxPEM bounds the PEM of one part; a chain has three certificates.
	maxPEM = 64 << 10
	// maxParts bounds each list.
	maxParts = 64
)

// FromParts is the trust instance that the parts make up. Errors are ErrRoot
// and name the part.
func FromParts(p Parts) (*Root, error) {
	data, err := p.marshal()
	if err != nil {
		return nil, err
	}
	return ParsePart(data)
}

// ParsePart is Decode for a root that holds something: it may be for one
// purpose, such as timestamps, or want logs, as GitHub's does. NewVerifier says
// whether it has what a trust asks for.
func ParsePart(data []byte) (*Root, error) {
	r, err := Decode(data)
	if err != nil {
		return nil, err
	}
	m := r.material
	if len(m.FulcioCertificateAuthorities())+len(m.TimestampingAuthorities())+len(m.RekorLogs()) == 0 {
		return nil, fmt.Errorf("%w: it has neither certificateAuthorities, nor timestampAuthorities, nor tlogs", ErrRoot)
	}
	return r, nil
}

// marshal writes the parts as trusted_root.json, so that they are read, checked
// and digested as every other root.
func (p Parts) marshal() ([]byte, error) {
	m := &prototrustroot.TrustedRoot{MediaType: root.TrustedRootMediaType01}
	for _, list := range []struct {
		field string
		from  []PartAuthority
		to    *[]*prototrustroot.CertificateAuthority
	}{
		{"certificateAuthorities", p.CertificateAuthorities, &m.CertificateAuthorities},
		{"timestampAuthorities", p.TimestampAuthorities, &m.TimestampAuthorities},
	} {
		if err := convert(list.field, list.from, list.to, PartAuthority.proto); err != nil {
			return nil, err
		}
	}
	for _, list := range []struct {
		field string
		from  []PartLog
		to    *[]*prototrustroot.TransparencyLogInstance
	}{{"tLogs", p.TLogs, &m.Tlogs}, {"ctLogs", p.CTLogs, &m.Ctlogs}} {
		if err := convert(list.field, list.from, list.to, PartLog.proto); err != nil {
			return nil, err
		}
		if err := checkDistinct(list.field, *list.to); err != nil {
			return nil, err
		}
	}
	data, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	// protojson puts spaces at random; the digest must not depend on them.
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRoot, err)
	}
	return out.Bytes(), nil
}

func convert[From, To any](field string, from []From, to *[]To, proto func(From) (To, error)) error {
	if len(from) > maxParts {
		return fmt.Errorf("%w: %s has %d entries, more than %d", ErrRoot, field, len(from), maxParts)
	}
	for i, part := range from {
		converted, err := proto(part)
		if err != nil {
			return fmt.Errorf("%w: %s[%d]: %w", ErrRoot, field, i, err)
		}
		*to = append(*to, converted)
	}
	return nil
}

// checkDistinct refuses two logs with one key: the later would silently take
// the place of the earlier.
func checkDistinct(field string, logs []*prototrustroot.TransparencyLogInstance) error {
	urls := map[string]string{}
	for _, log := range logs {
		id := string(log.GetLogId().GetKeyId())
		if other, taken := urls[id]; taken {
			return fmt.Errorf("%w: %s: %s and %s have the same key", ErrRoot, field, other, log.GetBaseUrl())
		}
		urls[id] = log.GetBaseUrl()
	}
	return nil
}

// always is the validity of what has none.
func always() *protocommon.TimeRange {
	return &protocommon.TimeRange{Start: &timestamppb.Timestamp{}}
}

func (a PartAuthority) proto() (*prototrustroot.CertificateAuthority, error) {
	blocks, err := decodePEM(a.Chain, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	chain := &protocommon.X509CertificateChain{}
	var certs []*x509.Certificate
	for i, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("certChain has a %q, want CERTIFICATE", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certChain: certificate %d: %w", i+1, err)
		}
		certs = append(certs, cert)
		chain.Certificates = append(chain.Certificates, &protocommon.X509Certificate{RawBytes: block.Bytes})
	}
	if err := checkChain(certs); err != nil {
		return nil, err
	}
	return &prototrustroot.CertificateAuthority{
		Subject:   &protocommon.DistinguishedName{Organization: a.Organization, CommonName: a.CommonName},
		Uri:       a.URI,
		CertChain: chain,
		ValidFor:  always(),
	}, nil
}

// checkChain demands that each certificate is signed by the one after it. A
// chain in another order would never lead anywhere, and would take an
// intermediate for the root.
func checkChain(certs []*x509.Certificate) error {
	for i, cert := range certs[1:] {
		if err := certs[i].CheckSignatureFrom(cert); err != nil {
			return fmt.Errorf("certChain: certificate %d (%s) is not issued by the next, %s: order them from the issuing certificate to the root: %w",
				i+1, certs[i].Subject, cert.Subject, err)
		}
	}
	last := certs[len(certs)-1]
	if !last.IsCA {
		return fmt.Errorf("certChain: the last certificate (%s) is no certificate authority", last.Subject)
	}
	return nil
}

func (l PartLog) proto() (*prototrustroot.TransparencyLogInstance, error) {
	if l.HashAlgorithm != "sha256" && l.HashAlgorithm != "sha-256" {
		return nil, fmt.Errorf("hashAlgorithm is %q: logs are verified with sha256 only", l.HashAlgorithm)
	}
	blocks, err := decodePEM(l.Key, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	if len(blocks) != 1 || blocks[0].Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("publicKey has %d PEM blocks, the first a %q, want one PUBLIC KEY", len(blocks), blocks[0].Type)
	}
	key, err := x509.ParsePKIXPublicKey(blocks[0].Bytes)
	if err != nil {
		return nil, fmt.Errorf("publicKey: %w", err)
	}
	details, err := keyDetails(key)
	if err != nil {
		return nil, fmt.Errorf("publicKey: %w", err)
	}
	// The DER as Go writes it, not as it came: there may be more than one, and
	// the ID is that of the key.
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("publicKey: %w", err)
	}
	id := sha256.Sum256(der)
	return &prototrustroot.TransparencyLogInstance{
		BaseUrl:       l.BaseURL,
		HashAlgorithm: protocommon.HashAlgorithm_SHA2_256,
		PublicKey:     &protocommon.PublicKey{RawBytes: der, KeyDetails: details, ValidFor: always()},
		LogId:         &protocommon.LogId{KeyId: id[:]},
	}, nil
}

// keyDetails says how a log signs with this key; that is the list of what is
// allowed.
func keyDetails(key any) (protocommon.PublicKeyDetails, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, nil
		case elliptic.P384():
			return protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384, nil
		case elliptic.P521():
			return protocommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512, nil
		}
		return 0, fmt.Errorf("curve %s: want P-256, P-384 or P-521", k.Params().Name)
	case *rsa.PublicKey:
		switch k.N.BitLen() {
		case 2048:
			return protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256, nil
		case 3072:
			return protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256, nil
		case 4096:
			return protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256, nil
		}
		return 0, fmt.Errorf("RSA with %d bits: want 2048, 3072 or 4096", k.N.BitLen())
	case ed25519.PublicKey:
		return protocommon.PublicKeyDetails_PKIX_ED25519, nil
	}
	return 0, fmt.Errorf("%T: want ECDSA, RSA or Ed25519", key)
}

// decodePEM takes PEM apart, of which there must be some, and nothing else. kind
// is what the blocks should be, for errors: the caller checks it.
func decodePEM(data []byte, kind string) ([]*pem.Block, error) {
	if len(data) > maxPEM {
		return nil, fmt.Errorf("%d bytes of PEM, more than %d", len(data), maxPEM)
	}
	begin := []byte("-----BEGIN ")
	if !bytes.Contains(data, begin) {
		return nil, fmt.Errorf("no PEM in it, want -----BEGIN %s-----", kind)
	}
	var blocks []*pem.Block
	for rest := bytes.TrimSpace(data); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		block, after := pem.Decode(rest)
		// pem.Decode skips what is no block, be it text or a broken block.
		read := rest[:len(rest)-len(after)]
		whole := block != nil && bytes.HasPrefix(read, begin) && bytes.Count(read, begin) == 1
		switch {
		case !whole && len(blocks) == 0:
			return nil, fmt.Errorf("not PEM alone: want it to begin with a whole block -----BEGIN %s-----", kind)
		case !whole:
			return nil, fmt.Errorf("not PEM after block %d", len(blocks))
		}
		blocks, rest = append(blocks, block), after
	}
	return blocks, nil
}
