// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/store"
	"github.com/plombproject/plomb/verify/decision"
)

// onNode are the images of a node that has none of their contents.
type onNode []images.Image

func (n onNode) List(context.Context, ...string) ([]images.Image, error) { return n, nil }

func (n onNode) Get(context.Context, string) (images.Image, error) {
	return images.Image{}, errdefs.ErrNotFound
}

func (onNode) ReaderAt(context.Context, ocispec.Descriptor) (content.ReaderAt, error) {
	return nil, errdefs.ErrNotFound
}

func (n *onNode) add(name string, target digest.Digest) {
	*n = append(*n, images.Image{Name: name, Target: ocispec.Descriptor{Digest: target}})
}

// While a node only audits, whoever creates pods can have a signed image pulled
// under as many names of his own as he likes. Once the node enforces, the name
// that a policy is about is still found among them.
func TestPlantedNamesHideNone(t *testing.T) {
	w := newWorld(t)
	host, _, _ := strings.Cut(w.name("app"), "/")
	w.policy(strings.Replace(w.keyless(""), `glob: "**"`, `glob: "`+host+`/**"`, 1))
	w.start()
	good := w.image("good", true)
	var node onNode
	for i := range 50 {
		node.add(fmt.Sprintf("0.example/planted/x%d:v1", i), good.Index)
	}
	node.add(w.name("app"), good.Index)
	w.containers.store = store.New(node, node)
	d := w.containers.search(t.Context(), container("0.example/planted/x0:v1", good.Index))
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
}

// Nor does a name that a policy welcomes by itself admit what its registry does
// not have, however many there are.
func TestNamesOnTheNodeAdmitNothing(t *testing.T) {
	w := newWorld(t)
	w.policy(static1)
	w.start()
	stranger := digest.FromString("imported, and called as if from the registry")
	var node onNode
	for i := range 10 {
		node.add(fmt.Sprintf("%s-%d:v1", strings.TrimSuffix(w.name("app"), ":v1"), i), stranger)
	}
	w.containers.store = store.New(node, node)
	d := w.containers.search(t.Context(), container(w.name("app"), stranger))
	require.NotEqual(t, decision.Allow, d.Verdict)
	out, _ := w.containers.Known(t.Context(), container(w.name("app"), stranger))
	require.False(t, out.Admitted, out.Line())
}

// What is remembered of images that came to no verdict has no details whose
// length the maker of an image chose.
func TestReasonsAreKeptWithoutDetails(t *testing.T) {
	w := newWorld(t)
	of := container(w.name("app"), digest.FromString("x"))
	d := &decision.Decision{Verdict: decision.Deny, Reason: "because", Checks: make([]decision.Check, 1000), Warnings: make([]string, 1000)}
	w.containers.remember(of, d)
	kept, ok := w.containers.lately(of)
	require.True(t, ok)
	require.Equal(t, "because", kept.Reason)
	require.Empty(t, kept.Checks)
	require.Len(t, d.Checks, 1000, "the decision itself is whole")
}
