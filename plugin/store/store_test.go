// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/plugin/store"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/image"
	"github.com/plombproject/plomb/verify/verifytest"
)

const repository = "registry.example/shop"

// node is what a containerd has: some blobs of a registry, and names.
type node struct {
	*verifytest.Store
	lacks map[digest.Digest]bool
	lies  map[digest.Digest][]byte
	names map[string]digest.Digest
	down  error
	reads int
}

func newNode() *node {
	return &node{
		Store: verifytest.NewStore(), lacks: map[digest.Digest]bool{}, lies: map[digest.Digest][]byte{},
		names: map[string]digest.Digest{},
	}
}

type readerAt struct{ *bytes.Reader }

func (readerAt) Close() error { return nil }

func (n *node) ReaderAt(_ context.Context, desc ocispec.Descriptor) (content.ReaderAt, error) {
	n.reads++
	data, ok := n.lies[desc.Digest]
	if !ok {
		data = n.Store.Get(desc.Digest)
	}
	if n.down != nil {
		return nil, n.down
	}
	if data == nil || n.lacks[desc.Digest] {
		return nil, errdefs.ErrNotFound
	}
	return readerAt{bytes.NewReader(data)}, nil
}

type names struct{ *node }

func (n names) Get(_ context.Context, name string) (images.Image, error) {
	d, ok := n.names[name]
	if !ok {
		return images.Image{}, errdefs.ErrNotFound
	}
	return images.Image{Name: name, Target: ocispec.Descriptor{Digest: d}}, n.down
}

func (n names) List(context.Context, ...string) ([]images.Image, error) {
	var list []images.Image
	for name, d := range n.names {
		list = append(list, images.Image{Name: name, Target: ocispec.Descriptor{Digest: d}})
	}
	return list, n.down
}

func (n *node) open() *store.Store { return store.New(n, names{n}) }

// bundle is something that a source takes for one: sources do not look inside.
func bundle(content string) []byte { return []byte(`{"of":"` + content + `"}`) }

// pulled is an image as it is on a node: without what is for other platforms.
func (n *node) pulled(t *testing.T, content string) verifytest.Image {
	img := n.Image(t, verifytest.ImageOptions{
		Content: content, Platforms: []string{"linux/amd64", "linux/arm64", "linux/riscv64"},
		Bundle: func([]provenance.Subject) []byte { return bundle(content) },
	})
	for i := range img.Manifests[1:] {
		n.lacks[img.Manifests[i+1]], n.lacks[img.Configs[i+1]] = true, true
	}
	return img
}

func TestNames(t *testing.T) {
	n := newNode()
	a, b := n.pulled(t, "a"), n.pulled(t, "b")
	n.names = map[string]digest.Digest{
		repository + ":1": a.Index, repository + "@" + a.Index.String(): a.Index,
		a.Configs[0].String(): a.Index, "registry.example/other:2": a.Manifests[0],
		"registry.example/b:1": b.Index, "shop:short": a.Index,
	}
	s := n.open()
	want := []string{"registry.example/other:2", repository + ":1", repository + "@" + a.Index.String()}
	got, err := s.Names(t.Context(), a.Configs[0])
	require.NoError(t, err)
	require.Equal(t, want, got)
	got, err = s.Names(t.Context(), a.Index)
	require.NoError(t, err)
	require.Equal(t, want[1:], got)
	got, err = s.Names(t.Context(), digest.FromString("unknown"))
	require.NoError(t, err)
	require.Empty(t, got)

	targets, err := s.Resolve(t.Context(), a.Configs[0])
	require.NoError(t, err)
	require.ElementsMatch(t, []digest.Digest{a.Index, a.Manifests[0]}, targets)
	targets, err = s.Resolve(t.Context(), a.Configs[1])
	require.NoError(t, err)
	require.Empty(t, targets, "no image of this platform")

	reads := n.reads
	_, err = s.Resolve(t.Context(), b.Configs[0])
	require.NoError(t, err)
	require.Equal(t, reads, n.reads, "what a digest is made of is read once")
}

// TestBrokenImagesAreOthers: one image that cannot be read hides no other.
func TestBrokenImagesAreOthers(t *testing.T) {
	n := newNode()
	a, broken, lying := n.pulled(t, "a"), n.pulled(t, "broken"), n.pulled(t, "lying")
	n.lacks[broken.Manifests[0]] = true
	n.lies[lying.Index] = n.Get(a.Index)
	n.names = map[string]digest.Digest{
		repository + ":a": a.Index, repository + ":broken": broken.Index, repository + ":lying": lying.Index,
		repository + ":junk": n.Add([]byte("junk"), "").Digest, repository + ":md5": "md5:00",
	}
	got, err := n.open().Names(t.Context(), a.Configs[0])
	require.NoError(t, err)
	require.Equal(t, []string{repository + ":a"}, got, "the one whose blob is exchanged is none of them")
	_, err = n.open().Parts(t.Context(), broken.Index)
	require.ErrorIs(t, err, evidence.ErrNotFound)
}

