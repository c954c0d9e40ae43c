// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

// allow demands that an image is admitted: what is refused afterwards is then
// refused for what was changed, and for nothing else.
func (s *stand) allow(dgst digest.Digest) *decision.Decision {
	s.t.Helper()
	d := s.verify(dgst)
	require.Equal(s.t, decision.Allow, d.Verdict, "the good variant: %s\n%v", d.Line(), d.Checks)
	return d
}

// attached is an image without a signature in it, and with one beside it.
func (s *stand) attached(opts verifytest.BundleOptions) verifytest.Image {
	s.t.Helper()
	img := s.unsignedImage(fmt.Sprintf("%v", time.Now().UnixNano()))
	s.store.AttachBundle(s.t, img.Index, s.sigstore.Bundle(s.t, cosignStatement(s.t, img.Index), opts))
	return img
}

// identities is a policy for everything, with identities as YAML.
func identities(lines ...string) string {
	head, _, _ := strings.Cut(keyless("", ""), "      - issuer")
	return head + "      - " + strings.Join(lines, "\n        ") + "\n"
}

// TestIdentityExpressionsAreAnchored: an expression counts as it is written. What
// it leaves open at either end, somebody else can register.
func TestIdentityExpressionsAreAnchored(t *testing.T) {
	s := newStand(t)
	good := s.attached(verifytest.BundleOptions{})
	for _, c := range []struct {
		name                     string
		issuerRegExp, subRegExp  string
		attackIssuer, attackSubj string
	}{
		{
			"before the subject", `^https://token\.actions\.githubusercontent\.com$`, `^https://github\.com/plombproject/`,
			verifytest.Issuer, "https://evil.test/https://github.com/plombproject/demo",
		},
		{
			"another owner", `^https://token\.actions\.githubusercontent\.com$`, `^https://github\.com/plombproject/`,
			verifytest.Issuer, "https://github.com/plombproject-evil/demo",
		},
		{
			"after the subject", `^https://token\.actions\.githubusercontent\.com$`, `\.yml@refs/heads/main$`,
			verifytest.Issuer, verifytest.Subject + "-evil",
		},
		{
			"after the issuer", `^https://token\.actions\.githubusercontent\.com$`, `.*`,
			verifytest.Issuer + ".evil.test", verifytest.Subject,
		},
		{
			"a dot", `^https://token\.actions\.githubusercontent\.com$`, `.*`,
			"https://token-actions.githubusercontent.com", verifytest.Subject,
		},
		{
			"a path of the issuer", `^https://token\.actions\.githubusercontent\.com$`, `.*`,
			verifytest.Issuer + "/evil", verifytest.Subject,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.policy = s.load(identities(fmt.Sprintf("issuerRegExp: '%s'", c.issuerRegExp), fmt.Sprintf("subjectRegExp: '%s'", c.subRegExp)))
			s.allow(good.Index)
			evil := s.attached(verifytest.BundleOptions{Issuer: c.attackIssuer, Subject: c.attackSubj})
			refuse(t, s.verify(evil.Index), decision.Deny, "identity", c.attackSubj)
		})
	}
}

// TestExactIdentitiesAreNoExpressions: in issuer and subject nothing is special,
// and nothing is completed.
func TestExactIdentitiesAreNoExpressions(t *testing.T) {
	s := newStand(t)
	s.allow(s.attached(verifytest.BundleOptions{}).Index)
	for _, near := range []string{
		strings.Replace(verifytest.Subject, ".yml", "xyml", 1), // a dot that matched anything would let it pass
		verifytest.Subject + "/", verifytest.Subject + "@refs/heads/evil", verifytest.Subject[:len(verifytest.Subject)-1],
		strings.Replace(verifytest.Subject, "plombproject", "PlombProject", 1),
	} {
		refuse(t, s.verify(s.attached(verifytest.BundleOptions{Subject: near}).Index), decision.Deny, "identity", near)
	}
	for _, near := range []string{verifytest.Issuer + "/", strings.Replace(verifytest.Issuer, "https", "http", 1)} {
		refuse(t, s.verify(s.attached(verifytest.BundleOptions{Issuer: near}).Index), decision.Deny, "identity", near)
	}
}

// TestIssuerAndSubjectOfOneIdentity: the issuer of one welcome identity and the
// subject of another make none.
func TestIssuerAndSubjectOfOneIdentity(t *testing.T) {
	const issuer, subject = "https://gitlab.test", "https://gitlab.test/demo"
	s := newStand(t)
	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject) + fmt.Sprintf("      - issuer: %q\n        subject: %q\n", issuer, subject))
	s.allow(s.attached(verifytest.BundleOptions{}).Index)
	s.allow(s.attached(verifytest.BundleOptions{Issuer: issuer, Subject: subject}).Index)
	refuse(t, s.verify(s.attached(verifytest.BundleOptions{Issuer: issuer}).Index), decision.Deny, "identity", issuer)
	refuse(t, s.verify(s.attached(verifytest.BundleOptions{Subject: subject}).Index), decision.Deny, "identity", subject)
}

