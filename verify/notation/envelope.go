// SPDX-License-Identifier: Apache-2.0

package notation

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-core-go/signature/cose"
	"github.com/notaryproject/notation-core-go/signature/jws"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	gocose "github.com/veraison/go-cose"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/internal/document"
)

const (
	// MaxEnvelope bounds an envelope, in bytes (1 MiB). Real ones have a few
	// thousand bytes, nearly all of them certificates.
	MaxEnvelope = 1 << 20

	// MediaTypeJWS and MediaTypeCOSE are the two formats (signature
	// specification, "Signature Envelope").
	MediaTypeJWS  = jws.MediaTypeEnvelope
	MediaTypeCOSE = cose.MediaTypeEnvelope

	// mediaTypePayload is what the content type of the payload has to be
	// (signature specification, "Payload").
	mediaTypePayload = "application/vnd.cncf.notary.payload.v1+json"

	// maxChain and maxRSA bound what checking the certificates costs before
	// any of them is trusted: the library checks every signature of a chain,
	// and Go verifies with RSA keys of any size.
	maxChain = 16
	maxRSA   = 8192
)

// open reads an envelope, and checks that the certificate in it has signed the
// rest ("integrity").
func open(data []byte, mediaType string) (*signature.EnvelopeContent, error) {
	if len(data) > MaxEnvelope {
		return nil, fmt.Errorf("%w: it has %d bytes, at most %d are read", ErrEnvelope, len(data), MaxEnvelope)
	}
	var chain [][]byte
	var err error
	switch mediaType {
	case MediaTypeJWS:
		chain, err = strictJWS(data)
	case MediaTypeCOSE:
		chain, err = strictCOSE(data)
	default:
		err = fmt.Errorf("media type %q, want %s or %s", mediaType, MediaTypeJWS, MediaTypeCOSE)
	}
	if err == nil {
		err = affordable(chain)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	envelope, err := signature.ParseEnvelope(mediaType, data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	content, err := envelope.Verify()
	var broken *signature.SignatureIntegrityError
	switch {
	case errors.As(err, &broken):
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	case content.Payload.ContentType != mediaTypePayload:
		return nil, fmt.Errorf("%w: content type %q, want %s", ErrPayload, content.Payload.ContentType, mediaTypePayload)
	}
	// "MUST NOT contain anyExtendedKeyUsage" (signature specification, "Leaf
	// Certificates"): the one that the library forgets.
	if slices.Contains(content.SignerInfo.CertificateChain[0].ExtKeyUsage, x509.ExtKeyUsageAny) {
		return nil, fmt.Errorf("%w: the extended key usage of %q is any", ErrEnvelope, content.SignerInfo.CertificateChain[0].Subject)
	}
	return content, nil
}

// strictJWS checks that a JWS can be read in one way only, which the library
// does not, and returns its certificates.
//
//	{"payload": B64, "protected": B64, "header": {"x5c": […], …}, "signature": B64}
//
// Other members of header are unprotected attributes: signers may add some,
// and nobody may believe them.
func strictJWS(data []byte) ([][]byte, error) {
	var envelope struct {
		Payload   string          `json:"payload"`
		Protected string          `json:"protected"`
		Header    json.RawMessage `json:"header"`
		Signature string          `json:"signature"`
	}
	if err := strictjson.Unmarshal(data, &envelope); err != nil {
		return nil, err
	}
	var header struct {
		X5C       [][]byte        `json:"x5c"`
		Timestamp json.RawMessage `json:"io.cncf.notary.timestampSignature"`
		Agent     json.RawMessage `json:"io.cncf.notary.signingAgent"`
	}
	if err := strictjson.UnmarshalOpen(envelope.Header, &header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(envelope.Protected)
	if err != nil {
		return nil, fmt.Errorf("protected: %w", err)
	}
	// Only for the spelling of the names: the library decides what is in it.
	var protected struct {
		Alg                  json.RawMessage `json:"alg"`
		Cty                  json.RawMessage `json:"cty"`
		Crit                 json.RawMessage `json:"crit"`
		Expiry               json.RawMessage `json:"io.cncf.notary.expiry"`
		SigningScheme        json.RawMessage `json:"io.cncf.notary.signingScheme"`
		SigningTime          json.RawMessage `json:"io.cncf.notary.signingTime"`
		AuthenticSigningTime json.RawMessage `json:"io.cncf.notary.authenticSigningTime"`
	}
	if err := strictjson.UnmarshalOpen(raw, &protected); err != nil {
		return nil, fmt.Errorf("protected: %w", err)
	}
	return header.X5C, nil
}

// strictCOSE returns the certificates of a COSE_Sign1 message. CBOR with
// repeated keys or trailing bytes the decoder itself refuses.
func strictCOSE(data []byte) ([][]byte, error) {
	var message gocose.Sign1Message
	if err := message.UnmarshalCBOR(data); err != nil {
		return nil, err
	}
	list, ok := message.Headers.Unprotected[gocose.HeaderLabelX5Chain].([]any)
	if !ok {
		return nil, errors.New("no list of certificates (x5chain)")
	}
	var chain [][]byte
	for _, entry := range list {
		cert, ok := entry.([]byte)
		if !ok {
			return nil, errors.New("a certificate in x5chain that is not a byte string")
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// affordable refuses a chain that would take long to check.
func affordable(chain [][]byte) error {
	if len(chain) == 0 || len(chain) > maxChain {
		return fmt.Errorf("a chain of %d certificates, want 1 to %d", len(chain), maxChain)
	}
	for _, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if err := affordableKey(cert); err != nil {
			return err
		}
	}
	return nil
}

func affordableKey(cert *x509.Certificate) error {
	if key, ok := cert.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSA {
		return fmt.Errorf("the RSA key of %q has %d bits, at most %d are used", cert.Subject, key.N.BitLen(), maxRSA)
	}
	return nil
}

// The attributes that ask for a plugin (signature specification, "Extended
// Protected Attributes": io.cncf.notary.verificationPlugin).
const (
	attributePlugin        = "io.cncf.notary.verificationPlugin"
	attributePluginVersion = "io.cncf.notary.verificationPluginMinVersion"
)

// understood refuses a signature that wants more than is done here. "If any
// critical attribute is not understood … signature verification MUST fail":
// the library leaves this to its caller.
func understood(info signature.SignerInfo) error {
	for _, name := range []string{attributePlugin, attributePluginVersion} {
		if a, err := info.ExtendedAttribute(name); err == nil {
			return fmt.Errorf("%w (%s is %q); none is ever run, ask the signer for a signature without one", ErrPlugin, name, fmt.Sprint(a.Value))
		}
	}
	for _, a := range info.SignedAttributes.ExtendedAttributes {
		if a.Critical {
			return fmt.Errorf("%w: %q", ErrCritical, fmt.Sprint(a.Key))
		}
	}
	return nil
}

// targetOf reads the payload:
//
//	{"targetArtifact": {"mediaType": …, "digest": …, "size": …, "annotations": {…}}}
func targetOf(p signature.Payload) (ocispec.Descriptor, error) {
	var payload struct {
		TargetArtifact *ocispec.Descriptor `json:"targetArtifact"`
	}
	if err := strictjson.UnmarshalOpen(p.Content, &payload); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	target := payload.TargetArtifact
	if target == nil || target.MediaType == "" || target.Size < 0 {
		return ocispec.Descriptor{}, fmt.Errorf("%w: no targetArtifact with media type and size", ErrPayload)
	}
	if err := document.CheckDigest(target.Digest); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%w: targetArtifact: %v", ErrPayload, err) // it is not the digest of anything fetched
	}
	return *target, nil
}
