// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// bare is a signature by a key that nothing vouches for.
func bare(key crypto.Signer) verifytest.BundleOptions {
	return verifytest.BundleOptions{Key: key, NoLogEntry: true, NoTimestamp: true}
}

// TestOtherKeys: the signature is good, by a key that the policy does not have.
func TestOtherKeys(t *testing.T) {
	for _, kind := range []string{"p256", "p384", "p521", "ed25519", "rsa2048"} {
		t.Run(kind, func(t *testing.T) {
			s := newStand(t)
			mine, other := verifytest.NewKey(t, kind), verifytest.NewKey(t, kind)
			s.policy = s.load(authority(string(verifytest.PublicPEM(t, mine)), ""))
			good := s.attached(bare(mine))
			s.allow(good.Index)
			refuse(t, s.verify(s.attached(bare(other)).Index), decision.Deny, "signature",
				"signed by key "+idOf(t, other)+", as the bundle says; wanted "+idOf(t, mine))
		})
	}
}

// idOf is how plomb names a key.
func idOf(t *testing.T, key crypto.Signer) string {
	t.Helper()
	keys, err := trust.ParseKeys(verifytest.PublicPEM(t, key), "")
	require.NoError(t, err)
	return keys[0].ID().String()
}

// TestKeyHints: a bundle says which key it was, and is not believed.
func TestKeyHints(t *testing.T) {
	s := newStand(t)
	mine, other := verifytest.NewKey(t, "p256"), verifytest.NewKey(t, "p256")
	s.policy = s.load(authority(string(verifytest.PublicPEM(t, mine)), ""))
	img := s.unsignedImage("hints")
	good := s.sigstore.Bundle(t, cosignStatement(t, img.Index), bare(mine))
	forged := s.sigstore.Bundle(t, cosignStatement(t, img.Index), bare(other))
	hint := func(b []byte) []byte {
		_, after, found := bytes.Cut(b, []byte(`"hint":"`))
		require.True(t, found)
		h, _, _ := bytes.Cut(after, []byte(`"`))
		return h
	}
	s.store.AttachBundle(t, img.Index, bytes.Replace(forged, hint(forged), hint(good), 1))
	d := s.verify(img.Index)
	refuse(t, d, decision.Deny, "signature", "key "+idOf(t, mine)+" did not make it, though the bundle says so")
	s.store.AttachBundle(t, img.Index, good)
	s.allow(img.Index)
}

// TestWeakKeys: a key that can be broken is no key, though a policy names it and
// it has signed.
func TestWeakKeys(t *testing.T) {
	s := newStand(t)
	for kind, accepted := range map[string]bool{"p224": false, "rsa1024": false, "rsa2048": true, "p256": true} {
		key := verifytest.NewKey(t, kind)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(authority(string(verifytest.PublicPEM(t, key)), "")), 0o600))
		set, err := policy.Load(dir)
		if err != nil {
			require.False(t, accepted, kind)
			require.ErrorIs(t, err, policy.ErrInvalid, kind)
			continue
		}
		s.policy = set
		img := s.attached(bare(key))
		if accepted {
			s.allow(img.Index)
			continue
		}
		refuse(t, s.verify(img.Index), decision.Undecided, "key", "")
	}
}

// TestWeakHashes: the key is welcome, the hash that it signed over is not.
func TestWeakHashes(t *testing.T) {
	s := newStand(t)
	key := verifytest.NewKey(t, "rsa2048")
	s.policy = s.load(authority(string(verifytest.PublicPEM(t, key)), ""))
	good := bare(key)
	s.allow(s.attached(good).Index)
	for name, change := range map[string]func(*verifytest.BundleOptions){
		"SHA-1":        func(o *verifytest.BundleOptions) { o.Hash = crypto.SHA1 },
		"another hash": func(o *verifytest.BundleOptions) { o.Hash = crypto.SHA512 },
	} {
		opts := good
		change(&opts)
		d := s.verify(s.attached(opts).Index)
		require.Equal(t, decision.Deny, d.Verdict, "%s: %s", name, d.Line())
	}
}

// TestKeysAndCertificates: a bare key does not stand for a certificate of the
// same key, nor a certificate for the key.
func TestKeysAndCertificates(t *testing.T) {
	s := newStand(t)
	key := verifytest.NewKey(t, "p256")
	keyed := authority(string(verifytest.PublicPEM(t, key)), "")
	withKey := s.attached(bare(key))
	withCertificate := s.attached(verifytest.BundleOptions{CertificateKey: key})

	s.policy = s.load(keyed)
	s.allow(withKey.Index)
	refuse(t, s.verify(withCertificate.Index), decision.Deny, "keyless", "")
	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject))
	s.allow(withCertificate.Index)
	refuse(t, s.verify(withKey.Index), decision.Deny, "keyed", "")
	refuse(t, s.verify(s.attached(verifytest.BundleOptions{Key: key}).Index), decision.Deny, "keyed", "")
}

