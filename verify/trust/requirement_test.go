// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// bare verifies with sigstore-go alone.
func bare(t testing.TB, trustedRoot, data []byte) error {
	t.Helper()
	m, err := root.NewTrustedRootFromJSON(trustedRoot)
	require.NoError(t, err)
	v, err := verify.NewVerifier(m, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
	require.NoError(t, err)
	var b bundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return err
	}
	_, err = v.Verify(&b, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe()))
	return err
}

// TestTreeCheckpoint: sigstore-go does not compare a Rekor v2 entry with the
// bundle if its checkpoint looks like one of Rekor v1.
func TestTreeCheckpoint(t *testing.T) {
	st := newStand(t)
	opts := verifytest.BundleOptions{LogOf: []byte(`{}`), TreeCheckpoint: true}
	require.NoError(t, bare(t, st.s.TrustedRoot(t, verifytest.RootOptions{}), st.s.Bundle(t, st.payload, opts)), "if it does, this check can go")
	_, err := st.verify(trust.Options{Root: st.root}, opts)
	require.ErrorIs(t, err, trust.ErrLogEntry)
}

// TestIntoto001IsOurs: sigstore-go refuses these entries.
func TestIntoto001IsOurs(t *testing.T) {
	st := newStand(t)
	opts := verifytest.BundleOptions{Log: verifytest.Intoto001}
	require.Error(t, bare(t, st.s.TrustedRoot(t, verifytest.RootOptions{}), st.s.Bundle(t, st.payload, opts)), "if it does not, ours can go")
	_, err := st.verify(trust.Options{Root: st.root}, opts)
	require.NoError(t, err)
}

// TestLogKeyValidity: a key that was retired proves nothing afterwards, unless
// its entry was not asked for.
func TestLogKeyValidity(t *testing.T) {
	st := newStand(t)
	retired := verifytest.RootOptions{RekorUntil: time.Now().Add(-time.Minute)}
	o := trust.Options{Root: st.rootOf(st.s, retired)}
	require.NoError(t, bare(t, st.s.TrustedRoot(t, retired), st.s.Bundle(t, st.payload, verifytest.BundleOptions{})), "if it does not, this check can go")
	for name, opts := range map[string]verifytest.BundleOptions{
		"Rekor v2":             {},
		"Rekor v1":             {Log: verifytest.DSSE, NoTimestamp: true},
		"Rekor v1, proof only": {Log: verifytest.DSSE, NoPromise: true},
		"timestamp too late":   {Log: verifytest.DSSE, LoggedAt: time.Now().Add(-2 * time.Minute), CertificateFrom: time.Now().Add(-3 * time.Minute)},
		"intoto 0.0.1":         {Log: verifytest.Intoto001, NoTimestamp: true},
	} {
		_, err := st.verify(o, opts)
		require.ErrorIs(t, err, trust.ErrLogKey, name)
	}
	before := time.Now().Add(-3 * time.Minute)
	_, err := st.verify(o, verifytest.BundleOptions{SignedAt: before})
	require.NoError(t, err, "signed in time")
	o.Timestamp = &trust.TimestampRule{}
	_, err = st.verify(o, verifytest.BundleOptions{})
	require.NoError(t, err, "the entry does not count")
}

func TestIssuerExpiredBeforeTheCertificate(t *testing.T) {
	st := newStand(t)
	st.s.ExpireFulcio(t, time.Now().Add(-10*time.Second))
	o := trust.Options{Root: st.rootOf(st.s, verifytest.RootOptions{})}
	_, err := st.verify(o, verifytest.BundleOptions{})
	require.ErrorIs(t, err, trust.ErrCertificate)
	_, err = st.verify(o, verifytest.BundleOptions{SignedAt: time.Now().Add(-time.Minute)})
	require.NoError(t, err, "both were valid then")
}

