// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

const (
	predicateVuln = "https://cosign.sigstore.dev/attestation/vuln/v1"
	predicateSPDX = "https://spdx.dev/Document"
)

// wants is the default policy with attestations demanded.
func wants(predicateTypes ...string) string {
	var doc strings.Builder
	doc.WriteString(keyless(verifytest.Issuer, verifytest.Subject) + "    attestations:\n")
	for _, p := range predicateTypes {
		doc.WriteString("    - name: " + p[strings.LastIndex(p, "/")+1:] + "\n      predicateType: " + p + "\n")
	}
	return doc.String()
}

// TestAttestationsApproveNothing: the welcome signer said something about the
// image, and not that it is good.
func TestAttestationsApproveNothing(t *testing.T) {
	s := newStand(t)
	s.allow(s.attached(verifytest.BundleOptions{}).Index)
	for name, predicateType := range map[string]string{
		"vulnerability scan": predicateVuln,
		"SBOM":               predicateSPDX,
		"custom":             "https://cosign.sigstore.dev/attestation/v1",
		"like a signature":   "https://sigstore.dev/cosign/sign/v1/",
		"like provenance":    "https://slsa.dev/provenance/v1.0",
	} {
		t.Run(name, func(t *testing.T) {
			img := s.unsignedImage(name)
			s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, statementOf(t, predicateType, img.Index), verifytest.BundleOptions{}))
			d := s.verify(img.Index)
			refuse(t, d, decision.Deny, "no-signature", "")
		})
	}
	t.Run("old form", func(t *testing.T) {
		img := s.unsignedImage("old attestation")
		for _, predicateType := range []string{predicateVuln, "https://slsa.dev/provenance/v0.2"} {
			layer := s.store.CosignAttest(t, s.sigstore, statementOf(t, predicateType, img.Index), verifytest.CosignOptions{})
			s.store.TagCosign(t, verifytest.CosignTag(img.Index, "att"), layer)
			refuse(t, s.verify(img.Index), decision.Deny, "no-signature", predicateType)
		}
	})
}

// TestAnotherAttestation: what was demanded is not what was stated, or not who
// stated it.
func TestAnotherAttestation(t *testing.T) {
	s := newStand(t)
	s.policy = s.load(wants(predicateVuln))
	attest := func(name, predicateType string, opts verifytest.BundleOptions) verifytest.Image {
		img := s.unsignedImage(name)
		s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, statementOf(t, predicateType, img.Index), opts))
		return img
	}
	s.allow(attest("good", predicateVuln, verifytest.BundleOptions{}).Index)
	refuse(t, s.verify(attest("another type", predicateSPDX, verifytest.BundleOptions{}).Index), decision.Deny, "attestation", predicateSPDX)
	refuse(t, s.verify(attest("a signature", "https://sigstore.dev/cosign/sign/v1", verifytest.BundleOptions{}).Index), decision.Deny, "attestation", "")
	refuse(t, s.verify(attest("by another", predicateVuln, verifytest.BundleOptions{Subject: "https://github.com/mallory"}).Index), decision.Deny, "identity", "mallory")

	// The type on the outside is the registry's word.
	img := attest("disguised", predicateSPDX, verifytest.BundleOptions{})
	refuse(t, s.verify(img.Index), decision.Deny, "attestation", "")

	s.policy = s.load(wants(predicateVuln, predicateSPDX))
	both := attest("both", predicateVuln, verifytest.BundleOptions{})
	refuse(t, s.verify(both.Index), decision.Deny, "attestation", "")
	s.store.AttachBundle(t, both.Index, s.sigstore.Bundle(t, statementOf(t, predicateSPDX, both.Index), verifytest.BundleOptions{}))
	s.allow(both.Index)
}

// TestAttestationAboutTheAttestationManifest: a welcome signer said something
// about the attestation manifest, and did not sign it. What is in it is not his
// word: not provenance, and not a scan.
func TestAttestationAboutTheAttestationManifest(t *testing.T) {
	s := newStand(t)
	image := func(content string) verifytest.Image {
		return s.store.Image(t, verifytest.ImageOptions{Content: content, Attestations: func(string) []verifytest.Attestation {
			return []verifytest.Attestation{
				{PredicateType: provenance.PredicateSLSA1, Predicate: []byte(`{}`)},
				{PredicateType: predicateVuln, Predicate: []byte(`{"scanner":{"result":[]}}`)},
			}
		}})
	}
	said := func(img verifytest.Image, predicateType string) digest.Digest {
		about := s.attestations(img)
		s.store.AttachBundle(t, about, s.sigstore.Bundle(t, statementOf(t, predicateType, about), verifytest.BundleOptions{}))
		return img.Index
	}
	for _, wanted := range []string{provenance.PredicateSLSA1, predicateVuln} {
		s.policy = s.load(wants(wanted))
		s.allow(said(image("good "+wanted), "https://sigstore.dev/cosign/sign/v1"))
		for _, stated := range []string{predicateSPDX, predicateVuln, "https://example.com/rejected/v1"} {
			refuse(t, s.verify(said(image(wanted+" of "+stated), stated)), decision.Deny, "no-signature", stated)
		}
	}
}

