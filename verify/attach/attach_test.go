// SPDX-License-Identifier: Apache-2.0

package attach_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/attach"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/verifytest"
)

// stand is a registry and an image of two platforms in it; the statement names
// the manifest of the first.
type stand struct {
	store    *verifytest.Store
	name     string
	img      verifytest.Image
	bundle   []byte
	location *evidence.Registry
}

func newStand(t *testing.T, change func(*verifytest.ImageOptions)) *stand {
	t.Helper()
	s := &stand{store: verifytest.NewStore()}
	s.name = s.store.Serve(t) + "/app"
	sigstore := verifytest.NewSigstore(t)
	opts := verifytest.ImageOptions{Platforms: []string{"linux/amd64", "linux/arm64"}}
	foretold := s.store.Image(t, opts).Manifests[0]
	opts.Bundle = func(subjects []provenance.Subject) []byte {
		subjects = append(subjects, provenance.Subject{
			Name: provenance.SubjectManifest, Digest: map[string]string{"sha256": foretold.Encoded()},
			Annotations: map[string]string{provenance.AnnotationPlatform: "linux/amd64"},
		})
		s.bundle = sigstore.Bundle(t, verifytest.Statement(t, subjects), verifytest.BundleOptions{})
		return s.bundle
	}
	if change != nil {
		change(&opts)
	}
	s.img = s.store.Image(t, opts)
	s.location = evidence.NewRegistry(s.name+":v1", evidence.RegistryOptions{})
	return s
}

func (s *stand) attach(t *testing.T, dry bool) ([]attach.Outcome, error) {
	t.Helper()
	repo, err := evidence.NewPublisher(s.name, evidence.RegistryOptions{})
	require.NoError(t, err)
	return attach.Attach(t.Context(), s.location, s.img.Index, attach.AnyPlatform{}, repo, dry)
}

func (s *stand) check(t *testing.T, o attach.Outcome, subject digest.Digest) {
	t.Helper()
	var m ocispec.Manifest
	require.NoError(t, json.Unmarshal(s.store.Get(o.Referrer), &m))
	require.Equal(t, attach.ArtifactType, m.ArtifactType)
	require.Equal(t, ocispec.MediaTypeEmptyJSON, m.Config.MediaType)
	require.Equal(t, []byte(`{}`), s.store.Get(m.Config.Digest))
	require.Equal(t, subject, m.Subject.Digest)
	require.EqualValues(t, len(s.store.Get(subject)), m.Subject.Size)
	require.Equal(t, ocispec.MediaTypeImageManifest, m.Subject.MediaType)
	require.Len(t, m.Layers, 1)
	require.Equal(t, attach.ArtifactType, m.Layers[0].MediaType)
	require.Equal(t, s.bundle, s.store.Get(m.Layers[0].Digest), "the bundle is the embedded one, to the byte")
	require.Equal(t, "dsse-envelope", m.Annotations["dev.sigstore.bundle.content"])
	require.Equal(t, provenance.PredicateSLSA1, m.Annotations["dev.sigstore.bundle.predicateType"])
	require.Regexp(t, `^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$`, m.Annotations[ocispec.AnnotationCreated])
}

func TestReferrersAPI(t *testing.T) {
	s := newStand(t, nil)
	s.store.WithReferrers()
	done, err := s.attach(t, false)
	require.NoError(t, err)
	require.Len(t, done, 2)
	for i, o := range done {
		require.Equal(t, attach.Attached, o.Status)
		require.Empty(t, o.Tag)
		require.Equal(t, i == 0, o.Named, "the statement names the manifest of amd64 alone")
		s.check(t, o, s.img.Manifests[i])
	}

	writes := len(s.store.Writes())
	again, err := s.attach(t, false)
	require.NoError(t, err)
	require.Equal(t, attach.Present, again[0].Status)
	require.Equal(t, attach.Present, again[1].Status)
	require.Equal(t, done[0].Referrer, again[0].Referrer)
	require.Len(t, s.store.Writes(), writes, "what is there is not written again")
}

