// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

func signed(t testing.TB) (*trust.Verifier, []byte) {
	t.Helper()
	s := verifytest.NewSigstore(t)
	root, err := trust.Parse(s.TrustedRoot(t, verifytest.RootOptions{}))
	require.NoError(t, err)
	payload := verifytest.Statement(t, []provenance.Subject{{Name: "image-id"}})
	return verifier(t, trust.Options{Root: root}), s.Bundle(t, payload, verifytest.BundleOptions{})
}

func TestVerify(t *testing.T) {
	verifier, bundle := signed(t)
	v, err := verifier.Verify(trust.Input{Bundle: bundle}, time.Now())
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

// TestShared: one verifier, many goroutines.
func TestShared(t *testing.T) {
	verifier, bundle := signed(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			_, err := verifier.Verify(trust.Input{Bundle: bundle}, time.Now())
			assert.NoError(t, err)
		})
	}
	group.Wait()
}

// TestSpoiltBytes flips bytes all over a bundle: it must be refused,
// or what it says must be the same.
func TestSpoiltBytes(t *testing.T) {
	verifier, bundle := signed(t)
	good, err := verifier.Verify(trust.Input{Bundle: bundle}, time.Now())
	require.NoError(t, err)
	refused := 0
	for i := 0; i < len(bundle); i += 7 {
		spoilt := bytes.Clone(bundle)
		spoilt[i] ^= 1
		v, err := verifier.Verify(trust.Input{Bundle: spoilt}, time.Now())
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
// makes a verifier panic.
func FuzzVerify(f *testing.F) {
	s, key := verifytest.NewSigstore(f), verifytest.NewKey(f, "ed25519")
	root, err := trust.Parse(s.TrustedRoot(f, verifytest.RootOptions{}))
	require.NoError(f, err)
	verifiers := []*trust.Verifier{
		verifier(f, trust.Options{Root: root}),
		verifier(f, trust.Options{Root: root, Timestamp: &trust.TimestampRule{}}),
		verifier(f, trust.Options{Keys: keysOf(f, "", key)}),
		verifier(f, trust.Options{Keys: keysOf(f, "", key), Log: &trust.LogRule{Root: root}}),
	}
	payload := verifytest.Statement(f, []provenance.Subject{{Name: "image-id"}})
	for _, opts := range []verifytest.BundleOptions{
		{}, {Message: true}, {Key: key, NoLogEntry: true}, {Key: key, Message: true, Log: verifytest.HashedRekord},
		{Log: verifytest.DSSE}, {Log: verifytest.Intoto001}, {Log: verifytest.Intoto002, AlsoLog: verifytest.RekorV2},
	} {
		f.Add(s.Bundle(f, payload, opts), payload)
	}
	good := s.Bundle(f, payload, verifytest.BundleOptions{})
	f.Add(good[:len(good)/2], []byte{})
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"signatures":[null]},"verificationMaterial":{"certificate":{}}}`), payload)
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"tlogEntries":[{}],"publicKey":{}}}`), payload)
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.1","messageSignature":{"messageDigest":{}},"verificationMaterial":{"x509CertificateChain":{"certificates":[{}]}}}`), payload)
	f.Fuzz(func(t *testing.T, data, message []byte) {
		for _, v := range verifiers {
			if got, err := v.Verify(trust.Input{Bundle: data, Payload: message}, time.Now()); err == nil {
				require.Equal(t, payload, got.Payload)
			}
		}
		_, _ = trust.DescribeUnverified(data)
	})
}
