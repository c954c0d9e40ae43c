// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

func isAny(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
}

func fulcio(n int, value []byte) pkix.Extension {
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}, Value: value}
}

func der(t testing.TB, s string) []byte {
	t.Helper()
	out, err := asn1.MarshalWithParams(s, "utf8")
	require.NoError(t, err)
	return out
}

// attack is a good bundle with one property spoilt.
type attack struct {
	o    trust.Options
	opts verifytest.BundleOptions
	want error
}

func (st *stand) refuse(attacks map[string]attack) {
	for name, a := range attacks {
		st.t.Run(name, func(t *testing.T) {
			_, err := st.verify(a.o, a.opts)
			require.ErrorIs(t, err, a.want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// TestCertificateAttacks: the envelope and who signed it.
func TestCertificateAttacks(t *testing.T) {
	st := newStand(t)
	other := verifytest.NewSigstore(t)
	now := time.Now()
	root := trust.Options{Root: st.root}
	st.refuse(map[string]attack{
		"two signatures":    {root, verifytest.BundleOptions{SecondSignature: true}, trust.ErrEnvelope},
		"payload type":      {root, verifytest.BundleOptions{PayloadType: "application/vnd.dev.cosign.simplesigning.v1+json"}, trust.ErrEnvelope},
		"payload swapped":   {trust.Options{Root: st.root, Timestamp: &trust.TimestampRule{}}, verifytest.BundleOptions{SwapPayload: []byte(`{}`)}, trust.ErrSignature},
		"signed with a key": {root, verifytest.BundleOptions{Key: st.key}, trust.ErrKeyed},
		"media type":        {root, verifytest.BundleOptions{MediaType: "application/vnd.dev.sigstore.bundle.v0.4+json"}, trust.ErrBundle},

		"no SCT":             {root, verifytest.BundleOptions{NoSCT: true}, trust.ErrSCT},
		"SCT of another log": {root, verifytest.BundleOptions{SCTBy: other}, trust.ErrSCT},

		"expired when signed":       {root, verifytest.BundleOptions{CertificateFrom: now.Add(-30 * time.Minute)}, trust.ErrCertificate},
		"not yet valid when signed": {root, verifytest.BundleOptions{CertificateFrom: now.Add(3 * time.Minute)}, trust.ErrCertificate},
		"expired when logged":       {root, verifytest.BundleOptions{Log: verifytest.DSSE, NoTimestamp: true, CertificateFrom: now.Add(-30 * time.Minute)}, trust.ErrCertificate},
		"one of two times is too late": {root, verifytest.BundleOptions{
			Log: verifytest.DSSE, LoggedAt: now, SignedAt: now.Add(-30 * time.Minute), CertificateFrom: now.Add(-time.Minute)}, trust.ErrCertificate},
		"another authority":          {trust.Options{Root: st.rootOf(other, verifytest.RootOptions{}), Log: &trust.LogRule{Root: st.root}, Timestamp: &trust.TimestampRule{Root: st.root}}, verifytest.BundleOptions{}, trust.ErrCertificate},
		"unknown critical extension": {root, verifytest.BundleOptions{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 9999}, Critical: true, Value: []byte{5, 0}}}}, trust.ErrCertificate},
		"two issuers":                {root, verifytest.BundleOptions{Extensions: []pkix.Extension{fulcio(1, []byte("https://evil.example"))}}, trust.ErrCertificate},
		"extension with a tail":      {root, verifytest.BundleOptions{Extensions: []pkix.Extension{fulcio(12, append(der(t, "https://x"), 0))}}, trust.ErrCertificate},
		"extension is no UTF-8":      {root, verifytest.BundleOptions{Extensions: []pkix.Extension{fulcio(5, []byte{0xff})}}, trust.ErrCertificate},
		"certified RSA 1024":         {root, verifytest.BundleOptions{CertificateKey: verifytest.NewKey(t, "rsa1024"), NoLogEntry: true}, trust.ErrCertificate},
		"certified P-224":            {root, verifytest.BundleOptions{CertificateKey: verifytest.NewKey(t, "p224"), NoLogEntry: true}, trust.ErrCertificate},
	})
}

// TestWitnessAttacks: what logs and timestamp authorities say.
func TestWitnessAttacks(t *testing.T) {
	st := newStand(t)
	other := verifytest.NewSigstore(t)
	now := time.Now()
	root := trust.Options{Root: st.root}
	v1 := trust.Options{Root: st.root, Log: &trust.LogRule{URL: verifytest.Rekor1URL}}
	st.refuse(map[string]attack{
		"entry of another artifact":                {root, verifytest.BundleOptions{LogOf: []byte(`{}`)}, trust.ErrLogEntry},
		"entry of another log":                     {root, verifytest.BundleOptions{LogBy: other}, trust.ErrLogEntry},
		"checkpoint of another log":                {root, verifytest.BundleOptions{CheckpointBy: other}, trust.ErrLogEntry},
		"Rekor v2 without time":                    {root, verifytest.BundleOptions{NoTimestamp: true}, trust.ErrTimestamp},
		"Rekor v2 without proof":                   {root, verifytest.BundleOptions{MediaType: "application/vnd.dev.sigstore.bundle.v0.1+json"}, trust.ErrLogEntry},
		"Rekor v1: entry of another artifact":      {v1, verifytest.BundleOptions{Log: verifytest.DSSE, LogOf: []byte(`{}`)}, trust.ErrLogEntry},
		"Rekor v1: checkpoint of another log":      {v1, verifytest.BundleOptions{Log: verifytest.DSSE, CheckpointBy: other}, trust.ErrLogEntry},
		"Rekor v1: time not signed":                {v1, verifytest.BundleOptions{Log: verifytest.DSSE, NoPromise: true, NoTimestamp: true}, trust.ErrTimestamp},
		"Rekor v1: time changed":                   {v1, verifytest.BundleOptions{Log: verifytest.DSSE, ShiftTime: -time.Second, NoTimestamp: true}, trust.ErrLogEntry},
		"Rekor v1: time changed, with a timestamp": {v1, verifytest.BundleOptions{Log: verifytest.DSSE, ShiftTime: time.Second}, trust.ErrLogEntry},
		"Rekor v1: no proof in version 0.3":        {v1, verifytest.BundleOptions{Log: verifytest.DSSE, NoProof: true}, trust.ErrLogEntry},
		"Rekor v1: no promise in version 0.1": {v1, verifytest.BundleOptions{Log: verifytest.DSSE, NoPromise: true,
			MediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1"}, trust.ErrLogEntry},
		"Rekor v1: neither proof nor promise":            {v1, verifytest.BundleOptions{Log: verifytest.DSSE, NoPromise: true, NoProof: true}, trust.ErrLogEntry},
		"Rekor v1: hash of the message, for an envelope": {v1, verifytest.BundleOptions{Log: verifytest.HashedRekord}, trust.ErrLogEntry},
		"the same entry twice":                           {v1, verifytest.BundleOptions{Log: verifytest.DSSE, AlsoLog: verifytest.DSSE}, trust.ErrLogEntry},
		"one good entry and one of another artifact": {root, verifytest.BundleOptions{AlsoLog: verifytest.DSSE, EntryBody: func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"payloadHash":{"algorithm":"sha256","value":"`), []byte(`"payloadHash":{"algorithm":"sha256","value":"00`), 1)
		}}, trust.ErrLogEntry},

		"timestamp by an unknown authority": {root, verifytest.BundleOptions{TimestampBy: other}, trust.ErrTimestamp},
		"timestamp before the authority":    {root, verifytest.BundleOptions{SignedAt: now.Add(-2 * time.Hour)}, trust.ErrTimestamp},
		"signed in the future":              {root, verifytest.BundleOptions{SignedAt: now.Add(10 * time.Minute)}, trust.ErrClock},
		"logged in the future":              {v1, verifytest.BundleOptions{Log: verifytest.DSSE, NoTimestamp: true, LoggedAt: now.Add(10 * time.Minute), CertificateFrom: now}, trust.ErrClock},
	})
}

// TestIntoto001Attacks: an entry of the oldest kind must be of this envelope and
// this signer, though it has neither.
func TestIntoto001Attacks(t *testing.T) {
	st := newStand(t)
	other := verifytest.NewSigstore(t)
	replaced := func(old, with string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
	}
	o := trust.Options{Root: st.root, Log: &trust.LogRule{URL: verifytest.Rekor1URL}}
	for name, opts := range map[string]verifytest.BundleOptions{
		"another payload":   {LogOf: []byte(`{}`)},
		"another signature": {LogOf: st.payload},
		"time changed":      {ShiftTime: time.Second},
		"checkpoint":        {CheckpointBy: other},
		"another log":       {LogBy: other},
		"another kind":      {EntryBody: replaced(`"kind":"intoto"`, `"kind":"dsse"`)},
		"a key twice":       {EntryBody: replaced(`"spec":{`, `"spec":{"publicKey":"AA==",`)},
		"an unknown member": {EntryBody: replaced(`"spec":{`, `"spec":{"more":1,`)},
		"SHA-1":             {EntryBody: replaced(`"hash":{"algorithm":"sha256"`, `"hash":{"algorithm":"sha1"`)},
		"another signer": {EntryBody: func(b []byte) []byte {
			var body map[string]any
			require.NoError(t, json.Unmarshal(b, &body))
			body["spec"].(map[string]any)["publicKey"] = base64.StdEncoding.EncodeToString(verifytest.PublicPEM(t, st.key))
			out, err := json.Marshal(body)
			require.NoError(t, err)
			return out
		}},
		"of a message": {Message: true},
	} {
		t.Run(name, func(t *testing.T) {
			opts.Log = verifytest.Intoto001
			_, err := st.verify(o, opts)
			require.ErrorIs(t, err, trust.ErrLogEntry)
		})
	}
}

// TestIntoto001AsFound: the log may have the hash of an envelope that is written
// in another way, if that is how it was found.
func TestIntoto001AsFound(t *testing.T) {
	st := newStand(t)
	o := trust.Options{Root: st.root}
	var found []byte
	opts := verifytest.BundleOptions{Log: verifytest.Intoto001, EntryBody: func(b []byte) []byte {
		var body map[string]any
		require.NoError(t, json.Unmarshal(b, &body))
		hash := body["spec"].(map[string]any)["content"].(map[string]any)["hash"].(map[string]any)
		hash["value"] = digest.FromBytes(found).Encoded()
		out, err := json.Marshal(body)
		require.NoError(t, err)
		return out
	}}
	// Ed25519 signs the same twice, so that the envelope is known beforehand.
	opts.Key = verifytest.NewKey(t, "ed25519")
	o.Keys, o.Log = keysOf(t, "", opts.Key), &trust.LogRule{}
	envelope := func() []byte {
		var b struct {
			DSSE struct {
				Payload, PayloadType string
				Signatures           []struct{ Sig string }
			} `json:"dsseEnvelope"`
		}
		require.NoError(t, json.Unmarshal(st.s.Bundle(t, st.payload, opts), &b))
		out, err := json.MarshalIndent(map[string]any{
			"payload": b.DSSE.Payload, "payloadType": b.DSSE.PayloadType,
			"signatures": []any{map[string]any{"keyid": "", "sig": b.DSSE.Signatures[0].Sig}},
		}, "", "  ")
		require.NoError(t, err)
		return out
	}
	found = envelope()
	verify := func(payload []byte) error {
		_, err := verifier(t, o).Verify(trust.Input{Bundle: st.s.Bundle(t, st.payload, opts), Payload: payload}, time.Now())
		return err
	}
	require.NoError(t, verify(found))
	require.ErrorIs(t, verify(nil), trust.ErrLogEntry)
	require.ErrorIs(t, verify(append(found, '\n')), trust.ErrLogEntry)
	// What was found has that hash, and is another envelope.
	found = []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"keyid":"","sig":"AA=="}]}`)
	require.ErrorIs(t, verify(found), trust.ErrLogEntry)
}

// TestKeyedAttacks: bundles under keys.
func TestKeyedAttacks(t *testing.T) {
	st := newStand(t)
	old, stranger := verifytest.NewKey(t, "p384"), verifytest.NewKey(t, "p256")
	other := verifytest.NewSigstore(t)
	keyed := trust.Options{Keys: keysOf(t, "", old, st.key)}
	logged := trust.Options{Keys: keyed.Keys, Log: &trust.LogRule{Root: st.root}}
	for _, key := range []crypto.Signer{old, st.key} {
		_, err := st.verify(keyed, verifytest.BundleOptions{Key: key, Log: verifytest.DSSE})
		require.NoError(t, err, "either of the keys")
	}
	st.refuse(map[string]attack{
		"signed with a certificate":  {keyed, verifytest.BundleOptions{}, trust.ErrKeyless},
		"another key":                {keyed, verifytest.BundleOptions{Key: stranger}, trust.ErrSignature},
		"a key that was withdrawn":   {trust.Options{Keys: keysOf(t, "", st.key)}, verifytest.BundleOptions{Key: old, NoLogEntry: true}, trust.ErrSignature},
		"another hash":               {trust.Options{Keys: keysOf(t, "sha384", st.key)}, verifytest.BundleOptions{Key: st.key}, trust.ErrSignature},
		"payload swapped":            {keyed, verifytest.BundleOptions{Key: st.key, SwapPayload: []byte(`{}`)}, trust.ErrSignature},
		"two signatures":             {keyed, verifytest.BundleOptions{Key: st.key, SecondSignature: true}, trust.ErrEnvelope},
		"payload type":               {keyed, verifytest.BundleOptions{Key: st.key, PayloadType: "text/plain"}, trust.ErrEnvelope},
		"message: hashed with SHA-1": {keyed, verifytest.BundleOptions{Key: st.key, Message: true, Hash: crypto.SHA1, NoLogEntry: true}, trust.ErrBundle},
		"message: lying digest":      {keyed, verifytest.BundleOptions{Key: st.key, Message: true, MessageDigest: make([]byte, 32)}, trust.ErrMessage},
		"entry of another artifact":  {logged, verifytest.BundleOptions{Key: st.key, Log: verifytest.DSSE, LogOf: []byte(`{}`)}, trust.ErrLogEntry},
		"message: entry of another":  {logged, verifytest.BundleOptions{Key: st.key, Message: true, Log: verifytest.HashedRekord, LogOf: []byte(`{}`)}, trust.ErrLogEntry},
		"Rekor v2 without time":      {logged, verifytest.BundleOptions{Key: st.key, NoTimestamp: true}, trust.ErrTimestamp},
		"Rekor v2 entry of another":  {logged, verifytest.BundleOptions{Key: st.key, LogOf: []byte(`{}`)}, trust.ErrLogEntry},
		"timestamp by another": {trust.Options{Keys: keyed.Keys, Timestamp: &trust.TimestampRule{Root: st.root}},
			verifytest.BundleOptions{Key: st.key, TimestampBy: other}, trust.ErrTimestamp},
		"timestamp before the authority": {trust.Options{Keys: keyed.Keys, Timestamp: &trust.TimestampRule{Root: st.root}},
			verifytest.BundleOptions{Key: st.key, SignedAt: time.Now().Add(-2 * time.Hour)}, trust.ErrTimestamp},
		"signed in the future": {trust.Options{Keys: keyed.Keys, Root: st.root},
			verifytest.BundleOptions{Key: st.key, SignedAt: time.Now().Add(10 * time.Minute)}, trust.ErrClock},
	})
	// An entry in a log that nobody asked for, however broken, says nothing.
	v, err := st.verify(keyed, verifytest.BundleOptions{Key: st.key, Log: verifytest.DSSE, LogBy: other, ShiftTime: time.Hour, TimestampBy: other})
	require.NoError(t, err)
	require.Zero(t, v.SignedAt)
	require.False(t, v.Logged)
	// A timestamp that nobody asked for says when, if its authority is trusted.
	v, err = st.verify(trust.Options{Keys: keyed.Keys, Root: st.root}, verifytest.BundleOptions{Key: st.key})
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), v.SignedAt, time.Minute)
}

// TestOtherKeyIsNamed: by what the bundle says, as far as it says something.
func TestOtherKeyIsNamed(t *testing.T) {
	st := newStand(t)
	var keys []crypto.Signer
	for range 5 {
		keys = append(keys, verifytest.NewKey(t, "p256"))
	}
	trusted := keysOf(t, "", keys[1:]...)
	wanted := fmt.Sprintf("wanted %s, %s, %s, or one of 1 more", trusted[0].ID(), trusted[1].ID(), trusted[2].ID())
	signed := st.s.Bundle(t, st.payload, verifytest.BundleOptions{Key: keys[0], NoLogEntry: true, NoTimestamp: true})
	_, after, _ := strings.Cut(string(signed), `"hint":"`)
	hint, _, _ := strings.Cut(after, `"`)
	for instead, says := range map[string]string{
		hint:                  "signed by key " + keysOf(t, "", keys[0])[0].ID().String() + ", as the bundle says; " + wanted,
		"":                    "none of the trusted keys made it; " + wanted,
		"release key of 2024": `none of the trusted keys made it (the bundle hints at "release key of 2024"); ` + wanted,
		"AAAA":                `(the bundle hints at "AAAA")`,
	} {
		bundle := strings.Replace(string(signed), `"hint":"`+hint, `"hint":"`+instead, 1)
		_, err := verifier(t, trust.Options{Keys: trusted}).Verify(trust.Input{Bundle: []byte(bundle)}, time.Now())
		require.ErrorIs(t, err, trust.ErrSignature)
		require.ErrorContains(t, err, says)
	}
}

// TestMessageOverDigest: a signature over a bare digest is over one of those
// that the caller has.
func TestMessageOverDigest(t *testing.T) {
	st := newStand(t)
	for _, key := range []string{"p256", "p384", "rsa2048", "ed25519"} {
		signer := verifytest.NewKey(t, key)
		bundle := st.s.Bundle(t, st.payload, verifytest.BundleOptions{Key: signer, Message: true, Prehash: true, NoLogEntry: true})
		v := verifier(t, trust.Options{Keys: keysOf(t, "", signer)})
		digests := []digest.Digest{digest.FromString("x"), digest.SHA256.FromBytes(st.payload), digest.SHA384.FromBytes(st.payload), digest.SHA512.FromBytes(st.payload)}
		got, err := v.Verify(trust.Input{Bundle: bundle, Digests: digests}, time.Now())
		require.NoError(t, err, key)
		require.Nil(t, got.Payload)
		require.Contains(t, digests[1:], got.Digest)
		for name, in := range map[string]trust.Input{
			"nothing":         {Bundle: bundle},
			"others":          {Bundle: bundle, Digests: digests[:1]},
			"another payload": {Bundle: bundle, Payload: []byte("x"), Digests: digests},
			"empty payload":   {Bundle: bundle, Payload: []byte{}, Digests: digests},
		} {
			_, err := v.Verify(in, time.Now())
			require.ErrorIs(t, err, trust.ErrMessage, name)
		}
	}
	// Without a digest there has to be the message.
	ed := verifytest.NewKey(t, "ed25519")
	in := trust.Input{
		Bundle:  st.s.Bundle(t, st.payload, verifytest.BundleOptions{Key: ed, Message: true, NoMessageDigest: true, NoLogEntry: true}),
		Digests: []digest.Digest{digest.FromBytes(st.payload), "sha256:"},
	}
	v := verifier(t, trust.Options{Keys: keysOf(t, "", ed)})
	_, err := v.Verify(in, time.Now())
	require.ErrorIs(t, err, trust.ErrMessage)
	in.Payload = st.payload
	_, err = v.Verify(in, time.Now())
	require.NoError(t, err)
	in.Payload = []byte("x")
	_, err = v.Verify(in, time.Now())
	require.ErrorIs(t, err, trust.ErrSignature)

	// The digest is that of the caller's, and the signature of another message.
	dgst := digest.FromString("wanted")
	bundle := st.s.Bundle(t, st.payload, verifytest.BundleOptions{Key: st.key, Message: true, MessageDigest: mustHex(t, dgst.Encoded()), NoLogEntry: true})
	_, err = verifier(t, trust.Options{Keys: keysOf(t, "", st.key)}).Verify(trust.Input{Bundle: bundle, Digests: []digest.Digest{dgst}}, time.Now())
	require.ErrorIs(t, err, trust.ErrSignature)
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	out, err := hex.DecodeString(s)
	require.NoError(t, err)
	return out
}
