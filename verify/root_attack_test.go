// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// installed is a store of trusted roots, with a request that uses it.
func (s *stand) installed(roots map[string][]byte) (trust.Store, func(digest.Digest) *decision.Decision) {
	s.t.Helper()
	store := trust.Store{Dir: s.t.TempDir()}
	for name, root := range roots {
		_, err := store.Install(name, "/media/"+name, root, time.Now())
		require.NoError(s.t, err)
	}
	return store, func(dgst digest.Digest) *decision.Decision {
		req := s.request(dgst)
		req.Trust = verify.Installed{Default: filepath.Join(s.t.TempDir(), "none.json"), Store: store}
		return verify.Verify(context.Background(), req)
	}
}

// TestRootsAreNeverMerged: a machine trusts two Sigstore instances, each by
// itself. A signature that needs a part of each is trusted by neither.
func TestRootsAreNeverMerged(t *testing.T) {
	s := newStand(t)
	other := verifytest.NewSigstore(t)
	_, ask := s.installed(map[string][]byte{"one": s.root, "two": other.TrustedRoot(t, verifytest.RootOptions{})})
	sign := func(by *verifytest.Sigstore, opts verifytest.BundleOptions) digest.Digest {
		img := s.unsignedImage(fmt.Sprint(time.Now().UnixNano()))
		s.store.AttachBundle(t, img.Index, by.Bundle(t, cosignStatement(t, img.Index), opts))
		return img.Index
	}
	for _, by := range []*verifytest.Sigstore{s.sigstore, other} {
		d := ask(sign(by, verifytest.BundleOptions{}))
		require.Equal(t, decision.Allow, d.Verdict, d.Line())
	}
	for name, opts := range map[string]verifytest.BundleOptions{
		"log":               {LogBy: other},
		"timestamp":         {TimestampBy: other},
		"SCT":               {SCTBy: other},
		"log and timestamp": {LogBy: other, TimestampBy: other},
		"all witnesses":     {LogBy: other, TimestampBy: other, SCTBy: other},
	} {
		d := ask(sign(s.sigstore, opts))
		require.Equal(t, decision.Deny, d.Verdict, "%s: %s", name, d.Line())
	}
}

// TestTrustOfAnotherAuthority: a policy believes one root for one authority and
// another for the next. Who is welcome under the one is not under the other.
func TestTrustOfAnotherAuthority(t *testing.T) {
	const second = "https://github.com/plombproject/second"
	s := newStand(t)
	other := verifytest.NewSigstore(t)
	s.policy = s.load(trustRoot(t, "other", other), keyless(verifytest.Issuer, verifytest.Subject)+fmt.Sprintf(`  - name: second
    keyless:
      trustRootRef: other
      identities:
      - issuer: %q
        subject: %q
    ctlog:
      trustRootRef: other
`, verifytest.Issuer, second))
	sign := func(by *verifytest.Sigstore, subject string) *decision.Decision {
		img := s.unsignedImage(fmt.Sprint(time.Now().UnixNano()))
		s.store.AttachBundle(t, img.Index, by.Bundle(t, cosignStatement(t, img.Index), verifytest.BundleOptions{Subject: subject, Log: verifytest.DSSE}))
		return s.verify(img.Index)
	}
	for subject, by := range map[string]*verifytest.Sigstore{verifytest.Subject: s.sigstore, second: other} {
		d := sign(by, subject)
		require.Equal(t, decision.Allow, d.Verdict, d.Line())
	}
	for subject, by := range map[string]*verifytest.Sigstore{verifytest.Subject: other, second: s.sigstore} {
		d := sign(by, subject)
		require.Equal(t, decision.Deny, d.Verdict, d.Line())
	}
}

// TestLogAloneOfAnotherRoot: with a root for the log alone, its certificate
// authority counts for nothing.
func TestLogAloneOfAnotherRoot(t *testing.T) {
	s := newStand(t)
	other := verifytest.NewSigstore(t)
	s.policy = s.load(trustRoot(t, "other", other), keyless(verifytest.Issuer, verifytest.Subject)+"    ctlog:\n      trustRootRef: other\n")
	img := s.attached(verifytest.BundleOptions{LogBy: other, Log: verifytest.DSSE})
	s.allow(img.Index)
	refuse(t, s.verify(s.attached(log1).Index), decision.Deny, "log-entry", "")
	stranger := s.unsignedImage("stranger")
	s.store.AttachBundle(t, stranger.Index, other.Bundle(t, cosignStatement(t, stranger.Index), verifytest.BundleOptions{Log: verifytest.DSSE, TimestampBy: s.sigstore}))
	refuse(t, s.verify(stranger.Index), decision.Deny, "certificate", "")
}

