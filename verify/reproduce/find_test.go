// SPDX-License-Identifier: Apache-2.0

package reproduce_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/reproduce"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// A world is a registry and a Sigstore.
type world struct {
	store    *verifytest.Store
	sigstore *verifytest.Sigstore
	host     string
}

func newWorld(t *testing.T) world {
	store := verifytest.NewStore()
	return world{store, verifytest.NewSigstore(t), store.Serve(t)}
}

func (w world) request(t *testing.T, img verifytest.Image, set *policy.Set) verify.Request {
	name := w.host + "/app"
	return verify.Request{
		Name: name, Descriptor: ocispec.Descriptor{Digest: img.Index}, Policy: set,
		Trust: verify.OneRoot(func() (*trust.Root, error) {
			return trust.Parse(w.sigstore.TrustedRoot(t, verifytest.RootOptions{}))
		}),
		Location: evidence.NewRegistry(name, evidence.RegistryOptions{}),
		Platform: platforms.OnlyStrict(platforms.MustParse("linux/amd64")),
	}
}

func welcome(t *testing.T) *policy.Set {
	id, err := policy.NewIdentity(verifytest.Issuer, "", verifytest.Subject, "")
	require.NoError(t, err)
	return policy.ForIdentity(id)
}

// signedBy is a bundle whose provenance names the revision.
func (w world) signedBy(t *testing.T, subjects []provenance.Subject, signer, revision string) []byte {
	text := strings.Replace(string(verifytest.Statement(t, subjects)), `"revision":"abc"`, `"revision":"`+revision+`"`, 1)
	return w.sigstore.Bundle(t, []byte(text), verifytest.BundleOptions{Subject: signer})
}

func TestFind(t *testing.T) {
	w := newWorld(t)
	img := w.store.Image(t, verifytest.ImageOptions{Bundle: func(s []provenance.Subject) []byte { return w.signedBy(t, s, "", "good") }})
	o, d, err := reproduce.Find(t.Context(), w.request(t, img, welcome(t)))
	require.NoError(t, err)
	require.Equal(t, decision.Allow, d.Verdict)
	require.Equal(t, "good", o.Provenance.BuildDefinition.ExternalParameters.Source.Revision)
	require.Equal(t, verifytest.Subject, o.Signer.Subject)
	require.Equal(t, "linux/amd64", o.Platform())
	require.Len(t, o.Layers(), 1)
}

// An attacker who may write to the registry puts a bundle of his own, validly
// signed by himself, before the good one. The image verifies, by the good one;
// what is built must not be what his says.
func TestFindReadsTheProvenanceThatThePolicyWelcomes(t *testing.T) {
	w := newWorld(t)
	var subjects []provenance.Subject
	img := w.store.Image(t, verifytest.ImageOptions{
		Bundle: func(s []provenance.Subject) []byte { subjects = s; return w.signedBy(t, s, "", "good") },
		Index: func(idx *ocispec.Index) {
			mallory := w.signedBy(t, subjects, "https://mallory.example/x", "evil")
			idx.Manifests[0].Annotations[provenance.BundleAnnotation] = base64.StdEncoding.EncodeToString(mallory)
		},
	})
	o, _, err := reproduce.Find(t.Context(), w.request(t, img, welcome(t)))
	require.NoError(t, err)
	require.Equal(t, "good", o.Provenance.BuildDefinition.ExternalParameters.Source.Revision)
	require.Equal(t, verifytest.Subject, o.Signer.Subject)

	// Only who says so dangerously gets his.
	o, err = reproduce.FindUnverified(t.Context(), w.request(t, img, nil))
	require.NoError(t, err)
	require.Equal(t, "evil", o.Provenance.BuildDefinition.ExternalParameters.Source.Revision)
	require.Nil(t, o.Signer)
}

func TestFindRefuses(t *testing.T) {
	w := newWorld(t)
	stranger := w.store.Image(t, verifytest.ImageOptions{Content: "a", Bundle: func(s []provenance.Subject) []byte { return w.signedBy(t, s, "https://mallory.example/x", "evil") }})
	unsigned := w.store.Image(t, verifytest.ImageOptions{Content: "b"})
	other := w.store.Image(t, verifytest.ImageOptions{Content: "c", Bundle: func(s []provenance.Subject) []byte {
		return w.sigstore.Bundle(t, []byte(strings.Replace(string(verifytest.Statement(t, s)), "plombproject.github.io/build/v1", "example.com/build", 1)), verifytest.BundleOptions{})
	}})
	pass, err := policy.FromFiles("policy", []policy.File{{Name: "pass.yaml", Data: []byte("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: pass}\nspec:\n  images: [{glob: \"**\"}]\n  authorities: [{static: {action: pass}}]\n")}})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		img verifytest.Image
		set *policy.Set
		is  error
	}{
		"a stranger":                     {stranger, welcome(t), reproduce.ErrUnverified},
		"no signature":                   {unsigned, welcome(t), reproduce.ErrUnverified},
		"a policy that asks for none":    {unsigned, pass, reproduce.ErrUnverified},
		"provenance of another builder":  {other, welcome(t), reproduce.ErrProvenance},
		"no policy":                      {stranger, nil, reproduce.ErrUnverified},
		"an image that is not there":     {verifytest.Image{Index: "sha256:" + "00000000000000000000000000000000000000000000000000000000000000aa"}, welcome(t), reproduce.ErrUnverified},
		"a digest that is not a SHA-256": {verifytest.Image{Index: "md5:x"}, welcome(t), reproduce.ErrUnverified},
	} {
		t.Run(name, func(t *testing.T) {
			o, _, err := reproduce.Find(t.Context(), w.request(t, tc.img, tc.set))
			require.ErrorIs(t, err, tc.is)
			require.Nil(t, o)
		})
	}
	_, err = reproduce.FindUnverified(t.Context(), w.request(t, unsigned, nil))
	require.ErrorIs(t, err, reproduce.ErrProvenance)
	_, err = reproduce.FindUnverified(t.Context(), w.request(t, other, nil))
	require.ErrorIs(t, err, reproduce.ErrProvenance)
}
