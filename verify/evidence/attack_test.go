// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/verifytest"
)

// TestForeignManifestsAreRefused: whoever may write the fallback tag, or the
// registry itself, lists a genuine signature of another image.
func TestForeignManifestsAreRefused(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		other := digest.FromString("another image")
		foreign := s.AttachBundle(t, other, []byte(bundle))
		nothing := s.TagCosign(t, "x", s.Add([]byte(bundle), verifytest.TypeBundle))
		s.List(t, s.img.Index, []ocispec.Descriptor{foreign, nothing})
		found, errs := all(t, []evidence.Source{evidence.Referrers{Location: s.registry(t)}}, s.subject)
		require.Empty(t, found)
		require.Len(t, errs, 2)
		for _, err := range errs {
			require.ErrorIs(t, err, evidence.ErrForeign)
		}
		for _, r := range s.Requests() {
			require.NotContains(t, r, "/blobs/", "what is foreign is not read further")
		}
	})
}

// TestLongLists: a flood of referrers, in front of it what says it is evidence.
func TestLongLists(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		junk := s.Attach(t, s.img.Index, verifytest.Referrer{ArtifactType: "application/spdx+json", Layers: []ocispec.Descriptor{}})
		list := make([]ocispec.Descriptor, 10_000)
		for i := range list {
			list[i] = ocispec.Descriptor{MediaType: junk.MediaType, Digest: digest.FromString(fmt.Sprint(i)), Size: junk.Size}
		}
		list = append(list, s.AttachBundle(t, s.img.Index, []byte(bundle)))
		s.List(t, s.img.Index, list)
		l := s.registry(t)
		found, errs := all(t, []evidence.Source{evidence.Referrers{Location: l}}, s.subject)
		require.Equal(t, []string{bundle}, texts(found))
		require.ErrorIs(t, errs[len(errs)-1], evidence.ErrManyReferrers)
		require.LessOrEqual(t, l.Requests(), 2+evidence.MaxCandidates+1)
	})
}

// TestManyOfEverything: layers in a manifest, attestation manifests of a
// manifest.
func TestManyOfEverything(t *testing.T) {
	s := newStand(t, true)
	var layers []ocispec.Descriptor
	for i := range 200 {
		layers = append(layers, s.Add(fmt.Append(nil, i), verifytest.TypeBundle))
	}
	s.Attach(t, s.img.Index, verifytest.Referrer{ArtifactType: verifytest.TypeBundle, Layers: layers})
	found, errs := all(t, []evidence.Source{evidence.Referrers{Location: s.registry(t)}}, s.subject)
	require.Len(t, found, evidence.MaxCandidates)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], limit.ErrTooLarge)

	for range 1000 {
		s.subject.Siblings = append(s.subject.Siblings, s.subject.Siblings[1])
	}
	l := s.registry(t)
	for _, source := range []evidence.Source{evidence.Embedded{Store: l}, evidence.DockerChain{Location: l}} {
		before := l.Requests()
		_, errs = all(t, []evidence.Source{source}, s.subject)
		require.ErrorIs(t, errs[len(errs)-1], evidence.ErrManyReferrers)
		require.LessOrEqual(t, l.Requests()-before, 8)
	}
}

// TestHugeLayersAreNotFetched: the manifest says that the bundle has 1 GiB.
func TestHugeLayersAreNotFetched(t *testing.T) {
	s := newStand(t, true)
	for _, kind := range []string{verifytest.TypeBundle, verifytest.TypeSimpleSigning, verifytest.TypeEnvelope} {
		layer := s.Add([]byte(bundle), kind)
		layer.Size = 1 << 30
		s.Attach(t, s.img.Index, verifytest.Referrer{ArtifactType: "application/x", Layers: []ocispec.Descriptor{layer}})
	}
	envelope := s.Add([]byte("jws"), verifytest.TypeJWS)
	envelope.Size = 5 << 20
	s.Attach(t, s.img.Index, verifytest.Referrer{ArtifactType: verifytest.TypeNotation, Layers: []ocispec.Descriptor{envelope}})
	found, errs := all(t, []evidence.Source{evidence.Referrers{Location: s.registry(t)}}, s.subject)
	require.Empty(t, found)
	require.Len(t, errs, 4)
	for _, err := range errs {
		require.ErrorIs(t, err, limit.ErrTooLarge)
	}
	for _, r := range s.Requests() {
		require.NotContains(t, r, "/blobs/")
	}
}

