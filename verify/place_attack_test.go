// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/verifytest"
)

// legacy puts a signature of cosign's old form under a tag.
func (s *stand) legacy(tag string, document []byte) ocispec.Descriptor {
	s.t.Helper()
	layer := s.store.CosignSign(s.t, s.sigstore, document, verifytest.CosignOptions{})
	s.store.TagCosign(s.t, tag, layer)
	return layer
}

// TestTagOfAnSBOM: what is under an .sbom tag was never signed, so nothing that
// is there counts, a good signature neither.
func TestTagOfAnSBOM(t *testing.T) {
	s := newStand(t)
	img := s.unsignedImage("sbom tag")
	s.legacy(verifytest.CosignTag(img.Index, "sbom"), verifytest.SimpleSigning(img.Index, s.registry+"/app"))
	refuse(t, s.verify(img.Index), decision.Deny, "unsigned", "")
	s.legacy(verifytest.CosignTag(img.Index, "sig"), verifytest.SimpleSigning(img.Index, s.registry+"/app"))
	s.allow(img.Index)
}

// TestSpoiltSimpleSigning: the old form's document, signed as it should be, says
// something else than that this image is good.
func TestSpoiltSimpleSigning(t *testing.T) {
	s := newStand(t)
	other := digest.FromString("other")
	for _, c := range []struct {
		name  string
		spoil func(good string, dgst digest.Digest) string
		code  string
	}{
		{"another digest", func(g string, d digest.Digest) string { return strings.Replace(g, d.String(), other.String(), 1) }, "subject"},
		{"another type", func(g string, _ digest.Digest) string {
			return strings.Replace(g, "cosign container image signature", "atomic container signature", 1)
		}, "simple-signing"},
		{"digest twice", func(g string, d digest.Digest) string {
			return strings.Replace(g, `"docker-manifest-digest"`, `"docker-manifest-digest":"`+other.String()+`","docker-manifest-digest"`, 1)
		}, "simple-signing"},
		{"digest in upper case", func(g string, d digest.Digest) string {
			return strings.Replace(g, d.Encoded(), strings.ToUpper(d.Encoded()), 1)
		}, "simple-signing"},
		{"digest in the optional part", func(g string, d digest.Digest) string {
			g = strings.Replace(g, d.String(), other.String(), 1)
			return strings.Replace(g, `"optional":null`, `"optional":{"docker-manifest-digest":"`+d.String()+`"}`, 1)
		}, "subject"},
		{"unknown member", func(g string, _ digest.Digest) string {
			return strings.Replace(g, `"critical":{`, `"critical":{"x":1,`, 1)
		}, "simple-signing"},
		{"two documents", func(g string, _ digest.Digest) string { return g + g }, "simple-signing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := s.unsignedImage(c.name)
			good := string(verifytest.SimpleSigning(img.Index, s.registry+"/app"))
			s.legacy(verifytest.CosignTag(img.Index, "sig"), []byte(c.spoil(good, img.Index)))
			refuse(t, s.verify(img.Index), decision.Deny, c.code, "")
			s.legacy(verifytest.CosignTag(img.Index, "sig"), []byte(good))
			s.allow(img.Index)
		})
	}
}

// TestLegacyPayloadSwapped: signature, certificate and log entry of one document
// are put beside another.
func TestLegacyPayloadSwapped(t *testing.T) {
	s := newStand(t)
	img, evil := s.unsignedImage("good"), s.unsignedImage("evil")
	good := s.legacy(verifytest.CosignTag(img.Index, "sig"), verifytest.SimpleSigning(img.Index, s.registry+"/app"))
	s.allow(img.Index)
	swapped := s.store.Add(verifytest.SimpleSigning(evil.Index, s.registry+"/app"), verifytest.TypeSimpleSigning)
	swapped.Annotations = good.Annotations
	s.store.TagCosign(t, verifytest.CosignTag(evil.Index, "sig"), swapped)
	d := s.verify(evil.Index)
	require.Equal(t, decision.Deny, d.Verdict, d.Line())
	require.Contains(t, []string{"log-entry", "signature", "message"}, d.Code, d.Line())
}

// TestForeignReferrers: the list of what refers to the image names what refers
// to another, under the types that are looked for.
func TestForeignReferrers(t *testing.T) {
	for _, api := range []bool{true, false} {
		s := newStand(t)
		if api {
			s.store.WithReferrers()
		}
		good, evil := s.unsignedImage("good"), s.unsignedImage("evil")
		desc := s.store.AttachBundle(t, good.Index, s.sigstore.Bundle(t, cosignStatement(t, good.Index), verifytest.BundleOptions{}))
		s.allow(good.Index)
		desc.ArtifactType = verifytest.TypeBundle
		s.store.List(t, evil.Index, []ocispec.Descriptor{desc})
		refuse(t, s.verify(evil.Index), decision.Deny, "foreign-referrer", good.Index.String())
	}
}

