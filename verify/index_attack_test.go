// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

// index is the index of an image.
func (s *stand) index(dgst digest.Digest) ocispec.Index {
	s.t.Helper()
	var idx ocispec.Index
	require.NoError(s.t, json.Unmarshal(s.store.Get(dgst), &idx))
	return idx
}

// changed is the index of an image after change has had its way with it; its
// signatures are moved along.
func (s *stand) changed(dgst digest.Digest, change func(*ocispec.Index)) digest.Digest {
	s.t.Helper()
	idx := s.index(dgst)
	change(&idx)
	return s.store.AddJSON(s.t, idx, ocispec.MediaTypeImageIndex).Digest
}

// TestChangedIndex: an index is signed, whole; what is taken out, put in or
// exchanged makes it another one, though the signature be offered along.
func TestChangedIndex(t *testing.T) {
	s := newStand(t)
	good, evil := s.unsignedImage("good"), s.unsignedImage("evil")
	bundle := s.sigstore.Bundle(t, cosignStatement(t, good.Index), verifytest.BundleOptions{})
	s.store.AttachBundle(t, good.Index, bundle)
	s.allow(good.Index)
	for name, change := range map[string]func(*ocispec.Index){
		"manifest added":      func(idx *ocispec.Index) { idx.Manifests = append(idx.Manifests, s.index(evil.Index).Manifests[0]) },
		"manifest swapped":    func(idx *ocispec.Index) { idx.Manifests[0] = s.index(evil.Index).Manifests[0] },
		"manifest duplicated": func(idx *ocispec.Index) { idx.Manifests = append(idx.Manifests, idx.Manifests[0]) },
		"manifest removed":    func(idx *ocispec.Index) { idx.Manifests = idx.Manifests[:1] },
		"platform changed":    func(idx *ocispec.Index) { idx.Manifests[0].Platform.Architecture = "386" },
		"annotation":          func(idx *ocispec.Index) { idx.Annotations = map[string]string{"a": "b"} },
	} {
		t.Run(name, func(t *testing.T) {
			dgst := s.changed(good.Index, change)
			s.store.AttachBundle(t, dgst, bundle)
			d := s.verify(dgst)
			refuse(t, d, decision.Deny, "subject", "")
		})
	}
}

// TestManifestsBesideASignedOne: the manifests are signed one by one, and the
// index is free for everybody: each that could be run has to be signed.
func TestManifestsBesideASignedOne(t *testing.T) {
	s := newStand(t)
	good, evil := s.unsignedImage("good"), s.unsignedImage("evil")
	sign := func(img verifytest.Image) {
		s.store.AttachBundle(t, img.Manifests[0], s.sigstore.Bundle(t, cosignStatement(t, img.Manifests[0]), verifytest.BundleOptions{}))
	}
	sign(good)
	s.allow(good.Index)
	twice := s.changed(good.Index, func(idx *ocispec.Index) { idx.Manifests = append(idx.Manifests, idx.Manifests[0]) })
	s.allow(twice)
	add := func(p *ocispec.Platform) digest.Digest {
		entry := s.index(evil.Index).Manifests[0]
		entry.Platform = p
		return s.changed(good.Index, func(idx *ocispec.Index) { idx.Manifests = append(idx.Manifests, entry) })
	}
	for _, p := range []*ocispec.Platform{
		nil,
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "amd64", Variant: "v1"},
		{OS: "Linux", Architecture: "AMD64"},
		{OS: "linux", Architecture: "x86_64"},
		{OS: "linux", Architecture: "amd64", OSVersion: "1"},
		{OS: "linux", Architecture: "386"},
	} {
		d := s.verify(add(p))
		require.NotEqual(t, decision.Allow, d.Verdict, "%v", p)
	}
	sign(evil)
	s.allow(add(nil))
}

// TestPlatformThatLies: the signed image for one platform is offered for
// another. Nothing in the signature says for which it is, but its config does.
func TestPlatformThatLies(t *testing.T) {
	for _, p := range places {
		if p.scope != "manifest" && p.scope != "chain" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			s := newStand(t)
			image := func(platform string) verifytest.Image {
				return s.store.Image(t, verifytest.ImageOptions{
					Content: platform, Platforms: []string{platform},
					Attestations: func(string) []verifytest.Attestation {
						return []verifytest.Attestation{{PredicateType: provenance.PredicateSLSA1, Predicate: []byte(`{}`)}}
					},
				})
			}
			good, arm := image("linux/amd64"), image("linux/arm64")
			p.put(s, good, good, verifytest.BundleOptions{})
			p.put(s, arm, arm, verifytest.BundleOptions{})
			s.allow(good.Index)
			lie := s.changed(arm.Index, func(idx *ocispec.Index) {
				idx.Manifests[0].Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
			})
			refuse(t, s.verify(lie), decision.Deny, "platform", "linux/arm64")
		})
	}
}

