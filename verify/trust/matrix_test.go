// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"bytes"
	"crypto"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// stand is a Sigstore, its root, and a key that somebody else holds.
type stand struct {
	t       *testing.T
	s       *verifytest.Sigstore
	root    *trust.Root
	key     crypto.Signer
	payload []byte
}

func newStand(t *testing.T) *stand {
	t.Helper()
	st := &stand{t: t, s: verifytest.NewSigstore(t), key: verifytest.NewKey(t, "p256")}
	st.root = st.rootOf(st.s, verifytest.RootOptions{})
	st.payload = verifytest.Statement(t, []provenance.Subject{{Name: "image-id"}})
	return st
}

func (st *stand) rootOf(s *verifytest.Sigstore, opts verifytest.RootOptions) *trust.Root {
	st.t.Helper()
	root, err := trust.Decode(s.TrustedRoot(st.t, opts))
	require.NoError(st.t, err)
	return root
}

func keysOf(t testing.TB, hash string, keys ...crypto.Signer) []trust.Key {
	t.Helper()
	var text []byte
	for _, k := range keys {
		text = append(text, verifytest.PublicPEM(t, k)...)
	}
	out, err := trust.ParseKeys(text, hash)
	require.NoError(t, err)
	return out
}

func verifier(t testing.TB, o trust.Options) *trust.Verifier {
	t.Helper()
	v, err := trust.NewVerifier(o)
	require.NoError(t, err)
	return v
}

// verify verifies a bundle over the stand's payload, as bundle opts say.
func (st *stand) verify(o trust.Options, opts verifytest.BundleOptions) (*trust.Verified, error) {
	st.t.Helper()
	in := trust.Input{Bundle: st.s.Bundle(st.t, st.payload, opts)}
	if opts.Message {
		in.Payload = st.payload
	}
	return verifier(st.t, o).Verify(in, time.Now())
}

// TestMatrix: keyed and keyless, as envelope and as message signature, with
// each kind of proof, under a trust that asks for it and under the others.
func TestMatrix(t *testing.T) {
	st := newStand(t)
	proofs := map[string]verifytest.BundleOptions{
		"log v2 and timestamp": {},
		"log v1":               {Log: "v1", NoTimestamp: true},
		"log v1 and timestamp": {Log: "v1"},
		"log v1, proof only":   {Log: "v1", NoPromise: true},
		"timestamp only":       {NoLogEntry: true},
		"neither":              {NoLogEntry: true, NoTimestamp: true},
	}
	private := st.rootOf(st.s, verifytest.RootOptions{Without: "tlogs,ctlogs"})
	noTSA := st.rootOf(st.s, verifytest.RootOptions{Without: "timestampAuthorities"})
	keys := keysOf(t, "", st.key)
	type row struct {
		options trust.Options
		passes  []string
	}
	all := []string{"log v2 and timestamp", "log v1", "log v1 and timestamp", "log v1, proof only", "timestamp only", "neither"}
	withLog, withTimestamp := all[:4], []string{all[0], all[2], all[3], all[4]}
	both := []string{all[0], all[2], all[3]}
	keyless := map[string]row{
		"as the root has it":      {trust.Options{Root: st.root}, withLog},
		"log":                     {trust.Options{Root: st.root, Log: &trust.LogRule{}}, withLog},
		"timestamp":               {trust.Options{Root: st.root, Timestamp: &trust.TimestampRule{}}, withTimestamp},
		"both":                    {trust.Options{Root: st.root, Log: &trust.LogRule{}, Timestamp: &trust.TimestampRule{}}, both},
		"root without logs":       {trust.Options{Root: private, IgnoreSCT: true}, withTimestamp},
		"root without timestamps": {trust.Options{Root: noTSA}, []string{all[1], all[2]}},
	}
	keyed := map[string]row{
		"no root":   {trust.Options{Keys: keys}, all},
		"root":      {trust.Options{Keys: keys, Root: st.root}, all},
		"log":       {trust.Options{Keys: keys, Root: st.root, Log: &trust.LogRule{}}, withLog},
		"timestamp": {trust.Options{Keys: keys, Timestamp: &trust.TimestampRule{Root: st.root}}, withTimestamp},
		"both":      {trust.Options{Keys: keys, Log: &trust.LogRule{Root: st.root}, Timestamp: &trust.TimestampRule{Root: st.root}}, both},
	}
	for _, message := range []bool{false, true} {
		for signer, rows := range map[string]map[string]row{"keyless": keyless, "keyed": keyed} {
			for name, r := range rows {
				for proof, opts := range proofs {
					title := signer + "/" + name + "/" + proof
					if opts.Message = message; message {
						title += "/message"
					}
					if signer == "keyed" {
						opts.Key = st.key
					}
					if opts.Log == "v1" {
						opts.Log = map[bool]string{true: verifytest.HashedRekord, false: verifytest.DSSE}[message]
					}
					t.Run(title, func(t *testing.T) { st.cell(t, r.options, opts, slices.Contains(r.passes, proof)) })
				}
			}
		}
	}
}

