// SPDX-License-Identifier: Apache-2.0

package documents_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/byproducts"
	"github.com/plombproject/plomb/verify/documents"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

var (
	good = verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","name":"good"}`)
	evil = verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","name":"evil"}`)
)

type stand struct {
	t        *testing.T
	store    *verifytest.Store
	sigstore *verifytest.Sigstore
	name     string
	policy   string
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{t: t, store: verifytest.NewStore(), sigstore: verifytest.NewSigstore(t)}
	s.name = s.store.Serve(t) + "/app:v1"
	s.policy = fmt.Sprintf(`{keyless: {identities: [{issuer: %q, subject: %q}]}}`, verifytest.Issuer, verifytest.Subject)
	return s
}

func (s *stand) request(dgst digest.Digest, platform string) verify.Request {
	path := filepath.Join(s.t.TempDir(), "policy.yaml")
	require.NoError(s.t, os.WriteFile(path, []byte(`{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy,
metadata: {name: demo}, spec: {images: [{glob: "**"}], authorities: [`+s.policy+`]}}`), 0o600))
	set, err := policy.Load(path)
	require.NoError(s.t, err)
	return verify.Request{
		Name: s.name, Descriptor: ocispec.Descriptor{Digest: dgst}, Policy: set,
		Trust: verify.OneRoot(func() (*trust.Root, error) {
			return trust.Parse(s.sigstore.TrustedRoot(s.t, verifytest.RootOptions{}))
		}),
		Location: evidence.NewRegistry(s.name, evidence.RegistryOptions{}),
		Platform: platforms.Only(platforms.MustParse(platform)),
	}
}

// image names good as its SBOM and carries what is given.
func (s *stand) image(opts verifytest.ImageOptions, carried ...verifytest.Attestation) verifytest.Image {
	s.t.Helper()
	opts.Attestations = func(string) []verifytest.Attestation { return carried }
	opts.Bundle = func(subjects []provenance.Subject) []byte {
		return s.sigstore.Bundle(s.t, verifytest.Statement(s.t, subjects, good.Byproduct(slsa.ByproductSBOM, verifytest.Platform)), verifytest.BundleOptions{})
	}
	return s.store.Image(s.t, opts)
}

func TestOpen(t *testing.T) {
	s := newStand(t)
	img := s.image(verifytest.ImageOptions{}, good)
	got, d, err := documents.Open(t.Context(), s.request(img.Index, verifytest.Platform))
	require.NoError(t, err, d.Line())
	require.True(t, got.Verified)
	require.Equal(t, verifytest.Subject, got.Signer.Subject)
	require.Equal(t, verifytest.Platform, got.Platform())
	require.Equal(t, "abc", got.Provenance.BuildDefinition.ExternalParameters.Source.Revision)
	data, list, err := got.SBOM(t.Context(), slsa.ByproductSBOM)
	require.NoError(t, err)
	require.Equal(t, string(good.Predicate), string(data))
	require.Equal(t, byproducts.Signed, list[0].Status)

	_, _, err = got.SBOM(t.Context(), slsa.ByproductSBOMFiles)
	require.ErrorIs(t, err, documents.ErrNoSBOM)
	require.ErrorContains(t, err, "PLOMB_SBOM=files")
}

func TestNobodyVouches(t *testing.T) {
	s := newStand(t)
	img := s.image(verifytest.ImageOptions{}, good)
	s.policy = `{static: {action: pass}}`
	_, _, err := documents.Open(t.Context(), s.request(img.Index, verifytest.Platform))
	require.ErrorIs(t, err, documents.ErrUnverified)
	require.ErrorContains(t, err, "without a signature")

	s.policy = `{static: {action: fail, message: closed}}`
	_, d, err := documents.Open(t.Context(), s.request(img.Index, verifytest.Platform))
	require.ErrorIs(t, err, documents.ErrUnverified)
	require.Equal(t, "static-fail", d.Code)
}

