// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/verifytest"
)

// bundle is something that a source takes for one: sources do not look inside.
const bundle = `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`

// stand is a registry with an unsigned image of one platform.
type stand struct {
	*verifytest.Store
	api     bool
	img     verifytest.Image
	subject evidence.Subject
	// attestation is the image's attestation manifest.
	attestation digest.Digest
}

func newStand(t *testing.T, api bool) *stand {
	t.Helper()
	s := &stand{Store: verifytest.NewStore(), api: api}
	if api {
		s.WithReferrers()
	}
	s.img = s.Image(t, verifytest.ImageOptions{
		Attestations: func(string) []verifytest.Attestation { return nil },
		Index: func(idx *ocispec.Index) {
			s.subject.Entry, s.subject.Siblings = idx.Manifests[0], idx.Manifests
			s.attestation = idx.Manifests[1].Digest
		},
	})
	s.subject.Indexes = []digest.Digest{s.img.Index}
	return s
}

func (s *stand) registry(t *testing.T) *evidence.Registry {
	t.Helper()
	return evidence.NewRegistry(s.Serve(t)+"/app:v1", evidence.RegistryOptions{})
}

// all goes through the sources to their end.
func all(t *testing.T, sources []evidence.Source, subject evidence.Subject) (found []evidence.Candidate, errs []error) {
	t.Helper()
	for _, source := range sources {
		for c, err := range source.Candidates(t.Context(), subject) {
			require.NotEmpty(t, c.Where)
			if err != nil {
				require.Empty(t, c.Bundle)
				errs = append(errs, err)
				continue
			}
			require.Equal(t, digest.FromBytes(c.Bundle), c.Digest)
			found = append(found, c)
		}
	}
	return found, errs
}

// bothKinds runs a test on a registry with the referrers API and on one
// without.
func bothKinds(t *testing.T, test func(t *testing.T, s *stand)) {
	t.Helper()
	for _, api := range []bool{true, false} {
		t.Run(fmt.Sprintf("api=%v", api), func(t *testing.T) { test(t, newStand(t, api)) })
	}
}

// TestNothingIsFound: the price of an image without any evidence, place by
// place.
func TestNothingIsFound(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		found, errs := all(t, evidence.Sources(s.registry(t)), s.subject)
		require.Empty(t, found)
		require.Empty(t, errs)
		index, manifest, attestation := s.img.Index.String(), s.subject.Entry.Digest.String(), s.attestation.String()
		want := []string{"GET /v2/app/manifests/" + attestation}
		want = append(want, s.listing(index)...)
		want = append(want, s.listing(manifest)...)
		for _, dgst := range []string{index, manifest} {
			for _, suffix := range []string{".sig", ".att"} {
				want = append(want, "HEAD /v2/app/manifests/"+tagOf(dgst)+suffix)
			}
		}
		require.Equal(t, append(want, s.listing(attestation)...), s.Requests())
	})
}

func tagOf(dgst string) string { return strings.Replace(dgst, ":", "-", 1) }

// listing is what it costs to learn that nothing refers to dgst.
func (s *stand) listing(dgst string) []string {
	requests := []string{"GET /v2/app/referrers/" + dgst}
	if s.api {
		return requests
	}
	return append(requests, "GET /v2/app/manifests/"+tagOf(dgst))
}

func TestReferrers(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		s.AttachBundle(t, s.img.Index, []byte(bundle))
		s.AttachBundle(t, s.subject.Entry.Digest, []byte(bundle+" "))
		s.AttachNotation(t, s.img.Index, []byte("jws"), verifytest.TypeJWS)
		s.AttachNotation(t, s.subject.Entry.Digest, []byte("cose"), verifytest.TypeCOSE)
		// An SBOM is no evidence, wherever it is.
		s.Attach(t, s.img.Index, verifytest.Referrer{
			ArtifactType: "application/spdx+json", Layers: []ocispec.Descriptor{s.Add([]byte("{}"), "application/spdx+json")},
		})
		l := s.registry(t)
		found, errs := all(t, []evidence.Source{evidence.Referrers{Location: l}}, s.subject)
		require.Empty(t, errs)
		require.Equal(t, []string{bundle, "jws", bundle + " ", "cose"}, texts(found))
		require.Equal(t, []evidence.Form{evidence.Bundle, evidence.JWS, evidence.Bundle, evidence.COSE}, forms(found))
	})
}