func (st *stand) cell(t *testing.T, o trust.Options, opts verifytest.BundleOptions, passes bool) {
	v, err := st.verify(o, opts)
	if !passes {
		require.Error(t, err)
		require.True(t, isAny(err, trust.ErrLogEntry, trust.ErrTimestamp), "%v", err)
		return
	}
	require.NoError(t, err)
	require.Equal(t, st.payload, v.Payload)
	wantType, wantDigest := provenance.PayloadType, digest.Digest("")
	if opts.Message {
		wantType, wantDigest = "", digest.FromBytes(st.payload)
	}
	require.Equal(t, wantType, v.PayloadType)
	require.Equal(t, wantDigest, v.Digest)
	if opts.Key != nil {
		require.Equal(t, keysOf(t, "", st.key)[0].ID(), v.Signer.Key)
		require.Empty(t, v.Signer.Issuer)
	} else {
		require.Equal(t, verifytest.Subject, v.Signer.Subject)
		require.False(t, v.SignedAt.IsZero())
	}
	if opts.Key != nil && o.Root == nil && o.Log == nil && o.Timestamp == nil {
		require.Zero(t, v.SignedAt)
		require.False(t, v.Logged)
	}
	if o.Log != nil {
		require.True(t, v.Logged)
	}
}

// TestKindsOfEntry: every kind of entry that Rekor v1 has made for what we
// read, with a promise, with a proof, and with both.
func TestKindsOfEntry(t *testing.T) {
	st := newStand(t)
	v01 := "application/vnd.dev.sigstore.bundle+json;version=0.1"
	for kind, message := range map[string]bool{
		verifytest.HashedRekord: true, verifytest.DSSE: false, verifytest.Intoto001: false, verifytest.Intoto002: false,
	} {
		for name, opts := range map[string]verifytest.BundleOptions{
			"promise": {MediaType: v01, NoProof: true, NoTimestamp: true},
			"proof":   {NoPromise: true},
			"both":    {NoTimestamp: true},
		} {
			for _, key := range []crypto.Signer{nil, st.key} {
				opts.Log, opts.Message, opts.Key = kind, message, key
				o := trust.Options{Root: st.root, Log: &trust.LogRule{URL: verifytest.Rekor1URL + "/"}}
				if key != nil {
					o.Keys = keysOf(t, "", key)
				}
				v, err := st.verify(o, opts)
				require.NoError(t, err, "%s %s %v", kind, name, key != nil)
				require.True(t, v.Logged)
			}
		}
	}
}

// TestForms: the forms of signature that bundles have.
func TestForms(t *testing.T) {
	st := newStand(t)
	for name, c := range map[string]struct {
		key  string
		hash string
		opts verifytest.BundleOptions
	}{
		"P-256":              {"p256", "", verifytest.BundleOptions{}},
		"P-384":              {"p384", "", verifytest.BundleOptions{}},
		"P-384 with SHA-256": {"p384", "sha256", verifytest.BundleOptions{Hash: crypto.SHA256}},
		"P-384 of old":       {"p384", "", verifytest.BundleOptions{Hash: crypto.SHA256}},
		"P-521":              {"p521", "", verifytest.BundleOptions{}},
		"P-256 with SHA-512": {"p256", "sha512", verifytest.BundleOptions{Hash: crypto.SHA512}},
		"Ed25519":            {"ed25519", "sha256", verifytest.BundleOptions{}},
		"Ed25519ph":          {"ed25519", "", verifytest.BundleOptions{Prehash: true}},
		"RSA":                {"rsa2048", "", verifytest.BundleOptions{}},
		"RSA with SHA-384":   {"rsa2048", "sha384", verifytest.BundleOptions{Hash: crypto.SHA384}},
		"RSA-PSS":            {"rsa3072", "", verifytest.BundleOptions{PSS: true}},
	} {
		t.Run(name, func(t *testing.T) {
			key := verifytest.NewKey(t, c.key)
			keys := keysOf(t, c.hash, key)
			for _, message := range []bool{false, true} {
				opts := c.opts
				opts.Message, opts.Key, opts.NoLogEntry = message, key, true
				_, err := st.verify(trust.Options{Keys: keys}, opts)
				require.NoError(t, err)
				opts.Key, opts.CertificateKey = nil, key
				_, err = st.verify(trust.Options{Root: st.root, Timestamp: &trust.TimestampRule{}}, opts)
				if name == "P-256 with SHA-512" || name == "RSA with SHA-384" {
					require.ErrorIs(t, err, trust.ErrSignature, "a certificate says nothing of hashes")
					continue
				}
				require.NoError(t, err)
			}
			for _, logged := range []string{"p256", "p384", "p521", "rsa2048"} {
				if opts := c.opts; c.key == logged && opts.Hash == 0 {
					opts.Key = key
					_, err := st.verify(trust.Options{Keys: keys, Log: &trust.LogRule{Root: st.root}}, opts)
					require.NoError(t, err, "in a log of version 2")
				}
			}
		})
	}
}

