// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

const releaseName = "x509.subject: C=US, ST=WA, O=plomb, CN=release"

// notarized is a policy that wants a signature of the Notary Project.
func notarized(by *verifytest.Notary, identity, rest string) string {
	return imagePolicy("notation", fmt.Sprintf("notation:\n      trustedIdentities: [%q]\n%s      certificates: ", identity, rest)+
		block(verifytest.PEM(by.CA()...), "        "), "")
}

// sealed is an image with such a signature beside it.
func (s *stand) sealed(by *verifytest.Notary, opts verifytest.NotationOptions) verifytest.Image {
	s.t.Helper()
	img := s.unsignedImage(fmt.Sprint(time.Now().UnixNano()))
	s.store.AttachNotation(s.t, img.Index, by.Notation(s.t, s.target(img.Index), opts), verifytest.NotationJWS)
	return img
}

func (s *stand) target(dgst digest.Digest) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: dgst, Size: int64(len(s.store.Get(dgst)))}
}

// TestSpoiltNotarySignatures spoils one property at a time.
func TestSpoiltNotarySignatures(t *testing.T) {
	s := newStand(t)
	notary, other := verifytest.NewNotary(t), verifytest.NewNotary(t)
	s.policy = s.load(notarized(notary, releaseName, ""))
	s.allow(s.sealed(notary, verifytest.NotationOptions{}).Index)
	now := time.Now()
	for _, c := range []struct {
		name string
		by   *verifytest.Notary
		opts verifytest.NotationOptions
		code string
	}{
		{"another authority", other, verifytest.NotationOptions{}, "notation-untrusted"},
		{"another name", notary, verifytest.NotationOptions{Subject: pkix.Name{Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"plomb"}, CommonName: "mallory"}}, "notation-identity"},
		{"certificate expired", notary, verifytest.NotationOptions{SignedAt: now.Add(-3 * time.Hour)}, "notation-"},
		{"signature expired", notary, verifytest.NotationOptions{SignedAt: now.Add(-time.Minute), Expiry: now.Add(-time.Second)}, "notation-"},
		{"no certificate for code", notary, verifytest.NotationOptions{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "notation-"},
		{"RSA of 1024 bits", notary, verifytest.NotationOptions{Key: verifytest.NotationKey(t, 1024)}, "notation-"},
		{"SHA-1 in the chain", notary, verifytest.NotationOptions{Weak: true}, "notation-"},
		{"critical attribute", notary, verifytest.NotationOptions{Critical: map[string]any{"io.example.must": "understand"}}, "notation-critical"},
		{"plugin", notary, verifytest.NotationOptions{Critical: map[string]any{"io.cncf.notary.verificationPlugin": "evil"}}, "notation-plugin"},
		{"another payload", notary, verifytest.NotationOptions{PayloadType: "application/json"}, "notation-"},
		{"two payloads", notary, verifytest.NotationOptions{Payload: []byte(`{"targetArtifact":{},"targetArtifact":{}}`)}, "notation-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := s.verify(s.sealed(c.by, c.opts).Index)
			require.Equal(t, decision.Deny, d.Verdict, d.Line())
			require.True(t, strings.HasPrefix(d.Code, c.code), "%s: %s", c.code, d.Line())
		})
	}
}

// TestNotarySignatureOfAnother: the signature names another image, or is of a
// form that the policy does not ask for.
func TestNotarySignatureOfAnother(t *testing.T) {
	s := newStand(t)
	notary := verifytest.NewNotary(t)
	s.policy = s.load(notarized(notary, releaseName, ""))
	good, evil := s.sealed(notary, verifytest.NotationOptions{}), s.unsignedImage("evil")
	s.allow(good.Index)
	s.store.AttachNotation(t, evil.Index, notary.Notation(t, s.target(good.Index), verifytest.NotationOptions{}), verifytest.NotationJWS)
	refuse(t, s.verify(evil.Index), decision.Deny, "subject", "")

	// Another type on the outside does not make it another envelope.
	cose := s.unsignedImage("cose")
	s.store.AttachNotation(t, cose.Index, notary.Notation(t, s.target(cose.Index), verifytest.NotationOptions{}), verifytest.NotationCOSE)
	d := s.verify(cose.Index)
	require.Equal(t, decision.Deny, d.Verdict, d.Line())

	// The signed annotations hold what they hold; the target's digest counts.
	annotated := s.unsignedImage("annotated")
	s.store.AttachNotation(t, annotated.Index, notary.Notation(t, s.target(good.Index), verifytest.NotationOptions{
		Annotations: map[string]string{"digest": annotated.Index.String()},
	}), verifytest.NotationJWS)
	refuse(t, s.verify(annotated.Index), decision.Deny, "subject", "")
}

// TestOneFormForTheOther: Sigstore's signature where the Notary Project's is
// wanted, and the other way round; and where both are, one is not enough.
func TestOneFormForTheOther(t *testing.T) {
	s := newStand(t)
	notary := verifytest.NewNotary(t)
	sigstore, notation := keyless(verifytest.Issuer, verifytest.Subject), notarized(notary, releaseName, "")
	one, two := s.attached(verifytest.BundleOptions{}), s.sealed(notary, verifytest.NotationOptions{})
	s.policy = s.load(sigstore)
	s.allow(one.Index)
	refuse(t, s.verify(two.Index), decision.Deny, "unwanted-form", "a Notary Project signature, and the policy asks for a key or a certificate")
	s.policy = s.load(notation)
	s.allow(two.Index)
	refuse(t, s.verify(one.Index), decision.Deny, "unwanted-form", "a Sigstore signature, and the policy asks for a Notary Project one")
	s.policy = s.load(sigstore, notation)
	refuse(t, s.verify(one.Index), decision.Deny, "unsigned", "policy notation")
	refuse(t, s.verify(two.Index), decision.Deny, "unsigned", "policy demo")
	s.store.AttachBundle(t, two.Index, s.sigstore.Bundle(t, cosignStatement(t, two.Index), verifytest.BundleOptions{}))
	s.allow(two.Index)
}

// TestNotaryTimestampOfAStranger: the certificate has expired, and the timestamp
// that says it had not is by an authority that nobody trusts.
func TestNotaryTimestampOfAStranger(t *testing.T) {
	s := newStand(t)
	notary, other := verifytest.NewNotary(t), verifytest.NewNotary(t)
	stamps := "      timestampCertificates: " + block(verifytest.PEM(notary.TSA()...), "        ")
	s.policy = s.load(notarized(notary, releaseName, stamps))
	old := time.Now().Add(-3 * time.Hour)
	s.allow(s.sealed(notary, verifytest.NotationOptions{SignedAt: old, Timestamp: notary}).Index)
	refuse(t, s.verify(s.sealed(notary, verifytest.NotationOptions{SignedAt: old, Timestamp: other}).Index), decision.Deny, "notation-timestamp", "")
	d := s.verify(s.sealed(notary, verifytest.NotationOptions{SignedAt: old}).Index)
	require.Equal(t, decision.Deny, d.Verdict, d.Line())
	d = s.verify(s.sealed(notary, verifytest.NotationOptions{SignedAt: old, Timestamp: notary, StampedAt: time.Now()}).Index)
	require.Equal(t, decision.Deny, d.Verdict, "stamped after the certificate had expired: %s", d.Line())
}
