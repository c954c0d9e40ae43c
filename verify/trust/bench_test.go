// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// BenchmarkVerify compares a Verifier with sigstore-go alone on the same bundle;
// both parse the bundle and keep the trusted root.
func BenchmarkVerify(b *testing.B) {
	s := verifytest.NewSigstore(b)
	trusted := s.TrustedRoot(b, verifytest.RootOptions{})
	payload := verifytest.Statement(b, []provenance.Subject{{Name: "image-id"}})
	r, err := trust.Decode(trusted)
	require.NoError(b, err)
	ours := verifier(b, trust.Options{Root: r})
	m, err := root.NewTrustedRootFromJSON(trusted)
	require.NoError(b, err)
	theirs, err := verify.NewVerifier(m, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1),
		verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate())
	require.NoError(b, err)
	policy := verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe())

	for name, opts := range map[string]verifytest.BundleOptions{"rekor-v2": {}, "rekor-v1": {Log: verifytest.DSSE, NoTimestamp: true}} {
		data := s.Bundle(b, payload, opts)
		b.Run(name+"/plomb", func(b *testing.B) {
			for b.Loop() {
				_, err := ours.Verify(trust.Input{Bundle: data}, time.Now())
				require.NoError(b, err)
			}
		})
		b.Run(name+"/sigstore-go", func(b *testing.B) {
			for b.Loop() {
				var parsed bundle.Bundle
				require.NoError(b, parsed.UnmarshalJSON(data))
				_, err := theirs.Verify(&parsed, policy)
				require.NoError(b, err)
			}
		})
	}
}