func texts(found []evidence.Candidate) (list []string) {
	for _, c := range found {
		list = append(list, string(c.Bundle))
	}
	return list
}

func forms(found []evidence.Candidate) (list []evidence.Form) {
	for _, c := range found {
		list = append(list, c.Form)
	}
	return list
}

// TestTypesInTheListAreNotBelieved: registries forget artifact types, or put
// another in their place; the manifest is asked. What looks likely comes first.
func TestTypesInTheListAreNotBelieved(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		var list []ocispec.Descriptor
		for i, kind := range []string{"application/spdx+json", "", ocispec.MediaTypeEmptyJSON, verifytest.TypeBundle} {
			d := s.AttachBundle(t, s.img.Index, fmt.Append(nil, i))
			d.ArtifactType = kind
			list = append(list, d, d)
		}
		s.List(t, s.img.Index, list)
		found, errs := all(t, []evidence.Source{evidence.Referrers{Location: s.registry(t)}}, s.subject)
		require.Empty(t, errs)
		require.Equal(t, []string{"3", "1", "2", "0"}, texts(found))
	})
}

// TestSpellings: what bundles and signatures have been called.
func TestSpellings(t *testing.T) {
	for _, layer := range []string{
		"application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle.v0.1+json",
		"application/vnd.dev.sigstore.bundle+json;version=0.1", "application/vnd.dev.sigstore.bundle+json;version=0.2",
		"application/vnd.dev.sigstore.bundle+json; version=0.3",
	} {
		for _, r := range []verifytest.Referrer{
			{ArtifactType: layer}, {ConfigType: layer}, {ArtifactType: layer, Layers: []ocispec.Descriptor{{MediaType: "application/octet-stream"}}},
			{ArtifactType: "application/other", Layers: []ocispec.Descriptor{{MediaType: layer}}},
		} {
			s := newStand(t, true)
			if r.Layers == nil {
				r.Layers = []ocispec.Descriptor{{MediaType: layer}}
			}
			r.Layers[0] = s.Add([]byte(bundle), r.Layers[0].MediaType)
			s.Attach(t, s.img.Index, r)
			found, errs := all(t, []evidence.Source{evidence.Referrers{Location: s.registry(t)}}, s.subject)
			require.Empty(t, errs)
			require.Equal(t, []string{bundle}, texts(found), "%+v", r)
		}
	}
	for _, r := range []verifytest.Referrer{
		{ArtifactType: verifytest.TypeNotation, Layers: []ocispec.Descriptor{{MediaType: "application/pkcs7"}}},
		{ArtifactType: "application/other", Layers: []ocispec.Descriptor{{MediaType: verifytest.TypeJWS}}},
		{ArtifactType: verifytest.TypeNotation, Layers: []ocispec.Descriptor{{MediaType: verifytest.TypeJWS}, {MediaType: verifytest.TypeJWS}}},
		{ArtifactType: "application/vnd.dev.sigstore.bundle.v0.4+json", Layers: []ocispec.Descriptor{{MediaType: "application/json"}}},
		{ArtifactType: verifytest.TypeBundle, Layers: []ocispec.Descriptor{}},
	} {
		s := newStand(t, true)
		for i := range r.Layers {
			r.Layers[i] = s.Add([]byte(bundle), r.Layers[i].MediaType)
		}
		s.Attach(t, s.img.Index, r)
		found, errs := all(t, []evidence.Source{evidence.Referrers{Location: s.registry(t)}}, s.subject)
		require.Empty(t, errs)
		require.Empty(t, found, "%+v", r)
	}
}