// TestStatementOfManySubjects: a statement is about the image that it names by
// digest, however many others it names, and by whatever names.
func TestStatementOfManySubjects(t *testing.T) {
	s := newStand(t)
	img := s.unsignedImage("many")
	subject := func(name string, algorithm string, sum string) map[string]any {
		return map[string]any{"name": name, "digest": map[string]string{algorithm: sum}}
	}
	state := func(img verifytest.Image, subjects ...any) {
		for i := range 100 {
			subjects = append(subjects, subject("other", "sha256", digest.FromString(strings.Repeat("x", i)).Encoded()))
		}
		payload, err := json.Marshal(map[string]any{
			"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://sigstore.dev/cosign/sign/v1",
			"predicate": map[string]any{}, "subject": subjects,
		})
		require.NoError(t, err)
		s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, payload, verifytest.BundleOptions{}))
	}
	good := s.unsignedImage("good")
	state(good, subject("this", "sha256", good.Index.Encoded()))
	s.allow(good.Index)
	state(img,
		subject(s.registry+"/app:v1", "sha256", digest.FromString("other").Encoded()),
		subject(img.Index.String(), "sha256", digest.FromString("other").Encoded()),
		subject("sha512", "sha512", img.Index.Encoded()),
		subject("upper case", "sha256", strings.ToUpper(img.Index.Encoded())),
		subject("prefix", "sha256", img.Index.Encoded()[:32]),
		subject("blank", "sha256", " "+img.Index.Encoded()),
		subject("tree", "gitTree", img.Index.Encoded()),
	)
	refuse(t, s.verify(img.Index), decision.Deny, "subject", "")
	empty := s.unsignedImage("empty")
	s.store.AttachBundle(t, empty.Index, s.sigstore.Bundle(t,
		[]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://sigstore.dev/cosign/sign/v1","subject":[],"predicate":{}}`), verifytest.BundleOptions{}))
	d := s.verify(empty.Index)
	require.Equal(t, decision.Deny, d.Verdict, d.Line())
	require.Contains(t, []string{"subject", "statement"}, d.Code)
}

// TestPayloadsOfAnotherKind: a good signature over bytes that mean something
// else in another envelope.
func TestPayloadsOfAnotherKind(t *testing.T) {
	s := newStand(t)
	s.allow(s.attached(verifytest.BundleOptions{}).Index)
	for _, c := range []struct {
		name    string
		payload func(digest.Digest) []byte
		opts    verifytest.BundleOptions
		code    string
	}{
		{
			"simple signing in an envelope", func(d digest.Digest) []byte { return verifytest.SimpleSigning(d, "app") },
			verifytest.BundleOptions{PayloadType: "application/vnd.dev.cosign.simplesigning.v1+json"}, "envelope",
		},
		{
			"simple signing as a statement", func(d digest.Digest) []byte { return verifytest.SimpleSigning(d, "app") },
			verifytest.BundleOptions{}, "statement",
		},
		{
			"statement as another type", func(d digest.Digest) []byte { return cosignStatement(t, d) },
			verifytest.BundleOptions{PayloadType: "text/plain"}, "envelope",
		},
		{
			"statement as a signed file", func(d digest.Digest) []byte { return cosignStatement(t, d) },
			verifytest.BundleOptions{Message: true}, "message",
		},
		{
			"simple signing as a signed file", func(d digest.Digest) []byte { return verifytest.SimpleSigning(d, "app") },
			verifytest.BundleOptions{Message: true}, "message",
		},
		{
			"digest as a signed file", func(d digest.Digest) []byte { return []byte(d.String()) },
			verifytest.BundleOptions{Message: true}, "message",
		},
		{
			"two signatures in the envelope", func(d digest.Digest) []byte { return cosignStatement(t, d) },
			verifytest.BundleOptions{SecondSignature: true}, "envelope",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := s.unsignedImage(c.name)
			s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, c.payload(img.Index), c.opts))
			refuse(t, s.verify(img.Index), decision.Deny, c.code, "")
		})
	}
}

// TestSignedFileIsTheManifest: a signature over a file holds for the image whose
// index the file is, and its stated digest is not believed.
func TestSignedFileIsTheManifest(t *testing.T) {
	s := newStand(t)
	img, other := s.unsignedImage("file"), s.unsignedImage("other")
	s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, s.store.Get(img.Index), verifytest.BundleOptions{Message: true, Log: verifytest.HashedRekord}))
	s.allow(img.Index)
	sum, err := hex.DecodeString(other.Index.Encoded())
	require.NoError(t, err)
	s.store.AttachBundle(t, other.Index, s.sigstore.Bundle(t, s.store.Get(img.Index),
		verifytest.BundleOptions{Message: true, Log: verifytest.HashedRekord, MessageDigest: sum}))
	d := s.verify(other.Index)
	require.Equal(t, decision.Deny, d.Verdict, d.Line())
	require.Contains(t, []string{"message", "log-entry", "signature"}, d.Code, d.Line())
}