func TestContainerdIsDown(t *testing.T) {
	n := newNode()
	a := n.pulled(t, "a")
	n.names[repository+":sha256-x"] = a.Index
	n.down = errors.New("connection refused")
	s := n.open()
	_, err := s.Names(t.Context(), a.Index)
	require.ErrorIs(t, err, store.ErrContainerd)
	_, err = s.Resolve(t.Context(), a.Configs[0])
	require.ErrorIs(t, err, store.ErrContainerd)
	_, err = s.Parts(t.Context(), a.Index)
	require.ErrorIs(t, err, evidence.ErrUnreachable)
	_, err = s.At(repository).Tagged(t.Context(), "sha256-x")
	require.ErrorIs(t, err, evidence.ErrUnreachable)

	s, err = store.Connect(filepath.Join(t.TempDir(), "none.sock"))
	require.NoError(t, err, "containerd may come later")
	_, err = s.Names(t.Context(), a.Index)
	require.ErrorIs(t, err, store.ErrContainerd)
	require.NoError(t, s.Close())
}

// found are the texts that all sources find for the image on the node.
func found(t *testing.T, l evidence.Location, target digest.Digest) (texts []string, errs []error) {
	t.Helper()
	opened, err := image.Open(t.Context(), l, target, platforms.Default(), image.MaxForNode)
	require.NoError(t, err)
	for _, m := range opened.Manifests {
		for _, source := range evidence.Sources(l) {
			for c, err := range source.Candidates(t.Context(), evidence.Subject{Entry: m.Entry, Siblings: m.Siblings, Indexes: m.Indexes}) {
				if err != nil {
					errs = append(errs, err)
					continue
				}
				texts = append(texts, string(c.Bundle))
			}
		}
	}
	require.Zero(t, l.Requests())
	return texts, errs
}

func TestEvidenceInsideTheIndex(t *testing.T) {
	n := newNode()
	a := n.pulled(t, "a")
	texts, _ := found(t, n.open().At(repository), a.Index)
	require.Contains(t, texts, string(bundle("a")))
}

// TestEvidenceUnderTags: somebody imported signatures along with the image. Those
// of another repository are another image's.
func TestEvidenceUnderTags(t *testing.T) {
	n := newNode()
	a := n.Image(t, verifytest.ImageOptions{Content: "a"})
	cosign := n.TagCosign(t, "x", n.Add(bundle("cosign"), verifytest.TypeBundle))
	referrer := n.AttachBundle(t, a.Index, bundle("referrer"))
	foreign := n.AttachBundle(t, digest.FromString("another"), bundle("foreign"))
	list := n.AddJSON(t, ocispec.Index{Manifests: []ocispec.Descriptor{foreign, referrer}}, ocispec.MediaTypeImageIndex)
	tag := strings.Replace(a.Index.String(), ":", "-", 1)
	n.names = map[string]digest.Digest{
		repository + ":1": a.Index, repository + ":" + tag: list.Digest, repository + ":" + tag + ".sig": cosign.Digest,
	}
	texts, errs := found(t, n.open().At(repository+":1"), a.Index)
	require.ElementsMatch(t, []string{string(bundle("cosign")), string(bundle("referrer"))}, texts)
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], evidence.ErrForeign)

	texts, errs = found(t, n.open().At("registry.example/other"), a.Index)
	require.Empty(t, texts)
	require.Empty(t, errs)
}

// TestHostileLists: the list of referrers is exchanged, too long, or no list.
func TestHostileLists(t *testing.T) {
	n := newNode()
	a := n.Image(t, verifytest.ImageOptions{})
	tag := strings.Replace(a.Index.String(), ":", "-", 1)
	l := n.open().At(repository)
	list := func(data []byte) error {
		n.names[repository+":"+tag] = n.Add(data, "").Digest
		_, err := l.Referrers(t.Context(), a.Index)
		return err
	}
	require.NoError(t, list([]byte(`{"manifests":[]}`)))
	require.Error(t, list([]byte(`{"manifests":[],"manifests":[{}]}`)))
	require.Error(t, list([]byte(`[]`)))
	require.ErrorIs(t, list([]byte(`{"manifests":[{}`+strings.Repeat(",{}", 2000)+`]}`)), limit.ErrTooLarge)
	require.ErrorIs(t, list(bytes.Repeat([]byte(" "), 5<<20)), limit.ErrTooLarge)
	d := n.Add([]byte(`{"manifests":[]}`), "").Digest
	n.lies[d] = []byte(`{"manifests":[{}]}`)
	require.Error(t, list([]byte(`{"manifests":[]}`)), "other bytes than the tag names")
	n.names[repository+":"+tag] = digest.FromString("nowhere")
	_, err := l.Referrers(t.Context(), a.Index)
	require.ErrorIs(t, err, evidence.ErrNotFound)

	_, err = l.Tagged(t.Context(), "no/tag")
	require.ErrorIs(t, err, evidence.ErrReference)
	_, err = n.open().At("A B").Tagged(t.Context(), "x")
	require.ErrorIs(t, err, evidence.ErrReference)
}
