// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plombproject/plomb/internal/strictjson"
)

// Annotations of a layer in cosign's old form
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationChain       = "dev.sigstore.cosign/chain"
	annotationRekor       = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

const (
	// typeLegacyBundle is the version that may hold an inclusion promise
	// without a proof, and a chain of certificates. cosign's old form has no
	// proofs.
	typeLegacyBundle = "application/vnd.dev.sigstore.bundle+json;version=0.1"

	// maxChain bounds the certificates above the signer's.
	maxChain = 8
)

// ErrLegacy reports a layer of cosign's old form that is broken.
var ErrLegacy = errors.New("broken cosign signature layer")

// convert turns a layer of cosign's old form, and its annotations, into a
// Sigstore bundle. Nothing is verified; what is missing is left out, and missed
// by the verifier.
func convert(mediaType string, layer []byte, annotations map[string]string) ([]byte, error) {
	var err error
	b := &protobundle.Bundle{MediaType: typeLegacyBundle}
	if b.VerificationMaterial, err = material(annotations); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLegacy, err)
	}
	if mediaType == typeEnvelope {
		b.Content, err = envelope(layer)
	} else {
		b.Content, err = message(layer, annotations[annotationSignature])
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLegacy, err)
	}
	loose, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLegacy, err)
	}
	// protojson puts blanks in at random, and equal evidence has to have equal
	// digests.
	return json.Marshal(json.RawMessage(loose))
}

// message is a signature over the simple signing document.
func message(document []byte, signature string) (*protobundle.Bundle_MessageSignature, error) {
	sig, err := unbase64(annotationSignature, signature)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(document)
	return &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
		MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]},
		Signature:     sig,
	}}, nil
}

// envelope reads a DSSE envelope
// (https://github.com/secure-systems-lab/dsse/blob/v1.0.0/envelope.md). How
// many signatures it may have is for the verifier to say.
func envelope(data []byte) (*protobundle.Bundle_DsseEnvelope, error) {
	var e struct {
		PayloadType string `json:"payloadType"`
		Payload     string `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	if err := strictjson.UnmarshalOpen(data, &e); err != nil {
		return nil, err
	}
	payload, err := unbase64("payload", e.Payload)
	if err != nil {
		return nil, err
	}
	out := &protodsse.Envelope{PayloadType: e.PayloadType, Payload: payload}
	for _, s := range e.Signatures {
		sig, err := unbase64("sig", s.Sig)
		if err != nil {
			return nil, err
		}
		out.Signatures = append(out.Signatures, &protodsse.Signature{Sig: sig, Keyid: s.KeyID})
	}
	return &protobundle.Bundle_DsseEnvelope{DsseEnvelope: out}, nil
}

// material is what the annotations say about key, log and time.
func material(annotations map[string]string) (*protobundle.VerificationMaterial, error) {
	m := &protobundle.VerificationMaterial{}
	chain, err := certificates(annotations)
	if err != nil {
		return nil, err
	}
	if chain == nil {
		// The old form does not say which key it was.
		m.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}}
	} else {
		m.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: chain}
	}
	if text := annotations[annotationRekor]; text != "" {
		entry, err := promise(text)
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", annotationRekor, err)
		}
		m.TlogEntries = []*protorekor.TransparencyLogEntry{entry}
	}
	if text := annotations[annotationTimestamp]; text != "" {
		if m.TimestampVerificationData, err = timestamp(text); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", annotationTimestamp, err)
		}
	}
	return m, nil
}

// certificates are the signer's and those between it and the root; nil if a
// bare key signed.
func certificates(annotations map[string]string) (*protocommon.X509CertificateChain, error) {
	text := annotations[annotationCertificate]
	if text == "" {
		return nil, nil
	}
	leaf, rest := pem.Decode([]byte(text))
	if leaf == nil || leaf.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("annotation %s is not one certificate in PEM", annotationCertificate)
	}
	chain := &protocommon.X509CertificateChain{Certificates: []*protocommon.X509Certificate{{RawBytes: leaf.Bytes}}}
	for rest := []byte(annotations[annotationChain]); len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("annotation %s is not a list of certificates in PEM", annotationChain)
		}
		if len(chain.Certificates) > maxChain {
			return nil, fmt.Errorf("annotation %s has more than %d certificates", annotationChain, maxChain)
		}
		chain.Certificates = append(chain.Certificates, &protocommon.X509Certificate{RawBytes: block.Bytes})
	}
	return chain, nil
}

// promise reads Rekor's promise to include an entry, as Rekor v1 signs it.
func promise(text string) (*protorekor.TransparencyLogEntry, error) {
	var b struct {
		SignedEntryTimestamp string
		Payload              struct {
			Body           string `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"`
		}
	}
	if err := strictjson.UnmarshalOpen([]byte(text), &b); err != nil {
		return nil, err
	}
	set, err := unbase64("SignedEntryTimestamp", b.SignedEntryTimestamp)
	if err != nil {
		return nil, err
	}
	body, err := unbase64("body", b.Payload.Body)
	if err != nil {
		return nil, err
	}
	logID, err := hex.DecodeString(b.Payload.LogID)
	if err != nil {
		return nil, fmt.Errorf("logID: %w", err)
	}
	var kind struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := strictjson.UnmarshalOpen(body, &kind); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex:          b.Payload.LogIndex,
		LogId:             &protocommon.LogId{KeyId: logID},
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion},
		IntegratedTime:    b.Payload.IntegratedTime,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: set},
		CanonicalizedBody: body,
	}, nil
}

// timestamp reads an RFC 3161 response.
func timestamp(text string) (*protobundle.TimestampVerificationData, error) {
	var t struct {
		SignedRFC3161Timestamp string
	}
	if err := strictjson.UnmarshalOpen([]byte(text), &t); err != nil {
		return nil, err
	}
	der, err := unbase64("SignedRFC3161Timestamp", t.SignedRFC3161Timestamp)
	if err != nil {
		return nil, err
	}
	return &protobundle.TimestampVerificationData{
		Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: der}},
	}, nil
}

// unbase64 wants something, in the standard alphabet or, as DSSE allows, in
// that for URLs.
func unbase64(name, text string) ([]byte, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		data, err = base64.URLEncoding.Strict().DecodeString(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("%s is empty", name)
	}
	return data, nil
}