func TestDockerChain(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		s.AttachBundle(t, s.attestation, []byte(bundle))
		found, errs := all(t, evidence.Sources(s.registry(t)), s.subject)
		require.Empty(t, errs)
		require.Len(t, found, 1)
		require.Equal(t, s.attestation, found[0].Attestations)
		require.Equal(t, bundle, string(found[0].Bundle))

		// An attestation manifest of another manifest is not this one's.
		other := s.subject
		other.Entry.Digest = digest.FromString("other")
		found, _ = all(t, []evidence.Source{evidence.DockerChain{Location: s.registry(t)}}, other)
		require.Empty(t, found)
	})
}

// TestCosignTags: every layer is a candidate of its own; `.sbom` is not even
// asked for.
func TestCosignTags(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		sigstore := verifytest.NewSigstore(t)
		document := verifytest.SimpleSigning(s.img.Index, "app")
		sign := func() ocispec.Descriptor { return s.CosignSign(t, sigstore, document, verifytest.CosignOptions{}) }
		s.TagCosign(t, verifytest.CosignTag(s.img.Index, "sig"), sign(), sign())
		statement := []byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`)
		s.TagCosign(t, verifytest.CosignTag(s.subject.Entry.Digest, "att"), s.CosignAttest(t, sigstore, statement, verifytest.CosignOptions{}))
		s.TagCosign(t, verifytest.CosignTag(s.img.Index, "sbom"), sign())

		found, errs := all(t, evidence.Sources(s.registry(t)), s.subject)
		require.Empty(t, errs)
		require.Equal(t, []evidence.Form{evidence.Legacy, evidence.Legacy, evidence.Legacy}, forms(found))
		require.NotEqual(t, found[0].Digest, found[1].Digest)
		require.Equal(t, document, found[0].Payload)
		require.Contains(t, string(found[2].Payload), "signatures", "the envelope as it was found")
		require.False(t, slices.ContainsFunc(s.Requests(), func(r string) bool { return strings.HasSuffix(r, ".sbom") }))
	})
}

// TestExperimentalForm is cosign's old layers in a referrer.
func TestExperimentalForm(t *testing.T) {
	bothKinds(t, func(t *testing.T, s *stand) {
		document := verifytest.SimpleSigning(s.img.Index, "app")
		kind := "application/vnd.dev.cosign.artifact.sig.v1+json"
		s.Attach(t, s.img.Index, verifytest.Referrer{
			ArtifactType: kind, ConfigType: kind,
			Layers: []ocispec.Descriptor{s.CosignSign(t, verifytest.NewSigstore(t), document, verifytest.CosignOptions{})},
		})
		found, errs := all(t, evidence.Sources(s.registry(t)), s.subject)
		require.Empty(t, errs)
		require.Len(t, found, 1)
		require.Equal(t, evidence.Legacy, found[0].Form)
		require.Equal(t, document, found[0].Payload)
	})
}

// TestAnotherRepository: policy-controller's `source` names the repository and
// what stands before its tags.
func TestAnotherRepository(t *testing.T) {
	s := newStand(t, false)
	layer := s.CosignSign(t, verifytest.NewSigstore(t), verifytest.SimpleSigning(s.img.Index, "app"), verifytest.CosignOptions{})
	s.TagCosign(t, "team-a."+verifytest.CosignTag(s.img.Index, "sig"), layer)
	for prefix, want := range map[string]int{"team-a.": 1, "": 0, "team-b.": 0} {
		found, errs := all(t, evidence.SourcesIn(s.registry(t), prefix), s.subject)
		require.Empty(t, errs)
		require.Len(t, found, want)
	}
	// A prefix is a policy's word, and goes nowhere but into a tag.
	_, errs := all(t, evidence.SourcesIn(s.registry(t), "../../evil/"), s.subject)
	require.NotEmpty(t, errs)
	require.ErrorIs(t, errs[0], evidence.ErrReference)
	for _, r := range s.Requests() {
		require.NotContains(t, r, "evil")
	}
}

// TestSourcesAreLazy: who stops pays nothing for the rest, and what two
// manifests share is asked for once.
func TestSourcesAreLazy(t *testing.T) {
	s := newStand(t, true)
	s.AttachBundle(t, s.img.Index, []byte(bundle))
	s.AttachBundle(t, s.img.Index, []byte(bundle+" "))
	l := s.registry(t)
	source := evidence.Sources(l)[1]
	for range source.Candidates(t.Context(), s.subject) {
		break
	}
	require.Equal(t, 3, l.Requests(), "%v", s.Requests())
	other := evidence.Subject{Entry: ocispec.Descriptor{Digest: digest.FromString("other")}, Indexes: s.subject.Indexes}
	for range source.Candidates(t.Context(), other) {
		break
	}
	require.Equal(t, 4, l.Requests(), "the blob again, the list and the manifest not")
}

func TestLayoutHasEvidence(t *testing.T) {
	s := newStand(t, true)
	sigstore := verifytest.NewSigstore(t)
	listed := s.AttachBundle(t, s.img.Index, []byte(bundle))
	dangling := s.AttachBundle(t, s.subject.Entry.Digest, []byte("under the fallback tag"))
	list := s.AddJSON(t, ocispec.Index{Versioned: version2, Manifests: []ocispec.Descriptor{dangling}}, ocispec.MediaTypeImageIndex)
	sig := s.TagCosign(t, "x", s.CosignSign(t, sigstore, []byte("signed"), verifytest.CosignOptions{}))
	att := s.TagCosign(t, "y", s.CosignAttest(t, sigstore, []byte("{}"), verifytest.CosignOptions{}))
	named := func(d ocispec.Descriptor, key, value string) ocispec.Descriptor {
		d.Annotations = map[string]string{key: value}
		return d
	}
	index := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: s.img.Index, Size: 1}
	const kind = "dev.cosignproject.cosign/"
	for name, entries := range map[string][]ocispec.Descriptor{
		"tags": {index, listed, named(list, ocispec.AnnotationRefName, tagOf(s.subject.Entry.Digest.String())),
			named(sig, ocispec.AnnotationRefName, verifytest.CosignTag(s.img.Index, "sig")),
			named(att, ocispec.AnnotationRefName, "reg.example/app:"+verifytest.CosignTag(s.img.Index, "att"))},
		"cosign save": {named(index, "kind", kind+"imageIndex"), named(sig, "kind", kind+"sigs"), named(att, "kind", kind+"atts")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s.Layout(t, dir, "v1", s.img.Index)
			writeJSON(t, filepath.Join(dir, "index.json"), ocispec.Index{Versioned: version2, Manifests: entries})
			l, dgst, err := evidence.OpenLayout(dir)
			require.NoError(t, err)
			require.Equal(t, s.img.Index, dgst)
			found, errs := all(t, evidence.Sources(l), s.subject)
			require.Empty(t, errs)
			require.Equal(t, []evidence.Form{evidence.Bundle, evidence.Bundle, evidence.Legacy, evidence.Legacy}, forms(found))
			require.Zero(t, l.Requests())
		})
	}
}

func TestOfflineHasNoEvidence(t *testing.T) {
	s := newStand(t, true)
	found, errs := all(t, evidence.Sources(evidence.Offline{}), s.subject)
	require.Empty(t, found)
	require.NotEmpty(t, errs)
	for _, err := range errs {
		require.ErrorIs(t, err, evidence.ErrOffline)
	}
}

var version2 = specs.Versioned{SchemaVersion: 2}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, data, 0o600))
}
