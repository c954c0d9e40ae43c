// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/verifytest"
)

// legacy reads layers under cosign's tag.
func legacy(t *testing.T, s *stand, layers ...ocispec.Descriptor) (found []evidence.Candidate, errs []error) {
	t.Helper()
	s.TagCosign(t, verifytest.CosignTag(s.img.Index, "sig"), layers...)
	return all(t, []evidence.Source{evidence.CosignTags{Location: s.registry(t)}}, s.subject)
}

// TestConvertedBundlesVerify: the bundle that comes out of an old signature is
// accepted by a verifier that never heard of the old form.
func TestConvertedBundlesVerify(t *testing.T) {
	sigstore := verifytest.NewSigstore(t)
	material, err := root.NewTrustedRootFromJSON(sigstore.TrustedRoot(t, verifytest.RootOptions{}))
	require.NoError(t, err)
	document := verifytest.SimpleSigning(digest.FromString("image"), "reg.example/app")
	statement := []byte(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"app","digest":{"sha256":"00"}}],"predicateType":"x","predicate":{}}`)
	for name, test := range map[string]struct {
		opts    verifytest.CosignOptions
		options []verify.VerifierOption
	}{
		"log":       {options: []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithIntegratedTimestamps(1)}},
		"timestamp": {verifytest.CosignOptions{BundleOptions: verifytest.BundleOptions{NoLogEntry: true}, Timestamp: true}, []verify.VerifierOption{verify.WithSignedTimestamps(1)}},
		"intoto":    {verifytest.CosignOptions{BundleOptions: verifytest.BundleOptions{Log: verifytest.Intoto002}}, []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithIntegratedTimestamps(1)}},
		"both":      {verifytest.CosignOptions{Timestamp: true}, []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithObserverTimestamps(2)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, false)
			sign := test.opts
			sign.Log = "" // an image's signature is a hashedrekord in any case
			found, errs := legacy(t, s, s.CosignSign(t, sigstore, document, sign), s.CosignAttest(t, sigstore, statement, test.opts))
			require.Empty(t, errs)
			require.Len(t, found, 2)
			v, err := verify.NewVerifier(material, append(test.options, verify.WithSignedCertificateTimestamps(1))...)
			require.NoError(t, err)
			require.NoError(t, check(t, v, found[0], verify.WithArtifact(bytes.NewReader(found[0].Payload))))
			require.Error(t, check(t, v, found[0], verify.WithArtifact(strings.NewReader("another document"))))
			require.NoError(t, check(t, v, found[1], verify.WithoutArtifactUnsafe()))
		})
	}
}

func check(t *testing.T, v *verify.Verifier, c evidence.Candidate, artifact verify.ArtifactPolicyOption) error {
	t.Helper()
	var b sgbundle.Bundle
	require.NoError(t, b.UnmarshalJSON(c.Bundle))
	_, err := v.Verify(&b, verify.NewPolicy(artifact, verify.WithoutIdentitiesUnsafe()))
	return err
}

// TestKeyedSignaturesAreConverted: without a certificate it is a key's, with or
// without a log.
func TestKeyedSignaturesAreConverted(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	loaded, err := signature.LoadVerifier(key.Public(), crypto.SHA256)
	require.NoError(t, err)
	sigstore := verifytest.NewSigstore(t)
	material, err := root.NewTrustedRootFromJSON(sigstore.TrustedRoot(t, verifytest.RootOptions{}))
	require.NoError(t, err)
	keys := root.NewTrustedPublicKeyMaterial(func(hint string) (root.TimeConstrainedVerifier, error) {
		require.Empty(t, hint)
		return root.NewExpiringKey(loaded, time.Time{}, time.Time{}), nil
	})
	for _, logged := range []bool{true, false} {
		s := newStand(t, false)
		opts := verifytest.CosignOptions{BundleOptions: verifytest.BundleOptions{Key: key, NoLogEntry: !logged}}
		found, errs := legacy(t, s, s.CosignSign(t, sigstore, []byte("document"), opts), s.CosignAttest(t, sigstore, []byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`), opts))
		require.Empty(t, errs)
		options := []verify.VerifierOption{verify.WithNoObserverTimestamps()}
		if logged {
			options = []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithIntegratedTimestamps(1)}
		}
		v, err := verify.NewVerifier(root.TrustedMaterialCollection{keys, material}, options...)
		require.NoError(t, err)
		var b sgbundle.Bundle
		require.NoError(t, b.UnmarshalJSON(found[0].Bundle))
		_, err = v.Verify(&b, verify.NewPolicy(verify.WithArtifact(strings.NewReader("document")), verify.WithKey()))
		require.NoError(t, err)
		require.NoError(t, b.UnmarshalJSON(found[1].Bundle))
		_, err = v.Verify(&b, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithKey()))
		require.NoError(t, err)
	}
}

// TestEqualLayersAreEqualBundles: evidence that is found twice is verified once.
func TestEqualLayersAreEqualBundles(t *testing.T) {
	s := newStand(t, false)
	layer := s.CosignSign(t, verifytest.NewSigstore(t), []byte("document"), verifytest.CosignOptions{})
	layers := []ocispec.Descriptor{layer}
	for range 20 {
		layers = append(layers, layer)
	}
	found, errs := legacy(t, s, layers...)
	require.Empty(t, errs)
	for _, c := range found {
		require.Equal(t, found[0].Digest, c.Digest)
	}
}