// TestAttestationManifestOfAnotherImage: the signed attestation manifest of one
// image stands beside another, and the index says that it is about that one.
func TestAttestationManifestOfAnotherImage(t *testing.T) {
	s := newStand(t)
	good, evil := s.unsignedImage("good"), s.unsignedImage("evil")
	s.store.AttachBundle(t, s.attestations(good), s.sigstore.Bundle(t, cosignStatement(t, s.attestations(good)), verifytest.BundleOptions{}))
	s.allow(good.Index)
	moved := s.changed(evil.Index, func(idx *ocispec.Index) {
		idx.Manifests[1] = s.index(good.Index).Manifests[1]
		idx.Manifests[1].Annotations["vnd.docker.reference.digest"] = evil.Manifests[0].String()
	})
	refuse(t, s.verify(moved), decision.Deny, "subject", "does not name manifest "+evil.Manifests[0].String())

	elsewhere := s.changed(good.Index, func(idx *ocispec.Index) {
		idx.Manifests[1].Annotations["vnd.docker.reference.digest"] = evil.Manifests[0].String()
	})
	refuse(t, s.verify(elsewhere), decision.Deny, "unsigned", "")
}

// TestChainOfSpoiltStatements: the attestation manifest is signed, and what is
// in it names the image in a way that does not count.
func TestChainOfSpoiltStatements(t *testing.T) {
	s := newStand(t)
	chained := func(a verifytest.Attestation) digest.Digest {
		img := s.store.Image(t, verifytest.ImageOptions{Content: "chained", Attestations: func(string) []verifytest.Attestation {
			return []verifytest.Attestation{a}
		}})
		about := s.attestations(img)
		s.store.AttachBundle(t, about, s.sigstore.Bundle(t, cosignStatement(t, about), verifytest.BundleOptions{}))
		return img.Index
	}
	s.allow(chained(verifytest.Attestation{PredicateType: provenance.PredicateSLSA1, Predicate: []byte(`{}`)}))
	for name, c := range map[string]struct {
		a    verifytest.Attestation
		code string
	}{
		"an SBOM alone": {verifytest.SBOM(`{}`), "subject"},
		"another type inside": {verifytest.Attestation{
			PredicateType: provenance.PredicateSLSA1,
			Statement:     []byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"https://spdx.dev/Document","subject":[],"predicate":{}}`),
		}, "statement"},
		"not JSON":           {verifytest.Attestation{PredicateType: provenance.PredicateSLSA1, Statement: []byte(`{`)}, "statement"},
		"another media type": {verifytest.Attestation{PredicateType: provenance.PredicateSLSA1, Predicate: []byte(`{}`), MediaType: "text/plain"}, "statement"},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, s.verify(chained(c.a)), decision.Deny, c.code, "")
		})
	}
}

// TestLazyDescriptor: the image ID is signed, and the index adds to the
// descriptor what a snapshotter takes for another filesystem.
func TestLazyDescriptor(t *testing.T) {
	s := newStand(t)
	s.allow(s.signed(verifytest.ImageOptions{}).Index)
	for _, key := range []string{"containerd.io/snapshot/remote/stargz.digest", "containerd.io/snapshot/nydus-blob", "Containerd.io/Snapshot/overlaybd/blob-digest", "com.amazon.soci.index-digest"} {
		img := s.signed(verifytest.ImageOptions{Index: func(idx *ocispec.Index) { idx.Manifests[0].Annotations[key] = "x" }})
		refuse(t, s.verify(img.Index), decision.Deny, "lazy-layer", "")
	}
}

// TestSignedIndexInsideAnother: a signature on what is inside holds, and one on
// what is outside holds for what is inside; a manifest that is outside only is
// covered by neither of the inner one's signatures.
func TestSignedIndexInsideAnother(t *testing.T) {
	s := newStand(t)
	inner, evil := s.attached(verifytest.BundleOptions{}), s.unsignedImage("evil")
	outer := func(entries ...ocispec.Descriptor) digest.Digest {
		idx := s.index(evil.Index)
		idx.Manifests = entries
		return s.store.AddJSON(t, idx, ocispec.MediaTypeImageIndex).Digest
	}
	nested := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: inner.Index}
	stranger := s.index(evil.Index).Manifests[0]
	s.allow(outer(nested))
	refuse(t, s.verify(outer(nested, stranger)), decision.Deny, "unsigned", "")
	refuse(t, s.verify(outer(stranger, nested)), decision.Deny, "unsigned", "")
	evilIndex := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: evil.Index, Platform: stranger.Platform}
	refuse(t, s.verify(outer(nested, evilIndex)), decision.Deny, "unsigned", "")
	both := outer(nested, stranger)
	s.store.AttachBundle(t, both, s.sigstore.Bundle(t, cosignStatement(t, both), verifytest.BundleOptions{}))
	s.allow(both)
}
