// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
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

// TestStatementsAndFiles: a signed file that is a statement states nothing, and a
// statement is not a signature over its own bytes.
func TestStatementsAndFiles(t *testing.T) {
	s := newStand(t)
	statement := cosignStatement(t, digest.FromString("release"))
	blob := func(artifact []byte, opts verifytest.BundleOptions) *decision.Decision {
		return verify.Blob(context.Background(), verify.BlobRequest{
			Name: "file", Where: "file", Artifact: artifact, Digests: []digest.Digest{digest.FromBytes(artifact)}, Policy: s.policy,
			Bundle: s.sigstore.Bundle(t, statement, opts), Trust: verify.OneRoot(func() (*trust.Root, error) { return trust.Parse(s.root) }),
		})
	}
	asFile := verifytest.BundleOptions{Message: true, Log: verifytest.HashedRekord}
	require.Equal(t, decision.Allow, blob([]byte("release"), verifytest.BundleOptions{}).Verdict)
	require.Equal(t, decision.Allow, blob(statement, asFile).Verdict)
	refuse(t, blob([]byte("release"), asFile), decision.Deny, "message", "")
	refuse(t, blob(statement, verifytest.BundleOptions{}), decision.Deny, "subject", "")
}

// TestMessageOverOneOfTwoManifests: a signature over the digest of one manifest
// is known by the time the other, which a node could run as well, is looked at.
func TestMessageOverOneOfTwoManifests(t *testing.T) {
	s := newStand(t)
	evil := s.unsignedImage("evil")
	img := s.store.Image(t, verifytest.ImageOptions{Content: "good", Index: func(idx *ocispec.Index) {
		entry := idx.Manifests[0]
		entry.Digest, entry.Size = evil.Manifests[0], int64(len(s.store.Get(evil.Manifests[0])))
		idx.Manifests = append(idx.Manifests, entry)
	}})
	bundle := s.sigstore.Bundle(t, s.store.Get(img.Manifests[0]), verifytest.BundleOptions{Message: true, Log: verifytest.HashedRekord})
	for _, dgst := range []digest.Digest{img.Index, img.Manifests[0], evil.Manifests[0]} {
		s.store.AttachBundle(t, dgst, bundle)
	}
	d := s.verify(img.Index)
	refuse(t, d, decision.Deny, "message", "")
	require.Equal(t, decision.Allow, d.Manifests[0].Verdict)
}

// TestConfigThatIsASignedManifest: the config of an evil image is, byte for byte,
// a manifest that was signed.
func TestConfigThatIsASignedManifest(t *testing.T) {
	s := newStand(t)
	good := s.unsignedImage("good")
	evil := s.store.Image(t, verifytest.ImageOptions{Content: "evil", Manifest: func(m *ocispec.Manifest) {
		m.Config.Digest, m.Config.Size = good.Manifests[0], int64(len(s.store.Get(good.Manifests[0])))
	}})
	s.store.AttachBundle(t, evil.Manifests[0], s.sigstore.Bundle(t, cosignStatement(t, good.Manifests[0]), verifytest.BundleOptions{}))
	refuse(t, s.verify(evil.Index), decision.Deny, "subject", "")
}

// TestListsThatWriteToTheTerminal: what a registry writes where a digest belongs
// reaches nobody as it is.
func TestListsThatWriteToTheTerminal(t *testing.T) {
	s := newStand(t)
	s.store.WithReferrers()
	img := s.unsignedImage("app")
	s.store.List(t, img.Index, []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, Digest: "sha256:\x1b[2Jallowed\n", ArtifactType: verifytest.TypeBundle}})
	d := s.verify(img.Index)
	require.Equal(t, decision.Deny, d.Verdict)
	for _, c := range append(d.Checks, decision.Check{Detail: d.Reason}) {
		require.NotContains(t, c.Object+c.Detail, "\x1b")
		require.NotContains(t, c.Object+c.Detail, "\n")
	}
}
