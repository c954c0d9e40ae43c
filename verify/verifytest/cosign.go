// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/stretchr/testify/require"
)

// Media types of cosign's old form.
const (
	TypeSimpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"
	TypeEnvelope      = "application/vnd.dsse.envelope.v1+json"
)

// Annotations of cosign's old form.
const (
	CosignSignature   = "dev.cosignproject.cosign/signature"
	CosignCertificate = "dev.sigstore.cosign/certificate"
	CosignChain       = "dev.sigstore.cosign/chain"
	CosignRekor       = "dev.sigstore.cosign/bundle"
	CosignTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// CosignTag is where cosign's old form keeps what it has about an image;
// suffix is sig, att or sbom.
func CosignTag(dgst digest.Digest, suffix string) string {
	return strings.Replace(dgst.String(), ":", "-", 1) + "." + suffix
}

// TagCosign stores the manifest that cosign's old form has under a tag.
func (s *Store) TagCosign(t testing.TB, tag string, layers ...ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	desc := s.AddJSON(t, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: s.Add([]byte(`{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]}}`), ocispec.MediaTypeImageConfig),
		Layers: layers,
	}, ocispec.MediaTypeImageManifest)
	s.Tag(tag, desc.Digest)
	return desc
}

// SimpleSigning is what cosign's old form signs.
func SimpleSigning(dgst digest.Digest, name string) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`, name, dgst)
}

// CosignOptions say how an old signature is made. The zero value is keyless
// and logged.
type CosignOptions struct {
	BundleOptions
	// Key signs, in the place of one with a certificate.
	Key *ecdsa.PrivateKey
	// Timestamp adds one of the authority's.
	Timestamp bool
}

// CosignSign stores a layer with a document and its signature.
func (s *Store) CosignSign(t testing.TB, sigstore *Sigstore, document []byte, opts CosignOptions) ocispec.Descriptor {
	t.Helper()
	key, verifier, annotations := sigstore.cosignKey(t, &opts)
	sig := sign(t, key, document)
	annotations[CosignSignature] = cosignBase64(sig)
	sum := sha256.Sum256(document)
	sigstore.cosignEvidence(t, opts, annotations, sig, map[string]any{
		"apiVersion": "0.0.1", "kind": "hashedrekord",
		"spec": map[string]any{
			"data":      map[string]any{"hash": map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}},
			"signature": map[string]any{"content": cosignBase64(sig), "publicKey": map[string]any{"content": cosignBase64(verifier)}},
		},
	})
	desc := s.Add(document, TypeSimpleSigning)
	desc.Annotations = annotations
	return desc
}

// CosignAttest stores a layer with a DSSE envelope around an in-toto statement.
func (s *Store) CosignAttest(t testing.TB, sigstore *Sigstore, statement []byte, opts CosignOptions) ocispec.Descriptor {
	t.Helper()
	key, verifier, annotations := sigstore.cosignKey(t, &opts)
	sig := sign(t, key, dsse.PAE(payloadType, statement))
	envelope, err := json.Marshal(dsse.Envelope{
		PayloadType: payloadType, Payload: cosignBase64(statement), Signatures: []dsse.Signature{{Sig: cosignBase64(sig)}},
	})
	require.NoError(t, err)
	hash := func(data []byte) map[string]any {
		sum := sha256.Sum256(data)
		return map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
	}
	sigstore.cosignEvidence(t, opts, annotations, sig, map[string]any{
		"apiVersion": "0.0.1", "kind": "dsse",
		"spec": map[string]any{
			"envelopeHash": hash(envelope), "payloadHash": hash(statement),
			"signatures": []any{map[string]any{"signature": cosignBase64(sig), "verifier": cosignBase64(verifier)}},
		},
	})
	annotations[CosignSignature] = ""
	desc := s.Add(envelope, TypeEnvelope)
	desc.Annotations = annotations
	return desc
}

// cosignKey is the key that signs, and what the log says it was verified with:
// a certificate or the key, in PEM.
func (s *Sigstore) cosignKey(t testing.TB, opts *CosignOptions) (key *ecdsa.PrivateKey, verifier []byte, annotations map[string]string) {
	t.Helper()
	opts.BundleOptions = opts.withDefaults()
	annotations = map[string]string{}
	if opts.Key != nil {
		return opts.Key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki(t, opts.Key.Public())}), annotations
	}
	key = newKey(t)
	verifier = cosignPEM(s.leaf(t, key, opts.BundleOptions))
	annotations[CosignCertificate] = string(verifier)
	annotations[CosignChain] = string(cosignPEM(s.fulcio.cert, s.fulcioRoot.cert))
	return key, verifier, annotations
}

func cosignPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// cosignEvidence adds the log's promise and the timestamp.
func (s *Sigstore) cosignEvidence(t testing.TB, opts CosignOptions, annotations map[string]string, sig []byte, entry map[string]any) {
	t.Helper()
	if !opts.NoLogEntry {
		annotations[CosignRekor] = s.cosignPromise(t, entry, opts.SignedAt.Unix())
	}
	if opts.Timestamp {
		data, err := json.Marshal(map[string]any{"SignedRFC3161Timestamp": s.timestamp(t, sig, opts.SignedAt)})
		require.NoError(t, err)
		annotations[CosignTimestamp] = string(data)
	}
}

// cosignPromise is Rekor v1's: a signature over the entry, its place and its time.
// Maps are encoded in the order of their keys, which is the canonical one.
func (s *Sigstore) cosignPromise(t testing.TB, entry map[string]any, at int64) string {
	t.Helper()
	body, err := json.Marshal(entry)
	require.NoError(t, err)
	payload := map[string]any{
		"body": cosignBase64(body), "integratedTime": at, "logID": hex.EncodeToString(logID(t, s.rekor.Public())), "logIndex": 7,
	}
	signed, err := json.Marshal(payload)
	require.NoError(t, err)
	data, err := json.Marshal(map[string]any{"SignedEntryTimestamp": sign(t, s.rekor, signed), "Payload": payload})
	require.NoError(t, err)
	return string(data)
}

func cosignBase64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
