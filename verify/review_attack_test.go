// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// TestEverySBOMOfOneTypeIsRead: the provenance names two documents of one type
// for a platform, as plomb's does, and the registry decides in which order the
// image carries them. A ban must be held against all of them.
func TestEverySBOMOfOneTypeIsRead(t *testing.T) {
	banned := verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"log4j","versionInfo":"2.14.0","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.0"}]}]}`)
	harmless := verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","packages":[]}`)
	for name, beside := range map[string][]verifytest.Attestation{
		"as built":  {banned, harmless},
		"reordered": {harmless, banned},
		"stripped":  {harmless},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.policy = s.load(imagePolicy("p", byDefault(""), "  packages: {deny: [{purl: pkg:maven/org.apache.logging.log4j/log4j-core, versions: '<2.17.1'}]}\n"))
			img := s.store.Image(t, verifytest.ImageOptions{
				Attestations: func(string) []verifytest.Attestation { return beside },
				Bundle: func(subjects []provenance.Subject) []byte {
					p := verifytest.Provenance()
					p.RunDetails.Byproducts = []slsa.ResourceDescriptor{
						banned.Byproduct(slsa.ByproductSBOM, verifytest.Platform), harmless.Byproduct("sbom-files", verifytest.Platform),
					}
					return s.sigstore.Bundle(t, verifytest.StatementOf(t, subjects, p), verifytest.BundleOptions{})
				},
			})
			d := s.verify(img.Index)
			require.Equal(t, decision.Deny, d.Verdict, "%s", d.Line())
		})
	}
}

// TestEveryTypeOfSBOMIsRead: the provenance names an SPDX and a CycloneDX
// document. The first must not speak for both.
func TestEveryTypeOfSBOMIsRead(t *testing.T) {
	const ban = "  packages: {deny: [{purl: pkg:npm/evil}]}\n"
	banned := verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"evil","versionInfo":"1","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/evil@1"}]}]}`)
	empty := verifytest.Attestation{PredicateType: "https://cyclonedx.org/bom", Predicate: []byte(`{"bomFormat":"CycloneDX","components":[]}`)}
	s := newStand(t)
	build := func(list ...verifytest.Attestation) *decision.Decision {
		s.policy = s.load(imagePolicy("p", byDefault(""), ban))
		return s.verify(s.store.Image(t, verifytest.ImageOptions{
			Attestations: func(string) []verifytest.Attestation { return list },
			Bundle: func(subjects []provenance.Subject) []byte {
				p := verifytest.Provenance()
				for _, a := range list {
					p.RunDetails.Byproducts = append(p.RunDetails.Byproducts, a.Byproduct("sbom", verifytest.Platform))
				}
				return s.sigstore.Bundle(t, verifytest.StatementOf(t, subjects, p), verifytest.BundleOptions{})
			},
		}).Index)
	}
	require.Equal(t, decision.Allow, build(empty).Verdict)
	refuse(t, build(empty, banned), decision.Deny, "package", "pkg:npm/evil@1")
	refuse(t, build(banned, empty), decision.Deny, "package", "pkg:npm/evil@1")
}

// TestTransparencyOfAnotherInstance: a policy with a certificate authority of its
// own wants certificate transparency. That one of the machine's instances has
// none must not do away with it.
func TestTransparencyOfAnotherInstance(t *testing.T) {
	s := newStand(t)
	other := verifytest.NewSigstore(t)
	s.policy = s.load(imagePolicy("p", "keyless: {ca-cert: {data: "+fmt.Sprintf("%q", s.sigstore.CACert())+"}, identities: [{issuer: "+
		verifytest.Issuer+", subject: '"+verifytest.Subject+"'}]}", ""))
	noCT, err := trust.Decode(other.TrustedRoot(t, verifytest.RootOptions{Without: "ctlogs"}))
	require.NoError(t, err)
	img := s.unsignedImage("no SCT")
	s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, cosignStatement(t, img.Index), verifytest.BundleOptions{NoSCT: true, LogBy: other, TimestampBy: other}))
	req := s.request(img.Index)
	req.Trust = roots{own: []*trust.Loaded{s.loaded(s.sigstore, verifytest.RootOptions{}), {Root: noCT}}}
	require.NotEqual(t, decision.Allow, verify.Verify(context.Background(), req).Verdict)
	req.Trust = roots{own: []*trust.Loaded{{Root: noCT}}}
	d := verify.Verify(context.Background(), req)
	require.NotEqual(t, decision.Allow, d.Verdict, d.Line())
}

// TestGoodBundleUnderAnotherForm: somebody stores the bytes of a good bundle as
// if they were a Notary Project signature. That must not hide the bundle.
func TestGoodBundleUnderAnotherForm(t *testing.T) {
	s := newStand(t)
	img := s.unsignedImage("app")
	bundle := s.sigstore.Bundle(t, cosignStatement(t, img.Index), verifytest.BundleOptions{})
	s.store.AttachNotation(t, img.Index, bundle, verifytest.TypeJWS)
	s.store.AttachBundle(t, img.Index, bundle)
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
}

// TestTimestampsDoNotReplaceTheLog: who asks on the command line for a timestamp
// as well does not do without the log.
func TestTimestampsDoNotReplaceTheLog(t *testing.T) {
	s := newStand(t)
	id, err := policy.NewIdentity(verifytest.Issuer, "", verifytest.Subject, "")
	require.NoError(t, err)
	set := func(f policy.Flags) *policy.Set {
		f.Identity = &id
		set, err := policy.ForFlags(f)
		require.NoError(t, err)
		return set
	}
	img := s.attached(verifytest.BundleOptions{NoLogEntry: true})
	s.policy = set(policy.Flags{})
	refuse(t, s.verify(img.Index), decision.Deny, "log-entry", "")
	s.policy = set(policy.Flags{RequireTimestamp: true})
	d := s.verify(img.Index)
	require.Equal(t, decision.Deny, d.Verdict, d.Line())
	s.policy = set(policy.Flags{IgnoreLog: true})
	require.Equal(t, decision.Allow, s.verify(img.Index).Verdict)
	s.policy = set(policy.Flags{IgnoreLog: true, RequireTimestamp: true})
	require.Equal(t, decision.Allow, s.verify(img.Index).Verdict)
	s.policy = set(policy.Flags{RequireTimestamp: true})
	s.allow(s.attached(verifytest.BundleOptions{}).Index)
}