// TestTimestamperExpired: the authority's certificate has to be valid at the
// time that it gives, whatever the root says of the authority.
func TestTimestamperExpired(t *testing.T) {
	st := newStand(t)
	always := st.rootOf(st.s, verifytest.RootOptions{Always: true})
	o := trust.Options{Keys: keysOf(t, "", st.key), Timestamp: &trust.TimestampRule{Root: always}}
	_, err := st.verify(o, verifytest.BundleOptions{Key: st.key})
	require.NoError(t, err)
	_, err = st.verify(o, verifytest.BundleOptions{Key: st.key, SignedAt: time.Now().Add(-2 * time.Hour)})
	require.ErrorIs(t, err, trust.ErrTimestamp)
}

// TestOldBundles have a chain, whose issuers count for nothing.
func TestOldBundles(t *testing.T) {
	st := newStand(t)
	v02 := "application/vnd.dev.sigstore.bundle+json;version=0.2"
	_, err := st.verify(trust.Options{Root: st.root}, verifytest.BundleOptions{MediaType: v02, Chain: true})
	require.NoError(t, err)
	_, err = st.verify(trust.Options{Root: st.root}, verifytest.BundleOptions{Chain: true})
	require.ErrorIs(t, err, trust.ErrBundle)
	other := verifytest.NewSigstore(t)
	in := trust.Input{Bundle: other.Bundle(t, st.payload, verifytest.BundleOptions{MediaType: v02, Chain: true, LogBy: st.s, TimestampBy: st.s})}
	_, err = verifier(t, trust.Options{Root: st.root}).Verify(in, time.Now())
	require.ErrorIs(t, err, trust.ErrCertificate)
}

// TestThresholds: witnesses are operators, not entries.
func TestThresholds(t *testing.T) {
	st := newStand(t)
	one := st.rootOf(st.s, verifytest.RootOptions{Operator: "one"})
	twice := verifytest.BundleOptions{AlsoLog: verifytest.DSSE, AlsoTimestampBy: []*verifytest.Sigstore{st.s}}
	for name, c := range map[string]struct {
		o    trust.Options
		opts verifytest.BundleOptions
		want error
	}{
		"two operators, two logs":      {trust.Options{Root: st.root, LogThreshold: 2}, twice, nil},
		"two operators, one log":       {trust.Options{Root: st.root, LogThreshold: 2}, verifytest.BundleOptions{}, trust.ErrLogEntry},
		"one operator, two logs":       {trust.Options{Root: one, LogThreshold: 2}, twice, trust.ErrLogEntry},
		"one operator will do":         {trust.Options{Root: one}, twice, nil},
		"two timestamps, one operator": {trust.Options{Root: st.root, TimestampThreshold: 2}, twice, trust.ErrTimestamp},
	} {
		_, err := st.verify(c.o, c.opts)
		require.ErrorIs(t, err, c.want, name)
	}
	_, err := trust.NewVerifier(trust.Options{Root: one, LogThreshold: -1})
	require.ErrorIs(t, err, trust.ErrOptions)
}

// TestClockSetBack: a time before anything trusted existed is none.
func TestClockSetBack(t *testing.T) {
	st := newStand(t)
	in := trust.Input{Bundle: st.s.Bundle(t, st.payload, verifytest.BundleOptions{})}
	v := verifier(t, trust.Options{Root: st.root})
	for _, now := range []time.Time{{}, time.Now().Add(-2 * time.Hour), time.Now().Add(-10 * time.Minute)} {
		_, err := v.Verify(in, now)
		require.ErrorIs(t, err, trust.ErrClock)
	}
	_, err := v.Verify(in, time.Now().Add(100*365*24*time.Hour))
	require.NoError(t, err, "what was good stays good")
}

