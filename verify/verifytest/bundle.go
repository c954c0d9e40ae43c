// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"strings"
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
	"github.com/sigstore/sigstore/pkg/signature/options"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

const payloadType = "application/vnd.in-toto+json"

// BundleOptions spoil a bundle. The zero value is a good one.
type BundleOptions struct {
	// MediaType is that of version 0.3 by default.
	MediaType string

	// Key signs without a certificate.
	Key crypto.Signer
	// CertificateKey is the certified key, on P-256 by default.
	CertificateKey crypto.Signer
	// Hash, PSS and Prehash are the form of the signature: the hash that fits
	// the key, PKCS #1 v1.5 and pure Ed25519 by default.
	Hash         crypto.Hash
	PSS, Prehash bool

	// Message signs the payload itself, without an envelope. MessageDigest
	// replaces the digest that the bundle gives of it, NoMessageDigest leaves
	// it out, as cosign does for Ed25519.
	Message, NoMessageDigest bool
	MessageDigest            []byte

	Issuer, Subject string
	// Chain gives the certificate with its issuers, as old bundles do.
	Chain bool
	// Extensions are further ones of the certificate.
	Extensions  []pkix.Extension
	PayloadType string
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

	// Log is the kind of entry in the log of version 1, such as HashedRekord;
	// by default there is one in the log of version 2. AlsoLog adds another.
	Log, AlsoLog string
	// LoggedAt is the time of a Rekor v1 entry, SignedAt by default, and
	// ShiftTime moves it after the log has signed it.
	LoggedAt           time.Time
	ShiftTime          time.Duration
	NoPromise, NoProof bool
	// LogOf logs another message's signature, by the same signer.
	LogOf []byte
	// TreeCheckpoint gives the log of version 2 a checkpoint like version 1's.
	TreeCheckpoint bool
	// EntryBody changes the body of a Rekor v1 entry before the log signs it.
	EntryBody func([]byte) []byte

	// Another Sigstore's part is used in place of one's own, or in addition.
	LogBy, CheckpointBy, SCTBy, TimestampBy *Sigstore
	AlsoTimestampBy                         []*Sigstore
}

// RekorV2 is the kind of entry that AlsoLog adds in the log of version 2.
const RekorV2 = "hashedrekord/0.0.2"

// Bundle signs payload as opts say and returns a Sigstore bundle.
func (s *Sigstore) Bundle(t testing.TB, payload []byte, opts BundleOptions) []byte {
	t.Helper()
	opts = opts.withDefaults().within(t, s)
	key, material, signer := s.signer(t, opts)
	of := opts.sees(t, key, payload, signer)
	material.TlogEntries = s.entries(t, key, of, signer, opts)
	if !opts.NoTimestamp {
		material.TimestampVerificationData = &protobundle.TimestampVerificationData{}
		for _, by := range append([]*Sigstore{opts.TimestampBy}, opts.AlsoTimestampBy...) {
			material.TimestampVerificationData.Rfc3161Timestamps = append(material.TimestampVerificationData.GetRfc3161Timestamps(),
				&protocommon.RFC3161SignedTimestamp{SignedTimestamp: by.timestamp(t, of.sig, opts.SignedAt)})
		}
	}
	b := &protobundle.Bundle{MediaType: opts.MediaType, VerificationMaterial: material}
	if opts.Message {
		b.Content = messageSignature(t, of.sig, payload, opts.hashFor(key), opts)
	} else {
		b.Content = content(t, key, of, opts)
	}
	loose, err := protojson.Marshal(b)
	require.NoError(t, err)
	// As the frontend does: bytes that survive being encoded again.
	data, err := json.Marshal(json.RawMessage(loose))
	require.NoError(t, err)
	return data
}

// signer is who signs: the key, how the bundle names it, and in PEM.
func (s *Sigstore) signer(t testing.TB, opts BundleOptions) (crypto.Signer, *protobundle.VerificationMaterial, []byte) {
	t.Helper()
	if opts.Key != nil {
		return opts.Key, &protobundle.VerificationMaterial{Content: hint(t, opts.Key)}, PublicPEM(t, opts.Key)
	}
	cert := s.leaf(t, opts.CertificateKey, opts)
	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: cert.Raw}},
	}
	if opts.Chain {
		chain := &protocommon.X509CertificateChain{}
		for _, c := range []*x509.Certificate{cert, s.fulcio.cert, s.fulcioRoot.cert} {
			chain.Certificates = append(chain.Certificates, &protocommon.X509Certificate{RawBytes: c.Raw})
		}
		material.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: chain}
	}
	return opts.CertificateKey, material, pemOf("CERTIFICATE", cert.Raw)
}

// sees signs the payload, and says what a log gets to see of it.
func (o BundleOptions) sees(t testing.TB, key crypto.Signer, payload, signer []byte) signedThing {
	t.Helper()
	of := signedThing{payload: payload, payloadType: o.PayloadType, message: payload, signer: signer}
	if !o.Message {
		of.message = dsse.PAE(o.PayloadType, payload)
	}
	hash := o.hashFor(key)
	of.algorithm = strings.ToLower(strings.ReplaceAll(hash.String(), "-", ""))
	of.sig, of.sum = o.sign(t, key, of.message), sumOf(hash, of.message)
	return of
}