// TestLyingBytes: other bytes than were asked for, for each kind of document.
func TestLyingBytes(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		manifest := s.AttachBundle(t, s.img.Index, []byte(bundle))
		s.AttachBundle(t, s.subject.Entry.Digest, []byte("honest"))
		sig := s.TagCosign(t, verifytest.CosignTag(s.img.Index, "sig"), s.Add([]byte("x"), verifytest.TypeBundle))
		other := s.AttachBundle(t, digest.FromString("other"), []byte("another's"))
		s.Lie(manifest.Digest, s.Get(other.Digest))
		s.Lie(digest.FromString("honest"), []byte(bundle))
		s.Lie(sig.Digest, s.Get(other.Digest))
		found, errs := all(t, evidence.Sources(s.registry(t)), s.subject)
		require.Empty(t, found)
		require.Len(t, errs, 3)
		for _, err := range errs {
			require.ErrorIs(t, err, document.ErrDigest)
		}
	})
}

// TestReferrersReadInTwoWays: documents of which two readers see two things.
func TestReferrersReadInTwoWays(t *testing.T) {
	s := newStand(t, true)
	digests := func(text string) string {
		return strings.NewReplacer("MINE", s.img.Index.String(), "OTHER", digest.FromString("other").String(), "BLOB", digest.FromString(bundle).String()).Replace(text)
	}
	const rest = `"schemaVersion":2,"config":{"digest":"BLOB"},"layers":[{"mediaType":"` + verifytest.TypeBundle + `","digest":"BLOB"}]`
	for _, text := range []string{
		`{` + rest + `,"subject":{"digest":"OTHER"},"subject":{"digest":"MINE"}}`,
		`{` + rest + `,"subject":{"digest":"OTHER"},"Subject":{"digest":"MINE"}}`,
		`{` + rest + `,"subject":{"digest":"OTHER","digest":"MINE"}}`,
		`{` + rest + `,"manifests":[],"subject":{"digest":"MINE"}}`,
		`{` + rest + `,"subject":{"digest":"MINE"}}{}`,
		`{` + rest + `,"subject":{"digest":"MINE"},"annotations":{"a":"` + "\xff" + `"}}`,
		`{` + rest + `,"subject":{"digest":"MINE"},"x":` + strings.Repeat("[", 100_000) + `}`,
	} {
		s.Add([]byte(bundle), verifytest.TypeBundle)
		d := s.Add([]byte(digests(text)), ocispec.MediaTypeImageManifest)
		s.List(t, s.img.Index, []ocispec.Descriptor{d})
		found, errs := all(t, []evidence.Source{evidence.Referrers{Location: s.registry(t)}}, s.subject)
		require.Empty(t, found, text[:40])
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], document.ErrMalformed)
	}
}

// TestTheIndexForItsReferrers: GitLab takes the fallback tag for the digest and
// lists the image's own manifests.
func TestTheIndexForItsReferrers(t *testing.T) {
	s := newStand(t, false)
	s.Tag(tagOf(s.img.Index.String()), s.img.Index)
	s.Tag(tagOf(s.subject.Entry.Digest.String()), s.subject.Entry.Digest)
	l := s.registry(t)
	found, errs := all(t, []evidence.Source{evidence.Referrers{Location: l}}, s.subject)
	require.Empty(t, found)
	require.Empty(t, errs)
	require.Equal(t, 4, l.Requests(), "two lists")
}