// The bundle of another image vouches for nothing, verified or not.
func TestAnotherImagesBundle(t *testing.T) {
	s := newStand(t)
	other := s.image(verifytest.ImageOptions{Content: "other"}, good)
	bundle := s.sigstore.Bundle(t, verifytest.Statement(t, other.Subjects, evil.Byproduct(slsa.ByproductSBOM, verifytest.Platform)), verifytest.BundleOptions{})
	img := s.image(verifytest.ImageOptions{NoAttestation: true, Index: func(idx *ocispec.Index) {
		idx.Manifests[0].Annotations[provenance.BundleAnnotation] = base64.StdEncoding.EncodeToString(bundle)
	}}, evil)
	_, _, err := documents.Open(t.Context(), s.request(img.Index, verifytest.Platform))
	require.ErrorIs(t, err, documents.ErrUnverified)
	got, err := documents.OpenUnverified(t.Context(), s.request(img.Index, verifytest.Platform))
	require.NoError(t, err)
	require.Nil(t, got.Statement)
	require.Nil(t, got.Provenance)
}

func TestSBOMThatIsNotTheSignedOne(t *testing.T) {
	signed, carried := digest.FromBytes(good.Predicate).String(), digest.FromBytes(evil.Predicate).String()
	for name, c := range map[string]struct {
		carried []verifytest.Attestation
		says    []string
	}{
		"swapped":   {[]verifytest.Attestation{evil}, []string{"names " + signed, "carries " + carried}},
		"removed":   {nil, []string{"names " + signed, "does not carry it"}},
		"malformed": {[]verifytest.Attestation{{PredicateType: good.PredicateType, Statement: []byte(`{}`)}}, []string{signed, "no predicateType"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			got, _, err := documents.Open(t.Context(), s.request(s.image(verifytest.ImageOptions{}, c.carried...).Index, verifytest.Platform))
			require.NoError(t, err)
			_, _, err = got.SBOM(t.Context(), slsa.ByproductSBOM)
			require.ErrorIs(t, err, documents.ErrUnsigned)
			for _, text := range c.says {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestSBOMThatCannotBeRead(t *testing.T) {
	s := newStand(t)
	img := s.image(verifytest.ImageOptions{}, good)
	got, err := documents.OpenUnverified(t.Context(), s.request(img.Index, verifytest.Platform))
	require.NoError(t, err)
	_, list, err := got.SBOM(t.Context(), slsa.ByproductSBOM)
	require.NoError(t, err)
	s.store.Fail(list[0].Layer, 503)
	_, _, err = got.SBOM(t.Context(), slsa.ByproductSBOM)
	require.ErrorContains(t, err, "could not be read")
	require.NotErrorIs(t, err, documents.ErrUnsigned, "nothing is known against it")
	_, err = got.UnsignedSBOM(t.Context())
	require.Error(t, err)
}

func TestUnsignedSBOM(t *testing.T) {
	s := newStand(t)
	img := s.store.Image(t, verifytest.ImageOptions{Attestations: func(string) []verifytest.Attestation { return []verifytest.Attestation{evil} }})
	got, err := documents.OpenUnverified(t.Context(), s.request(img.Index, verifytest.Platform))
	require.NoError(t, err)
	_, _, err = got.SBOM(t.Context(), slsa.ByproductSBOM)
	require.ErrorIs(t, err, documents.ErrUnsigned)
	data, err := got.UnsignedSBOM(t.Context())
	require.NoError(t, err)
	require.Equal(t, string(evil.Predicate), string(data))
}

func TestChoosePlatform(t *testing.T) {
	s := newStand(t)
	machine := platforms.Format(platforms.DefaultSpec())
	for name, c := range map[string]struct {
		platforms []string
		want      string
	}{
		"this machine's": {[]string{"linux/s390x", machine}, machine},
		"the only one":   {[]string{"linux/ppc64le"}, "linux/ppc64le"},
		"none":           {[]string{"linux/ppc64le", "windows/arm"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			img := s.image(verifytest.ImageOptions{Platforms: c.platforms}, good)
			matcher, err := documents.ChoosePlatform(context.Background(), s.request(img.Index, verifytest.Platform))
			if c.want == "" {
				require.ErrorIs(t, err, documents.ErrPlatform)
				require.ErrorContains(t, err, "linux/ppc64le, windows/arm")
				return
			}
			require.NoError(t, err)
			require.True(t, matcher.Match(platforms.MustParse(c.want)))
		})
	}
}