// entries logs what was signed.
func (s *Sigstore) entries(t testing.TB, key crypto.Signer, of signedThing, signer []byte, opts BundleOptions) []*protorekor.TransparencyLogEntry {
	t.Helper()
	if opts.NoLogEntry {
		return nil
	}
	if opts.LogOf != nil {
		of = opts.sees(t, key, opts.LogOf, signer)
	}
	kinds := []string{opts.Log}
	if opts.AlsoLog != "" {
		kinds = append(kinds, opts.AlsoLog)
	}
	var entries []*protorekor.TransparencyLogEntry
	for _, kind := range kinds {
		if kind == RekorV2 {
			entries = append(entries, opts.LogBy.entry(t, key, of, opts))
			continue
		}
		opts.Log = kind
		entries = append(entries, opts.LogBy.entry1(t, of, opts))
	}
	return entries
}

func (o BundleOptions) withDefaults() BundleOptions {
	orElse(&o.MediaType, "application/vnd.dev.sigstore.bundle.v0.3+json")
	orElse(&o.Issuer, Issuer)
	orElse(&o.Subject, Subject)
	orElse(&o.PayloadType, payloadType)
	orElse(&o.Log, RekorV2)
	orElse(&o.SignedAt, time.Now())
	orElse(&o.LoggedAt, o.SignedAt)
	orElse(&o.CertificateFrom, o.SignedAt.Add(-time.Minute))
	return o
}

// within takes from s what is not of another.
func (o BundleOptions) within(t testing.TB, s *Sigstore) BundleOptions {
	t.Helper()
	orElse(&o.LogBy, s)
	orElse(&o.CheckpointBy, o.LogBy)
	orElse(&o.TimestampBy, s)
	if o.CertificateKey == nil {
		o.CertificateKey = newKey(t)
	}
	return o
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func content(t testing.TB, key crypto.Signer, of signedThing, opts BundleOptions) *protobundle.Bundle_DsseEnvelope {
	t.Helper()
	envelope := &protodsse.Envelope{Payload: of.payload, PayloadType: opts.PayloadType, Signatures: []*protodsse.Signature{{Sig: of.sig}}}
	if opts.SecondSignature {
		envelope.Signatures = append(envelope.Signatures, &protodsse.Signature{Sig: opts.sign(t, key, of.message)})
	}
	if opts.SwapPayload != nil {
		envelope.Payload = opts.SwapPayload
	}
	return &protobundle.Bundle_DsseEnvelope{DsseEnvelope: envelope}
}

func sign(t testing.TB, key *ecdsa.PrivateKey, message []byte) []byte {
	t.Helper()
	return signAs(t, key, message, form{hash: crypto.SHA256})
}

// entry makes a Rekor v2 entry in a log of one leaf.
func (s *Sigstore) entry(t testing.TB, key crypto.Signer, of signedThing, opts BundleOptions) *protorekor.TransparencyLogEntry {
	t.Helper()
	// The log knows one way to sign for each kind of key.
	details, err := signature.GetDefaultAlgorithmDetails(key.Public(), options.WithED25519ph())
	require.NoError(t, err)
	verifier := &rekorpb.Verifier{KeyDetails: details.GetSignatureAlgorithm()}
	der, _ := pem.Decode(of.signer)
	if opts.Key != nil {
		verifier.Verifier = &rekorpb.Verifier_PublicKey{PublicKey: &rekorpb.PublicKey{RawBytes: der.Bytes}}
	} else {
		verifier.Verifier = &rekorpb.Verifier_X509Certificate{X509Certificate: &protocommon.X509Certificate{RawBytes: der.Bytes}}
	}
	body, err := protojson.Marshal(&rekorpb.Entry{
		ApiVersion: "0.0.2",
		Kind:       "hashedrekord",
		Spec: &rekorpb.Spec{Spec: &rekorpb.Spec_HashedRekordV002{HashedRekordV002: &rekorpb.HashedRekordLogEntryV002{
			Data:      &protocommon.HashOutput{Algorithm: details.GetProtoHashType(), Digest: sumOf(details.GetHashType(), of.message)},
			Signature: &rekorpb.Signature{Content: of.sig, Verifier: verifier},
		}}},
	})
	require.NoError(t, err)
	body, err = jsoncanonicalizer.Transform(body)
	require.NoError(t, err)
	leaf, origin := rfc6962.DefaultHasher.HashLeaf(body), logOrigin
	if opts.TreeCheckpoint {
		origin += " - 1"
	}
	return &protorekor.TransparencyLogEntry{
		LogId:             &protocommon.LogId{KeyId: logID(t, s.rekor.Public())},
		KindVersion:       &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		CanonicalizedBody: body,
		InclusionProof: &protorekor.InclusionProof{
			TreeSize:   1,
			RootHash:   leaf,
			Checkpoint: &protorekor.Checkpoint{Envelope: checkpoint(t, logOrigin, origin, opts.CheckpointBy.rekor, leaf)},
		},
	}
}

// checkpoint is the head of a tree of one leaf, as the log name has signed it.
func checkpoint(t testing.TB, name, origin string, key *ecdsa.PrivateKey, rootHash []byte) string {
	t.Helper()
	sv, err := signature.LoadECDSASignerVerifier(key, crypto.SHA256)
	require.NoError(t, err)
	signer, err := rekornote.NewNoteSigner(background(), name, sv)
	require.NoError(t, err)
	text := log.Checkpoint{Origin: origin, Size: 1, Hash: rootHash}.Marshal()
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
