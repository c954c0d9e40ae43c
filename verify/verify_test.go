// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// stand is a registry, a Sigstore and a policy that wants its default signer.
type stand struct {
	t        *testing.T
	store    *verifytest.Store
	sigstore *verifytest.Sigstore
	registry string
	policy   *policy.Set
	root     []byte
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{t: t, store: verifytest.NewStore(), sigstore: verifytest.NewSigstore(t)}
	s.registry = s.store.Serve(t)
	s.root = s.sigstore.TrustedRoot(t, verifytest.RootOptions{})
	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject))
	return s
}

// keyless is a policy for every image and one signer.
func keyless(issuer, subject string) string {
	return fmt.Sprintf(`apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: demo
spec:
  images:
  - glob: "**"
  authorities:
  - name: release
    keyless:
      identities:
      - issuer: %q
        subject: %q
`, issuer, subject)
}

func (s *stand) load(documents ...string) *policy.Set {
	s.t.Helper()
	dir := s.t.TempDir()
	for i, d := range documents {
		require.NoError(s.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(d), 0o600))
	}
	set, err := policy.Load(dir)
	require.NoError(s.t, err)
	return set
}

// sign is the Bundle of an image that is signed as opts say.
func (s *stand) sign(opts verifytest.BundleOptions) func([]provenance.Subject) []byte {
	return func(subjects []provenance.Subject) []byte {
		return s.sigstore.Bundle(s.t, verifytest.Statement(s.t, subjects), opts)
	}
}

// signed is an image that is signed as it should be.
func (s *stand) signed(opts verifytest.ImageOptions) verifytest.Image {
	s.t.Helper()
	if opts.Bundle == nil {
		opts.Bundle = s.sign(verifytest.BundleOptions{})
	}
	return s.store.Image(s.t, opts)
}

func (s *stand) request(dgst digest.Digest) verify.Request {
	name := s.registry + "/app:v1"
	return verify.Request{
		Name:       name,
		Descriptor: ocispec.Descriptor{Digest: dgst},
		Policy:     s.policy,
		Trust:      verify.OneRoot(func() (*trust.Root, error) { return trust.Parse(s.root) }),
		Location:   evidence.NewRegistry(name, evidence.RegistryOptions{}),
		Platform:   platforms.Only(platforms.MustParse(verifytest.Platform)),
	}
}

func (s *stand) verify(dgst digest.Digest) *decision.Decision {
	s.t.Helper()
	return verify.Verify(context.Background(), s.request(dgst))
}

func TestAllow(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{Platforms: []string{"linux/amd64", "linux/arm64"}})
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Contains(t, d.Reason, verifytest.Subject)
	require.Contains(t, d.Reason, "0.yaml:1")
	require.Empty(t, d.Code)

	require.Len(t, d.Manifests, 1, "arm64 is not this node's")
	require.Equal(t, img.Manifests[0], d.Manifests[0].Digest)
	require.Equal(t, img.Configs[0], d.Manifests[0].Config)
	require.Equal(t, verifytest.Subject, d.Manifests[0].Signers[0].Subject)
	require.Equal(t, []digest.Digest{img.Index}, d.Basis.Indexes)
	require.Equal(t, []digest.Digest{img.Manifests[0]}, d.Basis.Manifests)
	require.Len(t, d.Basis.Bundles, 1)
	require.Equal(t, s.policy.Digest(), d.Basis.Policy)
	require.Equal(t, digest.FromBytes(s.root), d.Basis.TrustRoot)
	require.Equal(t, "release", d.Rules[0].Authority)
	require.Nil(t, d.ChangesAt)
	require.Equal(t, 2, d.Requests, "index and manifest, the bundle is in the annotation")
}

func TestBundleInTheAttestationManifestAlone(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true})
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Equal(t, 4, d.Requests)
}

func TestBrokenAnnotationFallsThroughToTheAttestationManifest(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{Index: func(idx *ocispec.Index) {
		idx.Manifests[0].Annotations[provenance.BundleAnnotation] = "not base64!"
	}})
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	codes := codes(d)
	require.Contains(t, codes, "broken-embedding", "what was passed over is still told")
}

func codes(d *decision.Decision) []string {
	var list []string
	for _, c := range d.Checks {
		if c.Code != "" {
			list = append(list, c.Code)
		}
	}
	return list
}

func TestEveryManifestForThePlatformMustPass(t *testing.T) {
	s := newStand(t)
	evil := s.store.Image(t, verifytest.ImageOptions{Content: "evil"})
	for _, p := range []*ocispec.Platform{
		{OS: "linux", Architecture: "amd64"},
		{OS: "linux", Architecture: "386"}, // amd64 nodes run it
		nil,                                // containerd reads the config for it
	} {
		for _, first := range []bool{true, false} {
			img := s.signed(verifytest.ImageOptions{Index: func(idx *ocispec.Index) {
				extra := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: evil.Manifests[0], Platform: p}
				if first {
					idx.Manifests = append([]ocispec.Descriptor{extra}, idx.Manifests...)
				} else {
					idx.Manifests = append(idx.Manifests, extra)
				}
			}})
			d := s.verify(img.Index)
			require.Equal(t, decision.Deny, d.Verdict, "%v first=%t: %s", p, first, d.Line())
			require.Equal(t, "unsigned", d.Code)
			require.Len(t, d.Manifests, 2)
		}
	}
}

func TestStaticPoliciesMakeNoRequest(t *testing.T) {
	static := func(action string) string {
		return fmt.Sprintf(`{"apiVersion":"policy.sigstore.dev/v1alpha1","kind":"ClusterImagePolicy","metadata":{"name":"s-%s"},
			"spec":{"images":[{"glob":"**"}],"authorities":[{"static":{"action":%q,"message":"closed"}}]}}`, action, action)
	}
	s := newStand(t)
	img := s.store.Image(t, verifytest.ImageOptions{})
	for _, c := range []struct {
		documents []string
		want      decision.Verdict
	}{
		{[]string{static("pass")}, decision.Allow},
		{[]string{static("fail")}, decision.Deny},
		{[]string{static("pass"), static("fail")}, decision.Deny},
		{[]string{static("fail"), keyless(verifytest.Issuer, verifytest.Subject)}, decision.Deny},
	} {
		s.policy = s.load(c.documents...)
		req := s.request(img.Index)
		req.Trust = nil
		d := verify.Verify(context.Background(), req)
		require.Equal(t, c.want, d.Verdict, d.Line())
		require.Zero(t, d.Requests)
	}
	require.Empty(t, s.store.Requests())
}

func TestWarnModeAdmitsWithAWarning(t *testing.T) {
	s := newStand(t)
	img := s.store.Image(t, verifytest.ImageOptions{})
	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject) + "  mode: warn\n")
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Len(t, d.Warnings, 1)
	require.Contains(t, d.Warnings[0], "unsigned")
	require.Equal(t, decision.Deny, d.Rules[0].Verdict)
}

func TestSignaturesCountByTheTimeOfSigning(t *testing.T) {
	s := newStand(t)
	old := time.Now().Add(-45 * time.Minute)
	img := s.signed(verifytest.ImageOptions{Bundle: s.sign(verifytest.BundleOptions{SignedAt: old})})
	d := s.verify(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, "the certificate has expired since: %s", d.Line())
	require.WithinDuration(t, old, *d.Manifests[0].Signers[0].SignedAt, time.Second)
}