// TestEntriesKeepTheirKind: the log's entry says itself what it is.
func TestEntriesKeepTheirKind(t *testing.T) {
	for _, kind := range [][2]string{{"hashedrekord", "0.0.1"}, {"intoto", "0.0.1"}, {"intoto", "0.0.2"}, {"dsse", "0.0.1"}} {
		s := newStand(t, false)
		layer := s.Add([]byte("document"), verifytest.TypeSimpleSigning)
		body, err := json.Marshal(map[string]any{"kind": kind[0], "apiVersion": kind[1], "spec": map[string]any{}})
		require.NoError(t, err)
		entry, err := json.Marshal(map[string]any{"SignedEntryTimestamp": []byte("set"), "Payload": map[string]any{
			"body": body, "integratedTime": 1700000000, "logIndex": 42, "logID": "c0d2",
		}})
		require.NoError(t, err)
		layer.Annotations = map[string]string{verifytest.CosignSignature: "c2ln", verifytest.CosignRekor: string(entry)}
		found, errs := legacy(t, s, layer)
		require.Empty(t, errs)
		var b struct {
			MediaType            string
			VerificationMaterial struct {
				TlogEntries []map[string]any
			}
		}
		require.NoError(t, json.Unmarshal(found[0].Bundle, &b))
		require.Equal(t, "application/vnd.dev.sigstore.bundle+json;version=0.1", b.MediaType)
		require.Equal(t, map[string]any{
			"logIndex": "42", "integratedTime": "1700000000", "logId": map[string]any{"keyId": "wNI="},
			"kindVersion":       map[string]any{"kind": kind[0], "version": kind[1]},
			"inclusionPromise":  map[string]any{"signedEntryTimestamp": "c2V0"},
			"canonicalizedBody": encode(body),
		}, b.VerificationMaterial.TlogEntries[0])
	}
}

func encode(data []byte) string {
	text, _ := json.Marshal(data)
	return strings.Trim(string(text), `"`)
}

// TestBrokenLegacyLayers: each part of the old form, spoilt.
func TestBrokenLegacyLayers(t *testing.T) {
	s := newStand(t, false)
	sigstore := verifytest.NewSigstore(t)
	good := s.CosignSign(t, sigstore, []byte("document"), verifytest.CosignOptions{Timestamp: true})
	chain := good.Annotations[verifytest.CosignChain]
	for name, spoilt := range map[string][2]string{
		"no signature":             {verifytest.CosignSignature, ""},
		"signature of letters":     {verifytest.CosignSignature, "***"},
		"two certificates":         {verifytest.CosignCertificate, good.Annotations[verifytest.CosignCertificate] + chain},
		"no certificate":           {verifytest.CosignCertificate, "x"},
		"a key for a certificate":  {verifytest.CosignCertificate, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},
		"rubbish in the chain":     {verifytest.CosignChain, chain + "x"},
		"endless chain":            {verifytest.CosignChain, strings.Repeat(chain, 100)},
		"log entry of letters":     {verifytest.CosignRekor, "x"},
		"log entry twice":          {verifytest.CosignRekor, `{"SignedEntryTimestamp":"c2ln","SignedEntryTimestamp":"c2ln"}`},
		"log entry without body":   {verifytest.CosignRekor, `{"SignedEntryTimestamp":"c2ln","Payload":{"logID":"00"}}`},
		"log entry without SET":    {verifytest.CosignRekor, `{"Payload":{"body":"e30=","logID":"00"}}`},
		"log entry of text":        {verifytest.CosignRekor, `{"SignedEntryTimestamp":"c2ln","Payload":{"body":"eA==","logID":"00"}}`},
		"log without a name":       {verifytest.CosignRekor, `{"SignedEntryTimestamp":"c2ln","Payload":{"body":"e30=","logID":"log"}}`},
		"timestamp of letters":     {verifytest.CosignTimestamp, `{"SignedRFC3161Timestamp":"***"}`},
		"timestamp without a time": {verifytest.CosignTimestamp, `{}`},
	} {
		layer := good
		layer.Annotations = maps.Clone(good.Annotations)
		layer.Annotations[spoilt[0]] = spoilt[1]
		found, errs := legacy(t, s, layer)
		require.Empty(t, found, name)
		require.Len(t, errs, 1, name)
		require.ErrorIs(t, errs[0], evidence.ErrLegacy, name)
	}
	for _, envelope := range []string{
		"", "[]", `{"payload":"***"}`, `{"payload":"e30=","payload":"e30="}`, `{"payload":"e30=","Payload":"e30="}`,
		`{"payload":"e30=","signatures":[{"sig":"***"}]}`, `{"payload":"e30=","signatures":[{"sig":""}]}`, `{"payload":""}`,
	} {
		found, errs := legacy(t, s, s.Add([]byte(envelope), verifytest.TypeEnvelope))
		require.Empty(t, found, envelope)
		require.Len(t, errs, 1, envelope)
		require.ErrorIs(t, errs[0], evidence.ErrLegacy, envelope)
	}
}

// TestTagsThatAreNoManifests: what is under cosign's tag is an index, or broken.
func TestTagsThatAreNoManifests(t *testing.T) {
	s := newStand(t, false)
	tag := verifytest.CosignTag(s.img.Index, "sig")
	s.Tag(tag, s.img.Index)
	source := []evidence.Source{evidence.CosignTags{Location: s.registry(t)}}
	found, errs := all(t, source, s.subject)
	require.Empty(t, found)
	require.Empty(t, errs)

	s.Tag(tag, s.Add([]byte(`{"schemaVersion":1}`), "text/plain").Digest)
	found, errs = all(t, source, s.subject)
	require.Empty(t, found)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], document.ErrMalformed)
}
