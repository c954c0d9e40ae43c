// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/verifytest"
)

// An old signature gets a new timestamp from whoever reaches the timestamp
// authority. It does not get younger by that.
func TestTimestampedAnew(t *testing.T) {
	s := newStand(t)
	const fresh = "  freshness: {signature: 20m}\n"
	old := time.Now().Add(-30 * time.Minute)
	notary := verifytest.NewNotary(t)
	s.policy = s.load(imagePolicy("notation", "notation:\n      trustedIdentities: ['*']\n      certificates: "+block(verifytest.PEM(notary.CA()...), "        ")+
		"      timestampCertificates: "+block(verifytest.PEM(notary.TSA()...), "        "), fresh))
	for signed, want := range map[time.Time]decision.Verdict{time.Now().Add(-time.Minute): decision.Allow, old: decision.Deny} {
		img := s.unsignedImage(signed.String())
		s.store.AttachNotation(t, img.Index, notary.Notation(t, s.target(img.Index), verifytest.NotationOptions{
			MediaType: verifytest.NotationJWS, SignedAt: signed, StampedAt: time.Now(), Timestamp: notary,
			CertificateFrom: old.Add(-time.Minute), CertificateUntil: time.Now().Add(10 * time.Minute),
		}), verifytest.NotationJWS)
		d := s.verify(img.Index)
		require.Equal(t, want, d.Verdict, d.Line())
	}

	key := verifytest.NewKey(t, "p256")
	keyed := "key:\n      data: " + block(string(verifytest.PublicPEM(t, key)), "        ") + "    rfc3161timestamp: {}\n"
	img := s.attached(verifytest.BundleOptions{Key: key})
	s.policy = s.load(imagePolicy("keyed", keyed, ""))
	require.Equal(t, decision.Allow, s.verify(img.Index).Verdict)
	s.policy = s.load(imagePolicy("keyed", keyed, fresh))
	refuse(t, s.verify(img.Index), decision.Deny, "no-time", "renewed")
}

// The provenance names a harmless SBOM and one with a banned package, in any
// order and of any two formats: all of them are read.
func TestEverySignedSBOMIsRead(t *testing.T) {
	banned := verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"log4j","versionInfo":"2.14.0","externalRefs":[
		{"referenceType":"purl","referenceLocator":"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.0"}]}]}`)
	harmless := verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","packages":[]}`)
	cyclonedx := verifytest.Attestation{PredicateType: "https://cyclonedx.org/bom", Predicate: []byte(`{"bomFormat":"CycloneDX","components":[]}`)}
	s := newStand(t)
	s.policy = s.load(imagePolicy("p", byDefault(""), "  packages: {deny: [{purl: pkg:maven/org.apache.logging.log4j/log4j-core, versions: '<2.17.1'}]}\n"))
	for i, list := range [][]verifytest.Attestation{{harmless}, {cyclonedx}, {harmless, banned}, {banned, harmless}, {cyclonedx, banned}, {banned, cyclonedx}} {
		img := s.store.Image(t, verifytest.ImageOptions{
			Content:      fmt.Sprint(i),
			Attestations: func(string) []verifytest.Attestation { return list },
			Bundle: func(subjects []provenance.Subject) []byte {
				p := verifytest.Provenance()
				p.RunDetails.Byproducts = []slsa.ResourceDescriptor{}
				for j, a := range list {
					p.RunDetails.Byproducts = append(p.RunDetails.Byproducts, a.Byproduct(fmt.Sprint(j), verifytest.Platform))
				}
				return s.sigstore.Bundle(t, verifytest.StatementOf(t, subjects, p), verifytest.BundleOptions{})
			},
		})
		d := s.verify(img.Index)
		if len(list) == 1 {
			require.Equal(t, decision.Allow, d.Verdict, d.Line())
			continue
		}
		refuse(t, d, decision.Deny, "package", "log4j-core")
	}
}

// failing has no list of what refers to a manifest.
type failing struct {
	evidence.Location
	at digest.Digest
}

func (f failing) Referrers(ctx context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error) {
	if dgst == f.at {
		return nil, evidence.ErrUnreachable
	}
	return f.Location.Referrers(ctx, dgst)
}

// A registry that fails where it likes does not get an image admitted that the
// policy refuses, though it was allowed before.
func TestOutageDoesNotPardon(t *testing.T) {
	s := newStand(t)
	img := s.attached(verifytest.BundleOptions{})
	for rest, want := range map[string]decision.Verdict{
		"": decision.Allow,
		"  deny: {digests: [{digest: '" + img.Index.String() + "', reason: bad}]}\n": decision.Deny,
		"  freshness: {signature: 1ns}\n":                                            decision.Undecided,
	} {
		for name, location := range map[string]evidence.Location{
			"no referrers": failing{s.request(img.Index).Location, img.Manifests[0]},
			"no registry":  evidence.NewRegistry("127.0.0.1:1/app", evidence.RegistryOptions{}),
		} {
			s.policy = s.load(imagePolicy("p", byDefault(""), "  undecided: allow-if-verified-before\n"+rest))
			req := s.request(img.Index)
			req.VerifiedBefore = func(string, digest.Digest) bool { return true }
			req.Location = location
			d := verify.Verify(context.Background(), req)
			expected := want
			if name == "no registry" && want == decision.Undecided {
				expected = decision.Allow // nothing was seen that speaks against it
			}
			require.Equal(t, expected, d.Verdict, "%s%s: %s", rest, name, d.Line())
		}
	}
}

// Who may write to the image's repository cannot drown what is in another.
func TestFloodDoesNotHideAnotherRepository(t *testing.T) {
	s := newStand(t)
	img := s.unsignedImage("x")
	elsewhere := verifytest.NewStore()
	host := elsewhere.Serve(t)
	elsewhere.Add(s.store.Get(img.Index), ocispec.MediaTypeImageIndex)
	elsewhere.AttachBundle(t, img.Index, s.sigstore.Bundle(t, cosignStatement(t, img.Index), verifytest.BundleOptions{}))
	for i := range evidence.MaxCandidates + 6 {
		s.store.AttachBundle(t, img.Index, []byte(fmt.Sprint(i)))
	}
	s.policy = s.load(imagePolicy("elsewhere", byDefault("")+"\n    source: [{oci: "+host+"/signatures}]", ""))
	d := s.decide(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
}

// A base image that was allowed before, under another policy.
func TestBaseImagesAreNotPardoned(t *testing.T) {
	s := newStand(t)
	base := s.unsignedImage("base")
	s.policy = s.load(
		imagePolicy("app", byDefault(""), "  materials: {baseImages: {policy: base}}\n"),
		imagePolicy("base", byDefault(""), "  undecided: allow-if-verified-before\n"))
	img := s.store.Image(t, verifytest.ImageOptions{Bundle: s.builtFrom(base.Index)})
	req := s.request(img.Index)
	req.VerifiedBefore = func(_ string, dgst digest.Digest) bool { return dgst == base.Index }
	req.Locate = func(string) (evidence.Location, error) {
		return evidence.NewRegistry("127.0.0.1:1/base", evidence.RegistryOptions{}), nil
	}
	refuse(t, verify.Verify(context.Background(), req), decision.Undecided, "base-image-unknown", "")
}
