// SPDX-License-Identifier: Apache-2.0

package trust

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/rekor/pkg/generated/models"
	rekor "github.com/sigstore/rekor/pkg/verify"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/plombproject/plomb/internal/strictjson"
)

// Attestations logged before 2024 have entries of kind intoto, version 0.0.1
// (https://github.com/sigstore/rekor/blob/main/pkg/types/intoto/v0.0.1/intoto_v0_0_1_schema.json).
// They have neither the signature nor the payload: what ties them to an
// envelope is the hash of its JSON as it was sent to the log. sigstore-go
// refuses them.

func isIntoto001(e *protorekor.TransparencyLogEntry) bool {
	return e.GetKindVersion().GetKind() == "intoto" && e.GetKindVersion().GetVersion() == "0.0.1"
}

// intoto001 is the body of such an entry.
type intoto001 struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Content struct {
			Hash        hashValue  `json:"hash"`
			PayloadHash *hashValue `json:"payloadHash"`
		} `json:"content"`
		PublicKey []byte `json:"publicKey"`
	} `json:"spec"`
}

type hashValue struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"value"`
}

func (h hashValue) of(data []byte) bool {
	sum := sha256.Sum256(data)
	return h.Algorithm == "sha256" && h.Value == hex.EncodeToString(sum[:])
}

// verifyIntoto001 checks that the log has the entry, and that the entry has this
// very envelope by this very signer. envelope is its JSON as it was found, if
// that is known.
func verifyIntoto001(e *protorekor.TransparencyLogEntry, log *root.TransparencyLog, p *parsed, by signedBy, envelope []byte, m *material) error {
	verifier, err := signature.LoadVerifier(log.PublicKey, log.SignatureHashFunc)
	if err != nil {
		return err
	}
	entry := rekorEntry(e)
	if len(e.GetInclusionPromise().GetSignedEntryTimestamp()) > 0 {
		if err := rekor.VerifySignedEntryTimestamp(context.Background(), entry, verifier); err != nil {
			return err
		}
		if !by.content.ValidAtTime(time.Unix(e.GetIntegratedTime(), 0), m) {
			return errors.New("the log has it at a time when the certificate was not valid")
		}
	}
	if e.GetInclusionProof() != nil {
		if err := rekor.VerifyInclusion(context.Background(), entry); err != nil {
			return err
		}
		if err := rekor.VerifyCheckpointSignature(entry, verifier); err != nil {
			return err
		}
	}
	var body intoto001
	if err := strictjson.Unmarshal(e.GetCanonicalizedBody(), &body); err != nil {
		return fmt.Errorf("its body: %w", err)
	}
	if body.Kind != "intoto" || body.APIVersion != "0.0.1" {
		return fmt.Errorf("its body is %s %s, and it says it were intoto 0.0.1", body.Kind, body.APIVersion)
	}
	return body.check(p, by, envelope, m)
}

// rekorEntry is the entry as Rekor's own verification takes it.
func rekorEntry(e *protorekor.TransparencyLogEntry) *models.LogEntryAnon {
	proof := e.GetInclusionProof()
	hashes := make([]string, 0, len(proof.GetHashes()))
	for _, h := range proof.GetHashes() {
		hashes = append(hashes, hex.EncodeToString(h))
	}
	var (
		logID      = hex.EncodeToString(e.GetLogId().GetKeyId())
		rootHash   = hex.EncodeToString(proof.GetRootHash())
		index      = proof.GetLogIndex()
		size       = proof.GetTreeSize()
		checkpoint = proof.GetCheckpoint().GetEnvelope()
	)
	return &models.LogEntryAnon{
		Body:           base64.StdEncoding.EncodeToString(e.GetCanonicalizedBody()),
		IntegratedTime: &e.IntegratedTime,
		LogID:          &logID,
		LogIndex:       &e.LogIndex,
		Verification: &models.LogEntryAnonVerification{
			SignedEntryTimestamp: e.GetInclusionPromise().GetSignedEntryTimestamp(),
			InclusionProof: &models.InclusionProof{
				Checkpoint: &checkpoint, Hashes: hashes, LogIndex: &index, RootHash: &rootHash, TreeSize: &size,
			},
		},
	}
}

func (b *intoto001) check(p *parsed, by signedBy, found []byte, m *material) error {
	key, err := keyInPEM(b.Spec.PublicKey)
	if err != nil {
		return err
	}
	if !by.content.CompareKey(key, m) {
		return errors.New("it is of another signer")
	}
	if p.GetDsseEnvelope() == nil {
		return errors.New("it is about an envelope, and the bundle has none")
	}
	if h := b.Spec.Content.PayloadHash; h != nil && !h.of(p.GetDsseEnvelope().GetPayload()) {
		return errors.New("it is about another payload")
	}
	written, err := envelopeJSON(p)
	if err != nil {
		return err
	}
	if b.Spec.Content.Hash.of(written) || found != nil && b.Spec.Content.Hash.of(found) && sameEnvelope(found, written) {
		return nil
	}
	return errors.New("it is about another envelope")
}

// envelopeJSON writes the envelope as cosign has sent it to the log.
func envelopeJSON(p *parsed) ([]byte, error) {
	e := p.GetDsseEnvelope()
	s := e.GetSignatures()[0]
	return json.Marshal(dsse.Envelope{
		PayloadType: e.GetPayloadType(),
		Payload:     base64.StdEncoding.EncodeToString(e.GetPayload()),
		Signatures:  []dsse.Signature{{KeyID: s.GetKeyid(), Sig: base64.StdEncoding.EncodeToString(s.GetSig())}},
	})
}

// sameEnvelope reports whether two texts are one envelope.
func sameEnvelope(found, written []byte) bool {
	var a, b dsse.Envelope
	if strictjson.UnmarshalOpen(found, &a) != nil || strictjson.UnmarshalOpen(written, &b) != nil {
		return false
	}
	again, err := json.Marshal(a)
	return err == nil && string(again) == string(written)
}

// keyInPEM is the certificate or key of an entry.
func keyInPEM(data []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("its signer is not in PEM")
	}
	if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
		return cert, nil
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}
