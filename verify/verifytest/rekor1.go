// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/merkle/rfc6962"
)

// The kinds of entry of Rekor v1, for BundleOptions.Log.
const (
	HashedRekord = "hashedrekord/0.0.1"
	DSSE         = "dsse/0.0.1"
	Intoto001    = "intoto/0.0.1"
	Intoto002    = "intoto/0.0.2"
)

const (
	log1Index = 41
	log1Tree  = log1Origin + " - 1193050959916656506"
)

// entry1 makes an entry in a Rekor v1 log of one leaf.
func (s *Sigstore) entry1(t testing.TB, of signedThing, opts BundleOptions) *protorekor.TransparencyLogEntry {
	t.Helper()
	kind, version, spec := spec1(t, of, opts.Log)
	body, err := json.Marshal(map[string]any{"apiVersion": version, "kind": kind, "spec": spec})
	require.NoError(t, err)
	if opts.EntryBody != nil {
		body = opts.EntryBody(body)
	}
	e := &protorekor.TransparencyLogEntry{
		LogIndex:          log1Index,
		LogId:             &protocommon.LogId{KeyId: logID(t, s.rekor1.Public())},
		KindVersion:       &protorekor.KindVersion{Kind: kind, Version: version},
		IntegratedTime:    opts.LoggedAt.Unix(),
		CanonicalizedBody: body,
	}
	if !opts.NoPromise {
		e.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: s.promise(t, e)}
	}
	if !opts.NoProof {
		leaf := rfc6962.DefaultHasher.HashLeaf(body)
		e.InclusionProof = &protorekor.InclusionProof{
			TreeSize:   1,
			RootHash:   leaf,
			Checkpoint: &protorekor.Checkpoint{Envelope: checkpoint(t, log1Origin, log1Tree, opts.CheckpointBy.rekor1, leaf)},
		}
	}
	if opts.ShiftTime != 0 {
		e.IntegratedTime += int64(opts.ShiftTime.Seconds())
	}
	return e
}

// promise is the log's signature over the entry and its time.
func (s *Sigstore) promise(t testing.TB, e *protorekor.TransparencyLogEntry) []byte {
	t.Helper()
	// RFC 8785: a map is written in the order of its keys.
	canonical, err := json.Marshal(map[string]any{
		"body":           e.GetCanonicalizedBody(),
		"integratedTime": e.GetIntegratedTime(),
		"logID":          hex.EncodeToString(e.GetLogId().GetKeyId()),
		"logIndex":       e.GetLogIndex(),
	})
	require.NoError(t, err)
	return sign(t, s.rekor1, canonical)
}

// spec1 is the body of each kind.
func spec1(t testing.TB, of signedThing, kind string) (name, version string, spec map[string]any) {
	t.Helper()
	payloadHash, envelope := sha256Of(of.payload), of.envelope(t)
	switch kind {
	case HashedRekord:
		return "hashedrekord", "0.0.1", map[string]any{
			"data":      map[string]any{"hash": map[string]any{"algorithm": of.algorithm, "value": hex.EncodeToString(of.sum)}},
			"signature": map[string]any{"content": of.sig, "publicKey": map[string]any{"content": of.signer}},
		}
	case DSSE:
		return "dsse", "0.0.1", map[string]any{
			"envelopeHash": sha256Of(envelope),
			"payloadHash":  payloadHash,
			"signatures":   []any{map[string]any{"signature": of.sig, "verifier": of.signer}},
		}
	case Intoto002:
		return "intoto", "0.0.2", map[string]any{"content": map[string]any{
			"envelope": map[string]any{
				"payloadType": of.payloadType,
				"signatures":  []any{map[string]any{"publicKey": of.signer, "sig": []byte(base64.StdEncoding.EncodeToString(of.sig))}},
			},
			"hash":        sha256Of(envelope),
			"payloadHash": payloadHash,
		}}
	}
	require.Equal(t, Intoto001, kind)
	return "intoto", "0.0.1", map[string]any{
		"content":   map[string]any{"hash": sha256Of(envelope), "payloadHash": payloadHash},
		"publicKey": of.signer,
	}
}

func sha256Of(data []byte) map[string]any {
	sum := sha256.Sum256(data)
	return map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
}

// signedThing is what an entry is about.
type signedThing struct {
	payload, message, sig []byte
	payloadType           string
	// signer is the certificate or the key in PEM.
	signer []byte
	// algorithm and sum are the hash of the message.
	algorithm string
	sum       []byte
}

// envelope is the DSSE envelope in JSON, as cosign sends it to the log.
func (s signedThing) envelope(t testing.TB) []byte {
	t.Helper()
	data, err := json.Marshal(dsse.Envelope{
		PayloadType: s.payloadType,
		Payload:     base64.StdEncoding.EncodeToString(s.payload),
		Signatures:  []dsse.Signature{{Sig: base64.StdEncoding.EncodeToString(s.sig)}},
	})
	require.NoError(t, err)
	return data
}
