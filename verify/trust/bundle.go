// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance"
)

var (
	// ErrBundle reports bytes that are not a Sigstore bundle of a version we
	// know.
	ErrBundle = errors.New("malformed bundle")

	// ErrEnvelope reports a bundle that does not hold exactly one in-toto
	// statement under exactly one signature.
	ErrEnvelope = errors.New("unacceptable envelope")

	// ErrMessage reports a signature over a message that is not the one at
	// hand.
	ErrMessage = errors.New("signature over something else")
)

// Media types of bundles
// (https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto),
// by version, in both spellings.
var versions = map[string]int{
	"application/vnd.dev.sigstore.bundle+json;version=0.1": 1,
	"application/vnd.dev.sigstore.bundle+json;version=0.2": 2,
	"application/vnd.dev.sigstore.bundle+json;version=0.3": 3,
	"application/vnd.dev.sigstore.bundle.v0.1+json":        1,
	"application/vnd.dev.sigstore.bundle.v0.2+json":        2,
	"application/vnd.dev.sigstore.bundle.v0.3+json":        3,
}

// parsed is a bundle of an accepted form, still unverified.
type parsed struct {
	*protobundle.Bundle
	version   int
	content   verify.SignatureContent
	signature []byte
	// certificate is nil for a bundle signed with a bare key, and hint then
	// what it says of the key.
	certificate *x509.Certificate
	hint        string
}

// parseBundle accepts a bundle with one signature: a message signature, or a
// DSSE envelope with an in-toto statement.
func parseBundle(data []byte) (*parsed, error) {
	if err := strictjson.Check(data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, err)
	}
	p := &parsed{Bundle: &protobundle.Bundle{}}
	if err := protojson.Unmarshal(data, p.Bundle); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBundle, line(err))
	}
	if p.version = versions[p.GetMediaType()]; p.version == 0 {
		return nil, fmt.Errorf("%w: its media type is %q, versions 0.1 to 0.3 are known", ErrBundle, short(p.GetMediaType()))
	}
	if p.GetMessageSignature() == nil {
		if err := p.checkEnvelope(); err != nil {
			return nil, err
		}
	}
	var err error
	if p.content, err = (&bundle.Bundle{Bundle: p.Bundle}).SignatureContent(); err != nil {
		return nil, fmt.Errorf("%w: signature: %w", ErrBundle, err)
	}
	if p.signature = p.content.Signature(); len(p.signature) == 0 {
		return nil, fmt.Errorf("%w: it has no signature", ErrBundle)
	}
	return p, p.parseSigner()
}

func (p *parsed) checkEnvelope() error {
	envelope := p.GetDsseEnvelope()
	if envelope == nil {
		return fmt.Errorf("%w: it holds no DSSE envelope", ErrEnvelope)
	}
	// DSSE allows several signatures, of which one would have to verify: which
	// one is then a matter of the reader. Bundle specification: "The number of
	// signatures in the envelope MUST be exactly one."
	if n := len(envelope.GetSignatures()); n != 1 {
		return fmt.Errorf("%w: it has %d signatures, exactly 1 is accepted", ErrEnvelope, n)
	}
	// The payload type is part of what is signed. Under another type the same
	// bytes mean something else.
	if t := envelope.GetPayloadType(); t != provenance.PayloadType {
		return fmt.Errorf("%w: its payload type is %q, want %q", ErrEnvelope, short(t), provenance.PayloadType)
	}
	return nil
}

// parseSigner reads the certificate, or the hint at a key. Bundle
// specification: from version 0.3 on there is one certificate, not a chain;
// of a chain only the first counts, for its issuers have to come from the root.
func (p *parsed) parseSigner() error {
	material := p.GetVerificationMaterial()
	var der []byte
	switch {
	case material.GetPublicKey() != nil:
		p.hint = material.GetPublicKey().GetHint()
		return nil
	case material.GetCertificate() != nil:
		der = material.GetCertificate().GetRawBytes()
	case p.version < 3 && len(material.GetX509CertificateChain().GetCertificates()) > 0:
		der = material.GetX509CertificateChain().GetCertificates()[0].GetRawBytes()
	default:
		return fmt.Errorf("%w: it has neither a certificate nor a public key", ErrBundle)
	}
	var err error
	if p.certificate, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("%w: certificate: %w", ErrBundle, err)
	}
	return nil
}

// signed is what a signature has to be over, as a verifier takes it.
type signed struct {
	payload     []byte
	payloadType string
	digest      digest.Digest

	// message are the bytes that were signed; nil where only their hash, sum,
	// by algorithm, is known.
	message   []byte
	algorithm digest.Algorithm
	sum       []byte
}

// by reports whether sig is the key's.
func (s *signed) by(k Key, sig []byte) bool {
	if s.message != nil {
		return k.signed(s.message, sig)
	}
	return k.signedSum(hashes[s.algorithm], s.sum, sig)
}

// signed finds out what the bundle's signature has to be over.
func (p *parsed) signed(in Input) (*signed, error) {
	if envelope := p.GetDsseEnvelope(); envelope != nil {
		return &signed{
			payload: envelope.GetPayload(), payloadType: envelope.GetPayloadType(),
			message: dsse.PAE(envelope.GetPayloadType(), envelope.GetPayload()),
		}, nil
	}
	stated := p.GetMessageSignature().GetMessageDigest()
	if in.Payload != nil {
		s := &signed{payload: in.Payload, message: in.Payload, digest: digest.FromBytes(in.Payload)}
		return s, checkStated(stated, in.Payload)
	}
	if len(stated.GetDigest()) == 0 {
		return nil, fmt.Errorf("%w: it gives no digest of its message; the message itself is needed", ErrMessage)
	}
	algorithm, err := algorithmOf(stated.GetAlgorithm())
	if err != nil {
		return nil, err
	}
	s := &signed{algorithm: algorithm, sum: stated.GetDigest()}
	s.digest = digest.NewDigestFromBytes(algorithm, s.sum)
	if !slices.Contains(in.Digests, s.digest) {
		return nil, fmt.Errorf("%w: it is over %s", ErrMessage, s.digest)
	}
	return s, nil
}

// checkStated holds the digest in the bundle against the message. It is a hint,
// and a lie is a reason to refuse: log entries are compared with it. cosign
// gives none for Ed25519, which signs the message without hashing it first.
func checkStated(stated *protocommon.HashOutput, message []byte) error {
	if stated.GetAlgorithm() == 0 && len(stated.GetDigest()) == 0 {
		return nil
	}
	algorithm, err := algorithmOf(stated.GetAlgorithm())
	if err != nil {
		return err
	}
	if algorithm.FromBytes(message).Encoded() != hex.EncodeToString(stated.GetDigest()) {
		return fmt.Errorf("%w: it says the message's %s is %s", ErrMessage, algorithm, short(hex.EncodeToString(stated.GetDigest())))
	}
	return nil
}

const maxQuoted = 200

// short cuts what a stranger wrote down to what a message bears.
func short(s string) string { return cut(s, maxQuoted) }

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

func algorithmOf(a protocommon.HashAlgorithm) (digest.Algorithm, error) {
	switch a {
	case protocommon.HashAlgorithm_SHA2_256:
		return digest.SHA256, nil
	case protocommon.HashAlgorithm_SHA2_384:
		return digest.SHA384, nil
	case protocommon.HashAlgorithm_SHA2_512:
		return digest.SHA512, nil
	}
	return "", fmt.Errorf("%w: the message is hashed with %s, want SHA2_256, SHA2_384 or SHA2_512", ErrBundle, a)
}
