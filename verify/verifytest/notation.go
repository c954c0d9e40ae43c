// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	gocose "github.com/veraison/go-cose"
)

// NotationPayload is the content type of what a Notary Project signature is
// over.
const NotationPayload = "application/vnd.cncf.notary.payload.v1+json"

// NotationJWS and NotationCOSE are the media types of the two envelopes.
const (
	NotationJWS  = jws.MediaTypeEnvelope
	NotationCOSE = cose.MediaTypeEnvelope
)

// NotationSubject is who signs unless a test says otherwise.
var NotationSubject = pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"plomb"}, CommonName: "release"}

// NotationOptions spoil a Notary Project signature. The zero value is a good
// one: JWS, by an ECDSA P-256 key, under the scheme notary.x509, without a
// timestamp.
type NotationOptions struct {
	// MediaType is NotationJWS or NotationCOSE.
	MediaType string
	// Key signs: RSA or ECDSA. NotationKey makes one.
	Key crypto.Signer
	// Subject, Serial and CRL (an address) are those of the certificate.
	Subject pkix.Name
	Serial  *big.Int
	CRL     string
	// CertificateFrom and CertificateUntil are its validity: an hour from ten
	// minutes before the signature.
	CertificateFrom, CertificateUntil time.Time
	// Usage is the extended key usage, code signing by default.
	Usage []x509.ExtKeyUsage
	// Weak signs the certificate with SHA-1.
	Weak bool
	// SignedAt is the signing time; now by default. Expiry limits the
	// signature.
	SignedAt, Expiry time.Time
	// SigningAuthority signs under the scheme notary.x509.signingAuthority.
	SigningAuthority bool
	// Timestamp is whose timestamp authority countersigns, at StampedAt
	// (SignedAt by default).
	Timestamp *Notary
	StampedAt time.Time
	// Annotations are added to the target.
	Annotations map[string]string
	// Critical and Extra are signed attributes.
	Critical, Extra map[string]any
	// PayloadType and Payload take the place of what should be signed.
	PayloadType string
	Payload     []byte
}

// NotationKey makes a key: RSA of so many bits, or ECDSA on the curve with so
// many.
func NotationKey(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	curve := map[int]elliptic.Curve{256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()}[bits]
	if curve == nil {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		require.NoError(t, err)
		return key
	}
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return key
}

// Notation signs a descriptor as opts say, and returns the envelope.
func (n *Notary) Notation(t testing.TB, target ocispec.Descriptor, opts NotationOptions) []byte {
	t.Helper()
	opts = opts.withDefaults(t)
	payload := opts.Payload
	if payload == nil {
		target.Annotations = maps.Clone(target.Annotations)
		for k, v := range opts.Annotations {
			if target.Annotations == nil {
				target.Annotations = map[string]string{}
			}
			target.Annotations[k] = v
		}
		var err error
		payload, err = json.Marshal(map[string]any{"targetArtifact": target})
		require.NoError(t, err)
	}
	scheme := signature.SigningSchemeX509
	if opts.SigningAuthority {
		scheme = signature.SigningSchemeX509SigningAuthority
	}
	request := &signature.SignRequest{
		Payload:                  signature.Payload{ContentType: opts.PayloadType, Content: payload},
		Signer:                   n.signer(t, opts),
		SigningTime:              opts.SignedAt,
		Expiry:                   opts.Expiry,
		SigningScheme:            scheme,
		SigningAgent:             "verifytest",
		ExtendedSignedAttributes: opts.attributes(),
	}
	if opts.Timestamp != nil {
		request.Timestamper = stamper{t, opts.Timestamp, opts.StampedAt}
		request.TSARootCAs = x509.NewCertPool()
		request.TSARootCAs.AddCert(opts.Timestamp.tsaRoot.cert)
	}
	envelope, err := signature.NewEnvelope(opts.MediaType)
	require.NoError(t, err)
	data, err := envelope.Sign(request)
	require.NoError(t, err)
	// The library does not sign with a certificate that it would refuse, so
	// it has signed with a good one, and this puts in the one that was asked
	// for: the chain is not signed.
	return SwapNotationChain(t, data, opts.MediaType, n.chain(t, opts))
}

func (o NotationOptions) withDefaults(t testing.TB) NotationOptions {
	t.Helper()
	if o.MediaType == "" {
		o.MediaType = NotationJWS
	}
	if o.Key == nil {
		o.Key = newKey(t)
	}
	if o.Subject.String() == "" {
		o.Subject = NotationSubject
	}
	if o.Serial == nil {
		o.Serial = big.NewInt(time.Now().UnixNano())
	}
	if o.SignedAt.IsZero() {
		o.SignedAt = time.Now()
	}
	if o.StampedAt.IsZero() {
		o.StampedAt = o.SignedAt
	}
	if o.CertificateFrom.IsZero() {
		o.CertificateFrom = o.SignedAt.Add(-10 * time.Minute)
	}
	if o.CertificateUntil.IsZero() {
		o.CertificateUntil = o.CertificateFrom.Add(validity)
	}
	if o.Usage == nil {
		o.Usage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}
	if o.PayloadType == "" {
		o.PayloadType = NotationPayload
	}
	return o
}