// TestReferrersThatAreNone: what is listed is another image, a manifest without a
// subject, the image itself, or something unsigned that calls itself a bundle.
func TestReferrersThatAreNone(t *testing.T) {
	s := newStand(t)
	other := s.attached(verifytest.BundleOptions{})
	s.allow(other.Index)
	img := s.unsignedImage("img")
	as := func(dgst digest.Digest) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: verifytest.TypeBundle, Digest: dgst, Size: 1}
	}
	for name, list := range map[string][]ocispec.Descriptor{
		"another image":        {as(other.Manifests[0])},
		"another index":        {as(other.Index)},
		"itself":               {as(img.Index)},
		"its manifest":         {as(img.Manifests[0])},
		"its attestations":     {as(s.attestations(img))},
		"what is not there":    {as(digest.FromString("nothing"))},
		"a digest that is not": {as("sha256:x")},
	} {
		t.Run(name, func(t *testing.T) {
			s.store.List(t, img.Index, list)
			d := s.verify(img.Index)
			require.NotEqual(t, decision.Allow, d.Verdict, d.Line())
		})
	}
	fake := s.store.AttachBundle(t, img.Index, []byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`))
	s.store.List(t, img.Index, []ocispec.Descriptor{fake})
	refuse(t, s.verify(img.Index), decision.Deny, "envelope", "")
}

// TestAnotherRepositoryForEvidence: what lies in the repository that one policy
// names counts for who signed it, not for where it lies.
func TestAnotherRepositoryForEvidence(t *testing.T) {
	s := newStand(t)
	elsewhere := verifytest.NewStore()
	host := elsewhere.Serve(t)
	img := s.unsignedImage("img")
	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject) + "    source:\n    - oci: " + host + "/signatures\n")
	ask := func() *decision.Decision {
		req := s.request(img.Index)
		req.Locate = func(repository string) (evidence.Location, error) {
			return evidence.NewRegistry(repository, evidence.RegistryOptions{}), nil
		}
		return verify.Verify(context.Background(), req)
	}
	put := func(dgst digest.Digest, opts verifytest.CosignOptions) {
		layer := elsewhere.CosignSign(t, s.sigstore, verifytest.SimpleSigning(dgst, "app"), opts)
		elsewhere.TagCosign(t, verifytest.CosignTag(img.Index, "sig"), layer)
	}
	put(img.Index, verifytest.CosignOptions{BundleOptions: verifytest.BundleOptions{Subject: "https://github.com/mallory"}})
	refuse(t, ask(), decision.Deny, "identity", "mallory")
	put(digest.FromString("other"), verifytest.CosignOptions{})
	refuse(t, ask(), decision.Deny, "subject", "")
	put(img.Index, verifytest.CosignOptions{})
	d := ask()
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
}

// TestGoodSignatureAmongBad: bad candidates before a good one neither admit nor
// hide it; too many refuse, and do not stall.
func TestGoodSignatureAmongBad(t *testing.T) {
	s := newStand(t)
	img := s.unsignedImage("img")
	for i := range 10 {
		s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, cosignStatement(t, digest.FromBytes([]byte{byte(i)})), verifytest.BundleOptions{}))
	}
	refuse(t, s.verify(img.Index), decision.Deny, "subject", "")
	s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, cosignStatement(t, img.Index), verifytest.BundleOptions{}))
	s.allow(img.Index)

	many := s.unsignedImage("many")
	for i := range 70 {
		s.store.AttachBundle(t, many.Index, bytes.Repeat([]byte("x"), i+1))
	}
	s.store.AttachBundle(t, many.Index, s.sigstore.Bundle(t, cosignStatement(t, many.Index), verifytest.BundleOptions{}))
	d := s.verify(many.Index)
	require.Equal(t, decision.Deny, d.Verdict, "%s", d.Line())
	require.Less(t, d.Requests, 200)
}

// TestBundleUnderTheWrongEntry: the annotation of one entry of the index vouches
// for the image that it stands on, and no other.
func TestBundleUnderTheWrongEntry(t *testing.T) {
	s := newStand(t)
	good := s.signed(verifytest.ImageOptions{NoAttestation: true})
	s.allow(good.Index)
	evil := s.store.Image(t, verifytest.ImageOptions{Content: "evil"})
	entry := s.index(evil.Index).Manifests[0]
	before := s.changed(good.Index, func(idx *ocispec.Index) {
		// The signed image is there, for another platform.
		idx.Manifests[0].Platform = &ocispec.Platform{OS: "linux", Architecture: "s390x"}
		idx.Manifests = append(idx.Manifests, entry)
	})
	refuse(t, s.verify(before), decision.Deny, "unsigned", "")
	moved := s.changed(good.Index, func(idx *ocispec.Index) {
		entry.Annotations = idx.Manifests[0].Annotations
		idx.Manifests = []ocispec.Descriptor{entry}
	})
	require.NotEmpty(t, entry.Annotations[provenance.BundleAnnotation])
	refuse(t, s.verify(moved), decision.Deny, "subject", evil.Configs[0].String())
}
