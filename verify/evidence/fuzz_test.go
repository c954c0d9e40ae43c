// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/verify/internal/document"
)

// FuzzConvert: what comes out is strict JSON of a known shape, twice the same,
// and about the layer it was made of.
func FuzzConvert(f *testing.F) {
	const rekor = `{"SignedEntryTimestamp":"c2ln","Payload":{"body":"eyJraW5kIjoiaGFzaGVkcmVrb3JkIiwiYXBpVmVyc2lvbiI6IjAuMC4xIn0=","integratedTime":1,"logIndex":1,"logID":"00"}}`
	const cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
	f.Add(false, []byte(`{"critical":{}}`), "c2ln", cert, cert+cert, rekor, `{"SignedRFC3161Timestamp":"c2ln"}`)
	f.Add(false, []byte("x"), "c2ln", "", "", "", "")
	f.Add(true, []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"","sig":"c2ln"}]}`), "", cert, "", rekor, "")
	f.Add(true, []byte(`{"payload":"-_==","signatures":[{"sig":"-_=="},{"sig":"c2ln"}]}`), "", "", "", `{"Payload":{"body":1}}`, `{"SignedRFC3161Timestamp":1}`)
	f.Fuzz(func(t *testing.T, attestation bool, layer []byte, signature, certificate, chain, rekor, timestamp string) {
		kind := typeSimpleSigning
		if attestation {
			kind = typeEnvelope
		}
		annotations := map[string]string{
			annotationSignature: signature, annotationCertificate: certificate, annotationChain: chain,
			annotationRekor: rekor, annotationTimestamp: timestamp,
		}
		data, err := convert(kind, layer, annotations)
		if err != nil {
			require.ErrorIs(t, err, ErrLegacy)
			return
		}
		again, err := convert(kind, layer, annotations)
		require.NoError(t, err)
		require.Equal(t, data, again)
		require.NoError(t, strictjson.Check(data))
		var b bundle.Bundle
		// A body that no verifier knows is refused here, or else the shape is right.
		if err := b.UnmarshalJSON(data); err != nil {
			return
		}
		if !attestation {
			sum := sha256.Sum256(layer)
			require.Equal(t, sum[:], b.GetMessageSignature().GetMessageDigest().GetDigest())
		}
		require.Equal(t, certificate == "", b.GetVerificationMaterial().GetPublicKey() != nil)
	})
}

// FuzzPieces: evidence comes out only of a manifest that refers to the subject,
// however it is read.
func FuzzPieces(f *testing.F) {
	subject := digest.FromString("subject")
	const layer = `{"mediaType":"TYPE","digest":"DIGEST","size":2}`
	for _, seed := range []string{
		`{"schemaVersion":2,"artifactType":"TYPE","config":{"digest":"DIGEST"},"layers":[` + layer + `],"subject":{"digest":"DIGEST"}}`,
		`{"schemaVersion":2,"config":{"mediaType":"TYPE","digest":"DIGEST"},"layers":[` + layer + `,` + layer + `],"subject":{"digest":"sha256:00"}}`,
		`{"schemaVersion":2,"config":{"digest":"DIGEST"},"layers":[` + layer + `]}`,
		`{"schemaVersion":2,"manifests":[` + layer + `],"subject":{"digest":"DIGEST"}}`,
		`{"schemaVersion":2,"config":{"digest":"DIGEST"},"layers":null,"subject":{"digest":"DIGEST"},"subject":{}}`,
	} {
		for _, kind := range []string{"application/vnd.dev.sigstore.bundle.v0.3+json", typeSimpleSigning, typeEnvelope, typeNotation, string(JWS)} {
			f.Add([]byte(strings.NewReplacer("DIGEST", subject.String(), "TYPE", kind).Replace(seed)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := pieces(data, subject)
		if err != nil {
			require.ErrorIs(t, err, document.ErrMalformed)
			return
		}
		if len(list) == 0 {
			return
		}
		var m struct {
			Subject struct {
				Digest digest.Digest `json:"digest"`
			} `json:"subject"`
		}
		require.NoError(t, json.Unmarshal(data, &m))
		require.Equal(t, subject, m.Subject.Digest)
		for _, p := range list {
			require.NoError(t, document.CheckDigest(p.layer.Digest))
			require.Positive(t, p.max)
		}
	})
}

// FuzzNextLink: a link leads nowhere but to another page.
func FuzzNextLink(f *testing.F) {
	for _, seed := range []string{`</v2/app/referrers/x?last=y&n=1>; rel="next"`, `<http://evil/?ns=a&last=b>;rel=next`, `<`, `<%zz>; rel="next"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, link string) {
		_, next := (&listing{status: 200, link: link}).answer()
		require.NotContains(t, next, "ns")
	})
}