func (o NotationOptions) attributes() []signature.Attribute {
	var list []signature.Attribute
	for k, v := range o.Critical {
		list = append(list, signature.Attribute{Key: k, Critical: true, Value: v})
	}
	for k, v := range o.Extra {
		list = append(list, signature.Attribute{Key: k, Value: v})
	}
	return list
}

// chain is the certificate that opts ask for, and those above it.
func (n *Notary) chain(t testing.TB, opts NotationOptions) []*x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: opts.Serial,
		Subject:      opts.Subject,
		NotBefore:    opts.CertificateFrom,
		NotAfter:     opts.CertificateUntil,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  opts.Usage,
	}
	if opts.CRL != "" {
		template.CRLDistributionPoints = []string{opts.CRL}
	}
	if opts.Weak {
		template.SignatureAlgorithm = x509.ECDSAWithSHA1
	}
	return []*x509.Certificate{certify(t, template, &n.issuer, opts.Key.Public()), n.issuer.cert, n.root.cert}
}

// signer signs with the key of opts and shows a certificate that the library
// has no objection to.
func (n *Notary) signer(t testing.TB, opts NotationOptions) signature.Signer {
	t.Helper()
	good := opts
	good.Usage, good.Weak = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, false
	good.CertificateFrom, good.CertificateUntil = opts.SignedAt.Add(-time.Minute), opts.SignedAt.Add(time.Minute)
	spec := signature.KeySpec{Type: signature.KeyTypeRSA}
	switch key := opts.Key.(type) {
	case *ecdsa.PrivateKey:
		spec = signature.KeySpec{Type: signature.KeyTypeEC, Size: key.Curve.Params().BitSize}
	case *rsa.PrivateKey:
		spec.Size = key.N.BitLen()
		if spec.Size < 2048 {
			spec.Size = 2048
			good.Key = NotationKey(t, spec.Size)
		}
	}
	return keySigner{key: opts.Key, spec: spec, chain: n.chain(t, good)}
}

// keySigner is a signature.Signer over any key, as one in a device would be.
type keySigner struct {
	key   crypto.Signer
	spec  signature.KeySpec
	chain []*x509.Certificate
}

func (s keySigner) KeySpec() (signature.KeySpec, error) { return s.spec, nil }

func (s keySigner) Sign(content []byte) ([]byte, []*x509.Certificate, error) {
	hash := s.spec.SignatureAlgorithm().Hash()
	h := hash.New()
	h.Write(content)
	if key, ok := s.key.(*ecdsa.PrivateKey); ok {
		r, v, err := ecdsa.Sign(rand.Reader, key, h.Sum(nil))
		if err != nil {
			return nil, nil, err
		}
		// RFC 7518, section 3.4: r and s, each as long as the curve's order.
		size := (key.Curve.Params().BitSize + 7) / 8
		sig := make([]byte, 2*size)
		r.FillBytes(sig[:size])
		v.FillBytes(sig[size:])
		return sig, s.chain, nil
	}
	sig, err := s.key.Sign(rand.Reader, h.Sum(nil), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash})
	return sig, s.chain, err
}

// SwapNotationChain replaces the certificates in an envelope.
func SwapNotationChain(t testing.TB, data []byte, mediaType string, chain []*x509.Certificate) []byte {
	t.Helper()
	if mediaType == NotationCOSE {
		var message gocose.Sign1Message
		require.NoError(t, message.UnmarshalCBOR(data))
		list := make([]any, len(chain))
		for i, c := range chain {
			list[i] = c.Raw
		}
		message.Headers.Unprotected[gocose.HeaderLabelX5Chain] = list
		message.Headers.RawUnprotected = nil
		out, err := message.MarshalCBOR()
		require.NoError(t, err)
		return out
	}
	var envelope map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &envelope))
	var header map[string]any
	require.NoError(t, json.Unmarshal(envelope["header"], &header))
	list := make([][]byte, len(chain))
	for i, c := range chain {
		list[i] = c.Raw
	}
	header["x5c"] = list
	var err error
	envelope["header"], err = json.Marshal(header)
	require.NoError(t, err)
	out, err := json.Marshal(envelope)
	require.NoError(t, err)
	return out
}
