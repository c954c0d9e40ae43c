// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

func signed(t testing.TB) (*trust.Root, []byte) {
	t.Helper()
	s := verifytest.NewSigstore(t)
	root, err := trust.Parse(s.TrustedRoot(t, verifytest.RootOptions{}))
	require.NoError(t, err)
	payload := verifytest.Statement(t, []provenance.Subject{{Name: "image-id"}})
	return root, s.Bundle(t, payload, verifytest.BundleOptions{})
}

func TestVerify(t *testing.T) {
	root, bundle := signed(t)
	v, err := root.Verify(bundle, time.Now())
	require.NoError(t, err)
	require.Equal(t, verifytest.Issuer, v.Signer.Issuer)
	require.Equal(t, verifytest.Subject, v.Signer.Subject)
	require.Equal(t, []string{verifytest.FulcioURL}, v.Signer.Authorities)
	require.True(t, v.Logged)
	require.WithinDuration(t, time.Now(), v.SignedAt, time.Minute)

	claim, err := trust.DescribeUnverified(bundle)
	require.NoError(t, err)
	require.Equal(t, v.Signer.Subject, claim.Signer.Subject)
	require.Equal(t, v.Payload, claim.Payload)
}

// TestSpoiltBytes flips bytes all over a bundle: it must be refused,
// or what it says must be the same.
func TestSpoiltBytes(t *testing.T) {
	root, bundle := signed(t)
	good, err := root.Verify(bundle, time.Now())
	require.NoError(t, err)
	refused := 0
	for i := 0; i < len(bundle); i += 7 {
		spoilt := bytes.Clone(bundle)
		spoilt[i] ^= 1
		v, err := root.Verify(spoilt, time.Now())
		if err != nil {
			refused++
			continue
		}
		require.Equal(t, good.Payload, v.Payload, "byte %d", i)
		require.Equal(t, good.Signer, v.Signer, "byte %d", i)
	}
	// The rest is what a timestamp response carries beside what is signed.
	require.Greater(t, refused, len(bundle)/7*3/4)
}

// FuzzVerify: nothing that was not signed comes out as verified, and nothing
// makes the verifier panic.
func FuzzVerify(f *testing.F) {
	root, bundle := signed(f)
	good, err := root.Verify(bundle, time.Now())
	require.NoError(f, err)
	f.Add(bundle)
	f.Add(bundle[:len(bundle)/2])
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"signatures":[null]},"verificationMaterial":{"certificate":{}}}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"tlogEntries":[{}],"publicKey":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := root.Verify(data, time.Now()); err == nil {
			require.Equal(t, good.Payload, v.Payload)
		}
		_, _ = trust.DescribeUnverified(data)
	})
}
