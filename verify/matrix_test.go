// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

// The matrix: who signs × where it lies × what vouches for it × whether the
// registry has the referrers API. Everything in it has to be accepted for the
// right signer, and refused for another signer and for another image.

// proofs are what can vouch for a signature beside the signer.
var proofs = []struct {
	name  string
	spoil func(*verifytest.BundleOptions)
	// keyless says that it is enough for a certificate; policy is what an
	// authority has to say for it.
	keyless bool
	policy  string
}{
	{"log v1", func(o *verifytest.BundleOptions) { o.Log, o.NoTimestamp = verifytest.DSSE, true }, true, ctlog},
	{"log v2 and timestamp", func(*verifytest.BundleOptions) {}, true, ctlog},
	{"log v1 and timestamp", func(o *verifytest.BundleOptions) { o.Log = verifytest.DSSE }, true, ctlog + tsa},
	{"timestamp only", func(o *verifytest.BundleOptions) { o.NoLogEntry = true }, true, tsa},
	{"neither", func(o *verifytest.BundleOptions) { o.NoLogEntry, o.NoTimestamp = true, true }, false, ""},
}

const (
	ctlog = "    ctlog: {}\n"
	tsa   = "    rfc3161timestamp: {}\n"
)

// A place puts a signature of one image where those of an image are looked for:
// its own, or another's.
type place struct {
	name string
	put  func(s *stand, of, at verifytest.Image, opts verifytest.BundleOptions)
	// scope is by what it has to be bound.
	scope string
}

var places = []place{
	{"referrer of the index", func(s *stand, of, at verifytest.Image, opts verifytest.BundleOptions) {
		s.store.AttachBundle(s.t, at.Index, s.sigstore.Bundle(s.t, cosignStatement(s.t, of.Index), opts))
	}, "index"},
	{"referrer of the manifest", func(s *stand, of, at verifytest.Image, opts verifytest.BundleOptions) {
		s.store.AttachBundle(s.t, at.Manifests[0], s.sigstore.Bundle(s.t, cosignStatement(s.t, of.Manifests[0]), opts))
	}, "manifest"},
	{"signature tag", func(s *stand, of, at verifytest.Image, opts verifytest.BundleOptions) {
		opts.Log = verifytest.HashedRekord
		layer := s.store.CosignSign(s.t, s.sigstore, verifytest.SimpleSigning(of.Index, s.registry+"/app"),
			verifytest.CosignOptions{BundleOptions: opts, Timestamp: !opts.NoTimestamp})
		s.store.TagCosign(s.t, verifytest.CosignTag(at.Index, "sig"), layer)
	}, "index"},
	{"referrer of the attestation manifest", func(s *stand, of, at verifytest.Image, opts verifytest.BundleOptions) {
		s.store.AttachBundle(s.t, s.attestations(at), s.sigstore.Bundle(s.t, cosignStatement(s.t, s.attestations(of)), opts))
	}, "chain"},
	{"in the index", func(s *stand, of, at verifytest.Image, opts verifytest.BundleOptions) {}, "image-id"},
}

// attestations is the attestation manifest of the image's one platform.
func (s *stand) attestations(img verifytest.Image) digest.Digest {
	var idx ocispec.Index
	require.NoError(s.t, json.Unmarshal(s.store.Get(img.Index), &idx))
	return idx.Manifests[1].Digest
}

// unsignedImage has BuildKit's provenance beside it, which nobody signed.
func (s *stand) unsignedImage(content string) verifytest.Image {
	return s.store.Image(s.t, verifytest.ImageOptions{Content: content, Attestations: unsignedProvenance})
}

// cosignStatement is what cosign v3 signs.
func cosignStatement(t *testing.T, dgst digest.Digest) []byte {
	return statementOf(t, "https://sigstore.dev/cosign/sign/v1", dgst)
}

func statementOf(t *testing.T, predicateType string, dgst digest.Digest) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": predicateType, "predicate": map[string]any{},
		"subject": []any{map[string]any{"digest": map[string]string{"sha256": dgst.Encoded()}}},
	})
	require.NoError(t, err)
	return data
}

// authority is a policy for everything with one authority.
func authority(keys, rest string) string {
	if keys == "" {
		return keyless(verifytest.Issuer, verifytest.Subject) + rest
	}
	return `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: keyed
spec:
  images:
  - glob: "**"
  authorities:
  - name: release
    key:
      data: |
` + "        " + strings.ReplaceAll(strings.TrimSpace(keys), "\n", "\n        ") + "\n" + rest
}

// embedded is the bundle in the index of an image.
func (s *stand) embedded(img verifytest.Image) []byte {
	var idx ocispec.Index
	require.NoError(s.t, json.Unmarshal(s.store.Get(img.Index), &idx))
	bundle, err := base64.StdEncoding.DecodeString(idx.Manifests[0].Annotations[provenance.BundleAnnotation])
	require.NoError(s.t, err)
	return bundle
}

func TestMatrix(t *testing.T) {
	key, other := verifytest.NewKey(t, "p256"), verifytest.NewKey(t, "p256")
	for _, api := range []bool{true, false} {
		for _, p := range places {
			for _, proof := range proofs {
				for _, signer := range []crypto.Signer{nil, key} {
					if signer == nil && !proof.keyless || p.name == "signature tag" && proof.name == "log v2 and timestamp" {
						continue // no proof enough; the old form knows the first Rekor alone
					}
					name := fmt.Sprintf("%s/%s/keyed=%t/api=%t", p.name, proof.name, signer != nil, api)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						inTheMatrix(t, p, proof.spoil, proof.policy, signer, other, api)
					})
				}
			}
		}
	}
}

func inTheMatrix(t *testing.T, p place, spoil func(*verifytest.BundleOptions), wants string, key, other crypto.Signer, api bool) {
	s := newStand(t)
	if api {
		s.store.WithReferrers()
	}
	pem, stranger := "", ""
	if key != nil {
		pem, stranger = string(verifytest.PublicPEM(t, key)), string(verifytest.PublicPEM(t, other))
	}
	opts := verifytest.BundleOptions{Key: key}
	spoil(&opts)
	img, moved := s.unsignedImage("signed"), s.unsignedImage("moved")
	p.put(s, img, img, opts)
	if p.scope == "image-id" {
		img = s.signed(verifytest.ImageOptions{Bundle: s.sign(opts)})
		bundle := s.embedded(img)
		moved = s.signed(verifytest.ImageOptions{Content: "moved", Bundle: func([]provenance.Subject) []byte { return bundle }})
	}

	s.policy = s.load(authority(pem, wants))
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, "%s\n%v", d.Line(), d.Checks)
	got := d.Manifests[0].Signers[0]
	require.Equal(t, p.scope, got.Scope)
	require.Equal(t, key != nil, got.Key != "")
	require.Equal(t, "signature", got.Kind)

	p.put(s, img, moved, opts)
	d = s.verify(moved.Index)
	require.Equal(t, decision.Deny, d.Verdict, "the same signature beside another image")
	require.Contains(t, []string{"subject", "message"}, d.Code, d.Line())

	// Another signer is wanted.
	if key == nil {
		s.policy = s.load(keyless(verifytest.Issuer, "https://github.com/plombproject/other") + wants)
	} else {
		s.policy = s.load(authority(stranger, wants))
	}
	require.Equal(t, decision.Deny, s.verify(img.Index).Verdict)
}