func TestTrustsThatCannotBe(t *testing.T) {
	st := newStand(t)
	without := func(parts string) *trust.Root {
		return st.rootOf(st.s, verifytest.RootOptions{Without: parts})
	}
	keys := keysOf(t, "", st.key)
	for name, c := range map[string]struct {
		o    trust.Options
		want error
	}{
		"nothing":                   {trust.Options{}, trust.ErrOptions},
		"a log alone":               {trust.Options{Log: &trust.LogRule{Root: st.root}}, trust.ErrOptions},
		"keys and a CA":             {trust.Options{Keys: keys, CACert: st.s.CACert()}, trust.ErrOptions},
		"an empty key":              {trust.Options{Keys: make([]trust.Key, 1)}, trust.ErrKey},
		"no CA":                     {trust.Options{Root: without("certificateAuthorities")}, trust.ErrRoot},
		"no ctlogs":                 {trust.Options{Root: without("ctlogs")}, trust.ErrRoot},
		"a CA and no ctlogs":        {trust.Options{CACert: st.s.CACert()}, trust.ErrRoot},
		"no logs where one is":      {trust.Options{Root: without("tlogs"), Log: &trust.LogRule{}}, trust.ErrRoot},
		"no TSA where one is":       {trust.Options{Root: without("timestampAuthorities"), Timestamp: &trust.TimestampRule{}}, trust.ErrRoot},
		"neither logs nor TSA":      {trust.Options{Root: without("tlogs,timestampAuthorities")}, trust.ErrRoot},
		"keys and a log of no root": {trust.Options{Keys: keys, Log: &trust.LogRule{}}, trust.ErrRoot},
		"keys and a TSA of no root": {trust.Options{Keys: keys, Timestamp: &trust.TimestampRule{}}, trust.ErrRoot},
	} {
		_, err := trust.NewVerifier(c.o)
		require.ErrorIs(t, err, c.want, name)
	}
}

// TestExtensions: all that Fulcio writes, and the newest of it, which
// sigstore-go does not know.
func TestExtensions(t *testing.T) {
	st := newStand(t)
	want := map[string]string{
		"issuer": verifytest.Issuer, "githubWorkflowTrigger": "push", "githubWorkflowRef": "refs/heads/main",
		"sourceRepositoryURI": "https://github.com/acme/app", "runnerEnvironment": "github-hosted",
		"deploymentEnvironment": "production", "tokenSubject": "repo:acme/app:ref:refs/heads/main",
	}
	v, err := st.verify(trust.Options{Root: st.root}, verifytest.BundleOptions{Extensions: []pkix.Extension{
		fulcio(1, []byte(verifytest.Issuer)), fulcio(2, []byte("push")), fulcio(6, []byte(want["githubWorkflowRef"])),
		fulcio(12, der(t, want["sourceRepositoryURI"])), fulcio(11, der(t, want["runnerEnvironment"])),
		fulcio(23, der(t, want["deploymentEnvironment"])), fulcio(24, der(t, want["tokenSubject"])), fulcio(99, der(t, "unknown")),
	}})
	require.NoError(t, err)
	require.Equal(t, want, v.Signer.Extensions)
	require.Regexp(t, "^[0-9a-f]+$", v.Signer.Serial)
	require.Equal(t, []string{verifytest.FulcioURL}, v.Signer.Authorities)
}

func TestDescribeUnverified(t *testing.T) {
	st := newStand(t)
	c, err := trust.DescribeUnverified(st.s.Bundle(t, st.payload, verifytest.BundleOptions{Key: st.key}))
	require.NoError(t, err)
	require.True(t, c.Keyed)
	require.Equal(t, keysOf(t, "", st.key)[0].ID(), c.Signer.Key)
	require.Equal(t, st.payload, c.Payload)
	require.Zero(t, c.IssuedAt)

	c, err = trust.DescribeUnverified(st.s.Bundle(t, st.payload, verifytest.BundleOptions{Message: true}))
	require.NoError(t, err)
	require.False(t, c.Keyed)
	require.Equal(t, verifytest.Subject, c.Signer.Subject)
	require.Nil(t, c.Payload)
	require.NotEmpty(t, c.Digest)
}