// TestSpoiltTimes: certificates, issuers and times that do not fit together.
func TestSpoiltTimes(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name string
		good verifytest.BundleOptions
		evil verifytest.BundleOptions
		code string
	}{
		{
			"certificate not yet valid", verifytest.BundleOptions{CertificateFrom: now.Add(-time.Minute)},
			verifytest.BundleOptions{CertificateFrom: now.Add(10 * time.Minute)}, "certificate",
		},
		{
			"certificate expired", verifytest.BundleOptions{CertificateFrom: now.Add(-9 * time.Minute)},
			verifytest.BundleOptions{CertificateFrom: now.Add(-20 * time.Minute)}, "certificate",
		},
		{
			"time of the log entry moved", verifytest.BundleOptions{Log: verifytest.DSSE, NoTimestamp: true},
			verifytest.BundleOptions{Log: verifytest.DSSE, NoTimestamp: true, ShiftTime: -30 * time.Second}, "log-entry",
		},
		{
			"Rekor v1 without a promise has no time", verifytest.BundleOptions{Log: verifytest.DSSE, NoTimestamp: true},
			verifytest.BundleOptions{Log: verifytest.DSSE, NoTimestamp: true, NoPromise: true}, "timestamp",
		},
		{
			"Rekor v2 has no time", verifytest.BundleOptions{},
			verifytest.BundleOptions{NoTimestamp: true}, "timestamp",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStand(t)
			s.allow(s.attached(c.good).Index)
			d := s.verify(s.attached(c.evil).Index)
			refuse(t, d, decision.Deny, c.code, "")
		})
	}
}

// TestIssuerExpiredBeforeItsCertificate: a certificate outlives the one that
// issued it, and what was signed after that does not count.
func TestIssuerExpiredBeforeItsCertificate(t *testing.T) {
	s := newStand(t)
	s.sigstore.ExpireFulcio(t, time.Now().Add(-10*time.Second))
	s.root = s.sigstore.TrustedRoot(t, verifytest.RootOptions{})
	s.allow(s.attached(verifytest.BundleOptions{SignedAt: time.Now().Add(-time.Minute)}).Index)
	refuse(t, s.verify(s.attached(verifytest.BundleOptions{}).Index), decision.Deny, "certificate", "")
}

// TestWitnessesOfAnother: one party of the signature is a stranger, who is as
// good at what he does as the one that is trusted.
func TestWitnessesOfAnother(t *testing.T) {
	s := newStand(t)
	s.allow(s.attached(verifytest.BundleOptions{}).Index)
	s.allow(s.attached(verifytest.BundleOptions{Log: verifytest.DSSE, NoPromise: true}).Index)
	other := verifytest.NewSigstore(t)
	for _, c := range []struct {
		name string
		opts verifytest.BundleOptions
		code string
	}{
		{"log", verifytest.BundleOptions{LogBy: other}, "log-entry"},
		{"log of version 1", verifytest.BundleOptions{Log: verifytest.DSSE, LogBy: other}, "log-entry"},
		{"checkpoint", verifytest.BundleOptions{CheckpointBy: other}, "log-entry"},
		{"checkpoint of version 1", verifytest.BundleOptions{Log: verifytest.DSSE, NoPromise: true, CheckpointBy: other}, "log-entry"},
		{"timestamp authority", verifytest.BundleOptions{TimestampBy: other}, "timestamp"},
		{"certificate transparency log", verifytest.BundleOptions{SCTBy: other}, "sct"},
	} {
		t.Run(c.name, func(t *testing.T) {
			refuse(t, s.verify(s.attached(c.opts).Index), decision.Deny, c.code, "")
		})
	}
	t.Run("certificate authority", func(t *testing.T) {
		img := s.unsignedImage("other authority")
		s.store.AttachBundle(t, img.Index, other.Bundle(t, cosignStatement(t, img.Index),
			verifytest.BundleOptions{LogBy: s.sigstore, TimestampBy: s.sigstore, SCTBy: s.sigstore}))
		refuse(t, s.verify(img.Index), decision.Deny, "certificate", "")
	})
}

// TestLogEntryOfAnotherArtifact: the entry is genuine, by the same signer, and
// about something else.
func TestLogEntryOfAnotherArtifact(t *testing.T) {
	for name, opts := range map[string]verifytest.BundleOptions{
		"version 2":                      {},
		"version 2 that looks like 1":    {TreeCheckpoint: true},
		"version 1, dsse":                {Log: verifytest.DSSE},
		"version 1, dsse, proof alone":   {Log: verifytest.DSSE, NoPromise: true},
		"version 1, dsse, promise alone": {Log: verifytest.DSSE, NoProof: true, MediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1"},
		"intoto 0.0.1":                   {Log: verifytest.Intoto001},
		"intoto 0.0.2":                   {Log: verifytest.Intoto002},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			if !opts.TreeCheckpoint {
				s.allow(s.attached(opts).Index)
			}
			other := opts
			other.LogOf = cosignStatement(t, digest.FromString("another image"))
			d := s.verify(s.attached(other).Index)
			refuse(t, d, decision.Deny, "log-entry", "")
		})
	}
}