func TestFallbackTag(t *testing.T) {
	s := newStand(t, nil)
	// Somebody else's referrer is there and stays.
	other := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("other"), Size: 1, ArtifactType: "application/x"}
	tag := strings.Replace(s.img.Manifests[0].String(), ":", "-", 1)
	s.store.Tag(tag, s.store.AddJSON(t, map[string]any{"schemaVersion": 2, "manifests": []any{other}}, ocispec.MediaTypeImageIndex).Digest)

	done, err := s.attach(t, false)
	require.NoError(t, err)
	for i, o := range done {
		require.Equal(t, attach.Attached, o.Status)
		s.check(t, o, s.img.Manifests[i])
	}
	require.Equal(t, tag, done[0].Tag)
	repo, err := evidence.NewPublisher(s.name, evidence.RegistryOptions{})
	require.NoError(t, err)
	idx, err := repo.Tagged(t.Context(), tag)
	require.NoError(t, err)
	require.Len(t, idx.Manifests, 2)
	require.Equal(t, other, idx.Manifests[0])
	require.Equal(t, done[0].Referrer, idx.Manifests[1].Digest)
	require.Equal(t, attach.ArtifactType, idx.Manifests[1].ArtifactType)
	require.Equal(t, "dsse-envelope", idx.Manifests[1].Annotations["dev.sigstore.bundle.content"])

	writes := len(s.store.Writes())
	again, err := s.attach(t, false)
	require.NoError(t, err)
	require.Equal(t, attach.Present, again[0].Status)
	require.Len(t, s.store.Writes(), writes)
}

func TestDryRun(t *testing.T) {
	for _, api := range []bool{false, true} {
		s := newStand(t, nil)
		if api {
			s.store.WithReferrers()
		}
		done, err := s.attach(t, true)
		require.NoError(t, err)
		require.Equal(t, attach.WouldAttach, done[0].Status)
		require.Empty(t, s.store.Writes())
	}
}

func TestNothingToAttach(t *testing.T) {
	for name, change := range map[string]func(*verifytest.ImageOptions){
		"unsigned": func(o *verifytest.ImageOptions) { o.Bundle = nil },
		"another image's bundle": func(o *verifytest.ImageOptions) {
			bundle := o.Bundle(nil)
			o.Bundle = func([]provenance.Subject) []byte { return bundle }
			o.Content = "another"
		},
		"garbage": func(o *verifytest.ImageOptions) {
			o.Bundle = func([]provenance.Subject) []byte { return []byte(`{}`) }
		},
		"one platform of two": func(o *verifytest.ImageOptions) {
			o.NoAttestation = true
			o.Index = func(idx *ocispec.Index) { idx.Manifests[1].Annotations = nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, change)
			_, err := s.attach(t, false)
			require.ErrorIs(t, err, attach.ErrNothing)
			require.Empty(t, s.store.Writes(), "nothing is half done")
		})
	}
}

// A registry that is out of order is not one without the referrers API.
func TestReferrersFail(t *testing.T) {
	s := newStand(t, nil)
	repo := &flaky{err: evidence.ErrUnreachable}
	_, err := attach.Attach(t.Context(), s.location, s.img.Index, attach.AnyPlatform{}, repo, false)
	require.ErrorIs(t, err, evidence.ErrUnreachable)
	require.Zero(t, repo.writes)
}

// Whoever writes the tag at the same time is told of.
func TestContended(t *testing.T) {
	s := newStand(t, nil)
	repo := &flaky{}
	_, err := attach.Attach(t.Context(), s.location, s.img.Index, attach.AnyPlatform{}, repo, false)
	require.ErrorIs(t, err, attach.ErrContended)
	require.Positive(t, repo.writes)
}

// flaky is a repository without the referrers API whose tags others overwrite.
type flaky struct {
	err    error
	writes int
}

func (f *flaky) Referrers(context.Context, digest.Digest) ([]ocispec.Descriptor, bool, error) {
	return nil, false, f.err
}
func (f *flaky) Tagged(context.Context, string) (*ocispec.Index, error) { return nil, nil }
func (f *flaky) Put(context.Context, ocispec.Descriptor, []byte) error  { f.writes++; return nil }
func (f *flaky) PutTag(context.Context, string, ocispec.Descriptor, []byte) error {
	f.writes++
	return nil
}

func TestATagThatIsNoIndex(t *testing.T) {
	s := newStand(t, nil)
	tag := strings.Replace(s.img.Manifests[0].String(), ":", "-", 1)
	s.store.Tag(tag, s.img.Manifests[1])
	_, err := s.attach(t, false)
	require.ErrorIs(t, err, document.ErrMalformed)
	require.Empty(t, s.store.Writes(), "somebody's image is not overwritten")
}