// TestKeyOfAnotherAuthority: a key is welcome for one policy and not for the
// next, and what one authority demands of it another does not waive.
func TestKeyOfAnotherAuthority(t *testing.T) {
	s := newStand(t)
	first, second := verifytest.NewKey(t, "p256"), verifytest.NewKey(t, "p256")
	one := authority(string(verifytest.PublicPEM(t, first)), "")
	two := strings.Replace(authority(string(verifytest.PublicPEM(t, second)), ""), "name: keyed", "name: second", 1)
	s.policy = s.load(one, two)
	img := s.attached(bare(first))
	refuse(t, s.verify(img.Index), decision.Deny, "signature", "policy second")
	s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, cosignStatement(t, img.Index), bare(second)))
	s.allow(img.Index)

	// The first key wants a log, the second a timestamp.
	s.policy = s.load(authority(string(verifytest.PublicPEM(t, first)), ctlog) + strings.SplitAfter(authority(string(verifytest.PublicPEM(t, second)), tsa), "authorities:\n")[1])
	s.allow(s.attached(verifytest.BundleOptions{Key: first}).Index)
	s.allow(s.attached(verifytest.BundleOptions{Key: second, NoLogEntry: true}).Index)
	refuse(t, s.verify(s.attached(verifytest.BundleOptions{Key: first, NoLogEntry: true}).Index), decision.Deny, "signature", "")
	require.Equal(t, decision.Deny, s.verify(s.attached(bare(second)).Index).Verdict)
}

// TestLogOfAnotherKey: a key's signature is in the log, with the entry of
// another key's signature on the same image.
func TestLogOfAnotherKey(t *testing.T) {
	s := newStand(t)
	key, other := verifytest.NewKey(t, "p256"), verifytest.NewKey(t, "p256")
	s.policy = s.load(authority(string(verifytest.PublicPEM(t, key)), ctlog))
	img := s.unsignedImage("log of another key")
	payload := cosignStatement(t, img.Index)
	good := s.sigstore.Bundle(t, payload, verifytest.BundleOptions{Key: key})
	unlogged := s.sigstore.Bundle(t, payload, verifytest.BundleOptions{Key: key, NoLogEntry: true})
	foreign := s.sigstore.Bundle(t, payload, verifytest.BundleOptions{Key: other})
	_, entries, found := bytes.Cut(foreign, []byte(`"tlogEntries":`))
	require.True(t, found)
	depth, end := 0, 0
	for i, c := range entries {
		if c == '[' {
			depth++
		} else if c == ']' {
			if depth--; depth == 0 {
				end = i + 1
				break
			}
		}
	}
	mixed := bytes.Replace(unlogged, []byte(`"verificationMaterial":{`), append([]byte(`"verificationMaterial":{"tlogEntries":`), append(bytes.Clone(entries[:end]), ',')...), 1)
	s.store.AttachBundle(t, img.Index, mixed)
	refuse(t, s.verify(img.Index), decision.Deny, "log-entry", "")
	s.store.AttachBundle(t, img.Index, good)
	s.allow(img.Index)
}

// TestDeniedKeysAndTimes: a key that was stolen is on the deny list, for a time.
// A signature that nobody saw the time of could be of that time.
func TestDeniedKeysAndTimes(t *testing.T) {
	s := newStand(t)
	stolen := time.Now().Add(-30 * time.Minute)
	deny := func(rest string) { s.policy = s.load(imagePolicy("deny", byDefault(""), rest)) }
	window := fmt.Sprintf("  deny:\n    identities:\n    - issuer: %q\n      from: %q\n", verifytest.Issuer, stolen.UTC().Format(time.RFC3339))
	deny(window)
	s.allow(s.attached(verifytest.BundleOptions{SignedAt: stolen.Add(-10 * time.Minute)}).Index)
	refuse(t, s.verify(s.attached(verifytest.BundleOptions{}).Index), decision.Deny, "denied", "")

	key := verifytest.NewKey(t, "p256")
	pem := string(verifytest.PublicPEM(t, key))
	byKey := "key:\n      data: " + block(pem, "        ")
	img := s.attached(bare(key))
	s.policy = s.load(imagePolicy("deny", byKey, ""))
	d := s.allow(img.Index)
	id := d.Manifests[0].Signers[0].Key
	s.policy = s.load(imagePolicy("deny", byKey, fmt.Sprintf("  deny:\n    keys:\n    - key: %q\n      reason: stolen\n", id)))
	refuse(t, s.verify(img.Index), decision.Deny, "denied", "stolen")
	s.policy = s.load(imagePolicy("deny", byKey, fmt.Sprintf("  deny:\n    digests:\n    - digest: %q\n", digest.FromString("other"))))
	s.allow(img.Index)
	for _, dgst := range []digest.Digest{img.Index, img.Manifests[0], img.Configs[0]} {
		s.policy = s.load(imagePolicy("deny", byKey, fmt.Sprintf("  deny:\n    digests:\n    - digest: %q\n", dgst)))
		refuse(t, s.verify(img.Index), decision.Deny, "denied", dgst.String())
	}
}
