// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/json"
	"testing"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/digitorus/timestamp"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

const payloadType = "application/vnd.in-toto+json"

// BundleOptions spoil a bundle. The zero value is a good one.
type BundleOptions struct {
	Issuer, Subject string
	PayloadType     string
	// SwapPayload replaces the payload after everything was signed.
	SwapPayload []byte
	// SecondSignature adds a second, equally good, signature.
	SecondSignature bool
	NoSCT           bool
	NoLogEntry      bool
	NoTimestamp     bool
	// SignedAt is the time the timestamp authority gives; now by default.
	SignedAt time.Time
	// CertificateFrom starts the ten minutes of the certificate.
	CertificateFrom time.Time
}

// Bundle signs payload as opts say and returns a Sigstore bundle v0.3.
func (s *Sigstore) Bundle(t testing.TB, payload []byte, opts BundleOptions) []byte {
	t.Helper()
	opts = opts.withDefaults()
	key := newKey(t)
	cert := s.leaf(t, key, opts)
	pae := dsse.PAE(opts.PayloadType, payload)
	sig := sign(t, key, pae)

	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: cert.Raw}},
	}
	if !opts.NoLogEntry {
		material.TlogEntries = []*protorekor.TransparencyLogEntry{s.entry(t, cert.Raw, pae, sig)}
	}
	if !opts.NoTimestamp {
		material.TimestampVerificationData = &protobundle.TimestampVerificationData{
			Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: s.timestamp(t, sig, opts.SignedAt)}},
		}
	}
	b := &protobundle.Bundle{
		MediaType:            "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: material,
		Content:              content(t, key, payload, pae, sig, opts),
	}
	loose, err := protojson.Marshal(b)
	require.NoError(t, err)
	// As the frontend does: bytes that survive being encoded again.
	data, err := json.Marshal(json.RawMessage(loose))
	require.NoError(t, err)
	return data
}

func (o BundleOptions) withDefaults() BundleOptions {
	if o.Issuer == "" {
		o.Issuer = Issuer
	}
	if o.Subject == "" {
		o.Subject = Subject
	}
	if o.PayloadType == "" {
		o.PayloadType = payloadType
	}
	if o.SignedAt.IsZero() {
		o.SignedAt = time.Now()
	}
	if o.CertificateFrom.IsZero() {
		o.CertificateFrom = o.SignedAt.Add(-time.Minute)
	}
	return o
}

func content(t testing.TB, key *ecdsa.PrivateKey, payload, pae, sig []byte, opts BundleOptions) *protobundle.Bundle_DsseEnvelope {
	t.Helper()
	envelope := &protodsse.Envelope{Payload: payload, PayloadType: opts.PayloadType, Signatures: []*protodsse.Signature{{Sig: sig}}}
	if opts.SecondSignature {
		envelope.Signatures = append(envelope.Signatures, &protodsse.Signature{Sig: sign(t, key, pae)})
	}
	if opts.SwapPayload != nil {
		envelope.Payload = opts.SwapPayload
	}
	return &protobundle.Bundle_DsseEnvelope{DsseEnvelope: envelope}
}

func sign(t testing.TB, key *ecdsa.PrivateKey, message []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(message)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	require.NoError(t, err)
	return sig
}

// entry makes a Rekor v2 entry in a log of one leaf.
func (s *Sigstore) entry(t testing.TB, cert, pae, sig []byte) *protorekor.TransparencyLogEntry {
	t.Helper()
	sum := sha256.Sum256(pae)
	body, err := protojson.Marshal(&rekorpb.Entry{
		ApiVersion: "0.0.2",
		Kind:       "hashedrekord",
		Spec: &rekorpb.Spec{Spec: &rekorpb.Spec_HashedRekordV002{HashedRekordV002: &rekorpb.HashedRekordLogEntryV002{
			Data: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]},
			Signature: &rekorpb.Signature{Content: sig, Verifier: &rekorpb.Verifier{
				KeyDetails: protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
				Verifier:   &rekorpb.Verifier_X509Certificate{X509Certificate: &protocommon.X509Certificate{RawBytes: cert}},
			}},
		}}},
	})
	require.NoError(t, err)
	body, err = jsoncanonicalizer.Transform(body)
	require.NoError(t, err)
	leaf := rfc6962.DefaultHasher.HashLeaf(body)
	return &protorekor.TransparencyLogEntry{
		LogId:             &protocommon.LogId{KeyId: logID(t, s.rekor.Public())},
		KindVersion:       &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		CanonicalizedBody: body,
		InclusionProof: &protorekor.InclusionProof{
			TreeSize:   1,
			RootHash:   leaf,
			Checkpoint: &protorekor.Checkpoint{Envelope: s.checkpoint(t, leaf)},
		},
	}
}

func (s *Sigstore) checkpoint(t testing.TB, rootHash []byte) string {
	t.Helper()
	sv, err := signature.LoadECDSASignerVerifier(s.rekor, crypto.SHA256)
	require.NoError(t, err)
	signer, err := rekornote.NewNoteSigner(background(), logOrigin, sv)
	require.NoError(t, err)
	text := log.Checkpoint{Origin: logOrigin, Size: 1, Hash: rootHash}.Marshal()
	signed, err := note.Sign(&note.Note{Text: string(text)}, signer)
	require.NoError(t, err)
	return string(signed)
}

// timestamp makes an RFC 3161 response over sig.
func (s *Sigstore) timestamp(t testing.TB, sig []byte, at time.Time) []byte {
	t.Helper()
	request, err := timestamp.CreateRequest(bytes.NewReader(sig), &timestamp.RequestOptions{Hash: crypto.SHA256})
	require.NoError(t, err)
	req, err := timestamp.ParseRequest(request)
	require.NoError(t, err)
	response := timestamp.Timestamp{
		HashAlgorithm: req.HashAlgorithm,
		HashedMessage: req.HashedMessage,
		Time:          at,
		Policy:        asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
	}
	der, err := response.CreateResponseWithOpts(s.tsa.cert, s.tsa.key, crypto.SHA256)
	require.NoError(t, err)
	return der
}