// TestRootsPerPurpose: certificates of one Sigstore, log and timestamp of
// others. Nothing is taken from a root for another purpose.
func TestRootsPerPurpose(t *testing.T) {
	st := newStand(t)
	logger, stamper := verifytest.NewSigstore(t), verifytest.NewSigstore(t)
	logRoot, stampRoot := st.rootOf(logger, verifytest.RootOptions{}), st.rootOf(stamper, verifytest.RootOptions{})
	spread := verifytest.BundleOptions{LogBy: logger, TimestampBy: stamper}
	good := trust.Options{Root: st.root, Log: &trust.LogRule{Root: logRoot}, Timestamp: &trust.TimestampRule{Root: stampRoot}}
	_, err := st.verify(good, spread)
	require.NoError(t, err)

	for name, c := range map[string]struct {
		o    trust.Options
		opts verifytest.BundleOptions
		want error
	}{
		"log of the CA's root":        {good, verifytest.BundleOptions{TimestampBy: stamper}, trust.ErrLogEntry},
		"timestamp of the CA's root":  {good, verifytest.BundleOptions{LogBy: logger}, trust.ErrTimestamp},
		"timestamp of the log's root": {good, verifytest.BundleOptions{LogBy: logger, TimestampBy: logger}, trust.ErrTimestamp},
		"CA of the log's root": {trust.Options{Root: logRoot, Log: &trust.LogRule{Root: logRoot}, Timestamp: &trust.TimestampRule{Root: stampRoot}},
			spread, trust.ErrCertificate},
		"log at another URL": {trust.Options{Root: st.root, Log: &trust.LogRule{URL: verifytest.Rekor1URL}}, verifytest.BundleOptions{}, trust.ErrLogEntry},
	} {
		_, err := st.verify(c.o, c.opts)
		require.ErrorIs(t, err, c.want, name)
	}
	_, err = trust.NewVerifier(trust.Options{Root: st.root, Log: &trust.LogRule{URL: "https://rekor.sigstore.dev"}})
	require.ErrorIs(t, err, trust.ErrRoot)

	// A key, and the root of a log that brings a timestamp authority.
	_, err = st.verify(trust.Options{Keys: keysOf(t, "", st.key), Log: &trust.LogRule{Root: logRoot}},
		verifytest.BundleOptions{Key: st.key, LogBy: logger, TimestampBy: logger})
	require.NoError(t, err)
}

// TestCACert: a CA of one's own takes the place of the root's, and of them only.
func TestCACert(t *testing.T) {
	st := newStand(t)
	private := verifytest.NewSigstore(t)
	o := trust.Options{Root: st.root, CACert: private.CACert()}
	opts := verifytest.BundleOptions{LogBy: st.s, TimestampBy: st.s, SCTBy: st.s}
	sign := func(opts verifytest.BundleOptions) trust.Input {
		return trust.Input{Bundle: private.Bundle(t, st.payload, opts)}
	}
	v, err := verifier(t, o).Verify(sign(opts), time.Now())
	require.NoError(t, err)
	require.Empty(t, v.Signer.Authorities, "it has no name")

	_, err = st.verify(o, verifytest.BundleOptions{})
	require.ErrorIs(t, err, trust.ErrCertificate, "the root's own authority counts no longer")
	opts.SCTBy = nil
	_, err = verifier(t, o).Verify(sign(opts), time.Now())
	require.ErrorIs(t, err, trust.ErrSCT)
	opts.NoSCT, o.IgnoreSCT = true, true
	_, err = verifier(t, o).Verify(sign(opts), time.Now())
	require.NoError(t, err)

	chain := bytes.SplitAfterN(private.CACert(), []byte("-----END CERTIFICATE-----\n"), 2)
	for name, broken := range map[string][]byte{
		"disorder":  append(slices.Clone(chain[1]), chain[0]...),
		"empty":     {},
		"a key":     verifytest.PublicPEM(t, st.key),
		"not PEM":   []byte("CERTIFICATE"),
		"something": append(private.CACert(), "junk"...),
	} {
		_, err := trust.NewVerifier(trust.Options{Root: st.root, CACert: broken})
		require.ErrorIs(t, err, trust.ErrRoot, name)
	}
}
