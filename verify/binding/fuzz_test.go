// SPDX-License-Identifier: Apache-2.0

package binding_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/binding"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/verifytest"
)

var (
	index        = digest.FromString("index")
	attestations = digest.FromString("attestations")
)

func signed(target digest.Digest) []byte {
	return []byte(`{"critical":{"identity":{"docker-reference":"registry.example/app"},"image":{"docker-manifest-digest":"` + target.String() +
		`"},"type":"cosign container image signature"},"optional":{"commit":"abc","n":1}}`)
}

func stated(kind, predicateType, name string, target digest.Digest) []byte {
	return []byte(`{"_type":"` + kind + `","subject":[{"name":"` + name + `","digest":{"sha256":"` + target.Encoded() +
		`"}}],"predicateType":"` + predicateType + `","predicate":{"a":1}}`)
}

// FuzzBind: what binds names a part of the image, as every other JSON reader
// sees it too, and counts as a signature only if it is of a kind that is one.
// The payload is verified at this point, but anybody can have signed it.
func FuzzBind(f *testing.F) {
	ours := verifytest.Statement(f, []provenance.Subject{subject("image-id", config, "linux/amd64"), subject("manifest", manifest, "linux/amd64")})
	const v1, v01 = "https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"
	const cosignSign, vuln = "https://sigstore.dev/cosign/sign/v1", "https://cosign.sigstore.dev/attestation/vuln/v1"
	for _, statement := range [][]byte{
		ours,
		stated(v1, cosignSign, "", manifest), stated(v01, vuln, "registry.example/app", index), stated(v1, "https://slsa.dev/provenance/v0.2", "x", attestations),
		stated(v1, vuln, "manifest", config), stated("https://example.com/Statement", vuln, "", manifest),
		[]byte(`{"_type":"` + v1 + `","subject":[{"digest":{"sha256":"` + manifest.Encoded() + `"}},{"Digest":{}}],"predicateType":"x","predicate":[]}`),
	} {
		f.Add(provenance.PayloadType, statement, false, false)
		f.Add(provenance.PayloadType, statement, true, true)
	}
	for _, payload := range [][]byte{
		signed(manifest), signed(index), signed(config), signed(attestations),
		[]byte(`{"critical":{"type":"atomic container signature"},"optional":null}`),
		[]byte(strings.Replace(string(signed(manifest)), `"type"`, `"more":1,"type"`, 1)),
		[]byte(strings.Replace(string(signed(manifest)), `"sha256:`, `"\u0073ha256:`, 1)),
	} {
		f.Add("", payload, false, true)
		f.Add("", payload, true, false)
	}
	f.Add("text/plain", []byte("yes"), false, false)
	f.Fuzz(func(t *testing.T, payloadType string, payload []byte, chained, legacy bool) {
		target := binding.Target{
			Manifest: manifest, Platform: platforms.MustParse("linux/amd64"), Indexes: []digest.Digest{index},
			Document: &ocispec.Manifest{Config: ocispec.Descriptor{Digest: config}},
		}
		if chained {
			target.Attestations = attestations
		}
		s := binding.Signed{Format: claim.Bundle, PayloadType: payloadType, Payload: payload}
		if legacy {
			s.Format = claim.Legacy
		}
		if payload == nil {
			s.Payload = []byte{}
		}
		c, err := binding.Bind(s, target)
		if err != nil {
			return
		}
		scopes := map[claim.Scope]digest.Digest{claim.Manifest: manifest, claim.Index: index, claim.ImageID: config}
		if chained {
			scopes = map[claim.Scope]digest.Digest{claim.Chain: attestations}
		}
		require.Equal(t, scopes[c.Scope], c.Subject)
		require.NotEmpty(t, c.Subject)
		var document any
		require.NoError(t, json.Unmarshal(payload, &document))
		require.True(t, holds(document, c.Subject.Encoded()), string(payload))
		if c.IsSignature() && payloadType != "" {
			require.Contains(t, []string{cosignSign, provenance.PredicateSLSA1, "https://slsa.dev/provenance/v0.2"}, c.PredicateType)
		}
		require.Equal(t, payloadType == "", c.Statement == nil)
	})
}

// holds reports whether some string of a JSON value ends in text.
func holds(value any, text string) bool {
	switch v := value.(type) {
	case string:
		return strings.HasSuffix(v, text)
	case []any:
		for _, e := range v {
			if holds(e, text) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if holds(e, text) {
				return true
			}
		}
	}
	return false
}

// FuzzBindBlob: likewise for an artifact that is no image.
func FuzzBindBlob(f *testing.F) {
	f.Add(provenance.PayloadType, stated("https://in-toto.io/Statement/v1", "x", "file", manifest))
	f.Add(provenance.PayloadType, []byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"digest":{"sha512":"`+strings.Repeat("ab", 64)+`","":""}}],"predicateType":"x","predicate":{}}`))
	f.Add("", signed(manifest))
	f.Fuzz(func(t *testing.T, payloadType string, payload []byte) {
		digests := []digest.Digest{manifest, digest.SHA512.FromString("manifest")}
		c, err := binding.BindBlob(binding.Signed{Format: claim.Bundle, PayloadType: payloadType, Payload: payload}, digests, false)
		if err != nil {
			return
		}
		require.Equal(t, claim.Artifact, c.Scope)
		var document any
		require.NoError(t, json.Unmarshal(payload, &document))
		require.True(t, holds(document, digests[0].Encoded()) || holds(document, digests[1].Encoded()), string(payload))
	})
}