// TestSpoiltTrustRoots: a root that the policy names is missing, broken, or says
// of its keys what they are not. None falls back to another root.
func TestSpoiltTrustRoots(t *testing.T) {
	s := newStand(t)
	img := s.attached(log1)
	named := strings.Replace(keyless(verifytest.Issuer, verifytest.Subject), "keyless:\n", "keyless:\n      trustRootRef: mine\n", 1) +
		"    ctlog:\n      trustRootRef: mine\n"
	good := trustRoot(t, "mine", s.sigstore)
	s.policy = s.load(good, named)
	s.allow(img.Index)
	for name, root := range map[string]string{
		"not base64":     strings.Replace(good, `"certChain":"`, `"certChain":"%%`, 1),
		"no certificate": strings.Replace(good, `"certChain":"`, `"certChain":"bm90aGluZw==","x":"`, 1),
		"no key":         strings.Replace(good, `"publicKey":"`, `"publicKey":"bm90aGluZw==","x":"`, 1),
		"weak hash":      strings.Replace(good, "sha-256", "sha-1", 1),
		"nothing":        strings.Replace(good, `"sigstoreKeys"`, `"keys"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, good, root)
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "root.yaml"), []byte(root), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(named), 0o600))
			set, err := policy.Load(dir)
			if err != nil {
				require.ErrorIs(t, err, policy.ErrInvalid)
				return
			}
			s.policy = set
			refuse(t, s.verify(img.Index), decision.Undecided, "trust-root", "mine")
		})
	}
	t.Run("missing", func(t *testing.T) {
		s.policy = s.load(named)
		refuse(t, s.verify(img.Index), decision.Undecided, "trust-root", "mine")
	})
}

// TestStaleRoots: a root that was not renewed for too long admits nothing. Beside
// one that was, it makes what that one does not admit undecided.
func TestStaleRoots(t *testing.T) {
	s := newStand(t)
	store, ask := s.installed(nil)
	put := func(name string, root []byte, expires time.Time) {
		unlock, err := store.Lock(name)
		require.NoError(t, err)
		defer unlock()
		require.NoError(t, store.Commit(name, root, &trust.State{
			Source:  trust.Source{Mirror: "https://tuf.test", Target: "trusted_root.json", InitialRoot: digest.FromString("root.json")},
			Updated: expires.Add(-24 * time.Hour), Expires: expires, GraceSeconds: 3600,
		}))
	}
	img := s.attached(verifytest.BundleOptions{})
	put("mine", s.root, time.Now().Add(time.Hour))
	d := ask(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Empty(t, d.Warnings)

	put("mine", s.root, time.Now().Add(-time.Minute))
	d = ask(img.Index)
	require.Equal(t, decision.Allow, d.Verdict, "within the grace period: %s", d.Line())
	require.NotEmpty(t, d.Warnings)

	put("mine", s.root, time.Now().Add(-2*time.Hour))
	refuse(t, ask(img.Index), decision.Undecided, "trust-stale", "instance mine: too old")

	other := verifytest.NewSigstore(t)
	put("other", other.TrustedRoot(t, verifytest.RootOptions{}), time.Now().Add(time.Hour))
	refuse(t, ask(img.Index), decision.Undecided, "trust-stale", "instance mine: too old")
	require.NoError(t, os.RemoveAll(store.Dir))
	refuse(t, ask(img.Index), decision.Undecided, "trust-root", "")
}

// TestBrokenArchive: a TUF repository in the policy that is none gives no root,
// and nothing takes its place.
func TestBrokenArchive(t *testing.T) {
	s := newStand(t)
	img := s.attached(verifytest.BundleOptions{})
	s.allow(img.Index)
	root := base64.StdEncoding.EncodeToString([]byte(`{"signed":{"_type":"root"},"signatures":[]}`))
	s.policy = s.load(`apiVersion: policy.sigstore.dev/v1alpha1
kind: TrustRoot
metadata:
  name: mine
spec:
  repository:
    root: `+root+`
    mirrorFS: `+base64.StdEncoding.EncodeToString([]byte("not an archive"))+"\n",
		strings.Replace(keyless(verifytest.Issuer, verifytest.Subject), "keyless:\n", "keyless:\n      trustRootRef: mine\n", 1))
	refuse(t, s.verify(img.Index), decision.Undecided, "trust-root", "mine")
}
