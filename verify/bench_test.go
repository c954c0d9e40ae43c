// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigstore "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// inMemory is a location without a network, for what Verify itself costs.
type inMemory struct{ *verifytest.Store }

var _ evidence.Location = inMemory{}

func (inMemory) Requests() int { return 0 }

func (inMemory) Referrers(context.Context, digest.Digest) ([]ocispec.Descriptor, error) {
	return nil, nil
}

func (inMemory) Tagged(context.Context, string) (digest.Digest, error) { return "", nil }

// BenchmarkVerify is a decision about an image whose bundle is in its index,
// without a network, beside bare sigstore-go on the same bundle: identity and
// subject included, the predicate left unread. All keep the trusted root and the
// policy. "from files" is plomb with both read anew, as in a process of its own.
func BenchmarkVerify(b *testing.B) {
	store, authority := verifytest.NewStore(), verifytest.NewSigstore(b)
	var data []byte
	img := store.Image(b, verifytest.ImageOptions{Bundle: func(subjects []provenance.Subject) []byte {
		data = authority.Bundle(b, verifytest.Statement(b, subjects), verifytest.BundleOptions{})
		return data
	}})
	trusted := authority.TrustedRoot(b, verifytest.RootOptions{})
	file := filepath.Join(b.TempDir(), "policy.yaml")
	require.NoError(b, os.WriteFile(file, []byte(keyless(verifytest.Issuer, verifytest.Subject)), 0o600))

	b.Run("plomb", func(b *testing.B) {
		believed, err := trust.Parse(trusted)
		require.NoError(b, err)
		set, err := policy.Load(file)
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			decideInMemory(b, store, img, set, func() (*trust.Root, error) { return believed, nil })
		}
	})
	b.Run("sigstore-go", func(b *testing.B) {
		benchmarkSigstore(b, trusted, data, img.Configs[0])
	})
	b.Run("from-files", func(b *testing.B) {
		for b.Loop() {
			set, err := policy.Load(file)
			require.NoError(b, err)
			decideInMemory(b, store, img, set, func() (*trust.Root, error) { return trust.Parse(trusted) })
		}
	})
}

func decideInMemory(b *testing.B, store *verifytest.Store, img verifytest.Image, set *policy.Set, trusted verify.OneRoot) {
	d := verify.Verify(b.Context(), verify.Request{
		Name: "registry.example/app:v1", Descriptor: ocispec.Descriptor{Digest: img.Index},
		Policy: set, Trust: trusted, Location: inMemory{store},
		Platform: platforms.Only(platforms.MustParse(verifytest.Platform)),
	})
	require.Equal(b, decision.Allow, d.Verdict, d.Line())
}

func benchmarkSigstore(b *testing.B, trusted, data []byte, config digest.Digest) {
	material, err := root.NewTrustedRootFromJSON(trusted)
	require.NoError(b, err)
	verifier, err := sigstore.NewVerifier(material, sigstore.WithSignedCertificateTimestamps(1), sigstore.WithTransparencyLog(1),
		sigstore.WithObserverTimestamps(1), sigstore.WithoutStatementPredicate())
	require.NoError(b, err)
	identity, err := sigstore.NewShortCertificateIdentity(verifytest.Issuer, "", verifytest.Subject, "")
	require.NoError(b, err)
	sum, err := hex.DecodeString(config.Encoded())
	require.NoError(b, err)
	wanted := sigstore.NewPolicy(sigstore.WithArtifactDigest("sha256", sum), sigstore.WithCertificateIdentity(identity))
	b.ReportAllocs()
	for b.Loop() {
		var parsed bundle.Bundle
		require.NoError(b, parsed.UnmarshalJSON(data))
		_, err := verifier.Verify(&parsed, wanted)
		require.NoError(b, err)
	}
}

// ruled is an ImagePolicy with conditions.
func ruled(conditions string) string {
	return strings.Replace(strings.Replace(keyless(verifytest.Issuer, verifytest.Subject),
		"policy.sigstore.dev/v1beta1", "plombproject.github.io/v1", 1), "ClusterImagePolicy", "ImagePolicy", 1) + conditions
}

// An SBOM of ten megabytes beside the image costs nothing, unless the policy
// looks into it.
func TestLargeSBOMIsLeftAlone(t *testing.T) {
	const size = 10 << 20
	element := `{"name":"some-package","versionInfo":"1.2.3","comment":"` + strings.Repeat("x", 10<<10) + `"},`
	sbom := verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","packages":[` + strings.Repeat(element, 1024) + `{"name":"last"}]}`)
	require.Greater(t, len(sbom.Predicate), size)
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{
		Attestations: func(string) []verifytest.Attestation { return []verifytest.Attestation{sbom} },
		Bundle: func(subjects []provenance.Subject) []byte {
			return s.sigstore.Bundle(t, verifytest.Statement(t, subjects, sbom.Byproduct(slsa.ByproductSBOM, verifytest.Platform)), verifytest.BundleOptions{})
		},
	})
	for name, c := range map[string]struct {
		policy   string
		requests int
	}{
		"signer":                  {keyless(verifytest.Issuer, verifytest.Subject), 2},
		"CEL over the provenance": {ruled("  rules:\n  - name: r\n    cel: provenance.buildDefinition.resolvedDependencies.size() > 0\n"), 2},
		"CEL over the SBOM":       {ruled("  rules:\n  - name: r\n    cel: sbom.packages.exists(p, p.name == 'last')\n"), 4},
		"ban of a package":        {ruled("  packages:\n    deny:\n    - purl: pkg:npm/other\n      versions: '>=1'\n      reason: x\n"), 4},
	} {
		t.Run(name, func(t *testing.T) {
			s.policy = s.load(c.policy)
			d := s.verify(img.Index)
			require.Equal(t, decision.Allow, d.Verdict, d.Line())
			require.Equal(t, c.requests, d.Requests)
		})
	}
}
