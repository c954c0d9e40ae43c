// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/verifytest"
)

// only makes a policy with one condition the one in force.
func (s *stand) only(rest string) {
	s.t.Helper()
	s.policy = s.load(imagePolicy("p", byDefault(""), rest))
}

// TestReplayOfAnOldImage: an image that was good once, with a signature that is
// as valid as ever, is offered again. A tag that moves back does the same.
func TestReplayOfAnOldImage(t *testing.T) {
	s := newStand(t)
	fresh, old := s.attached(verifytest.BundleOptions{}), s.attached(verifytest.BundleOptions{SignedAt: time.Now().Add(-50 * time.Minute)})
	s.allow(old.Index)
	s.only("  freshness: {signature: 30m}\n")
	s.allow(fresh.Index)
	refuse(t, s.verify(old.Index), decision.Deny, "stale", "")

	// What the build says of its own time is not believed beyond the signature's.
	s.only("  freshness: {build: 30m}\n")
	built := func(finished time.Time, opts verifytest.BundleOptions) digest.Digest {
		return s.store.Image(t, verifytest.ImageOptions{Bundle: func(subjects []provenance.Subject) []byte {
			p := verifytest.Provenance()
			p.RunDetails.Metadata.FinishedOn = &finished
			return s.sigstore.Bundle(t, verifytest.StatementOf(t, subjects, p), opts)
		}}).Index
	}
	now := time.Now()
	s.allow(built(now.Add(-time.Minute), verifytest.BundleOptions{}))
	refuse(t, s.verify(built(now.Add(-time.Hour), verifytest.BundleOptions{})), decision.Deny, "stale", "")
	refuse(t, s.verify(built(now, verifytest.BundleOptions{SignedAt: now.Add(-50 * time.Minute)})), decision.Deny, "stale", "")
	refuse(t, s.verify(built(now.Add(time.Hour), verifytest.BundleOptions{SignedAt: now.Add(-50 * time.Minute)})), decision.Deny, "stale", "")
}

// TestNoTrustedTime: freshness without a time that anybody vouches for.
func TestNoTrustedTime(t *testing.T) {
	s := newStand(t)
	key := verifytest.NewKey(t, "p256")
	byKey := "key:\n      data: " + block(string(verifytest.PublicPEM(t, key)), "        ")
	s.policy = s.load(imagePolicy("p", byKey, ""))
	img := s.attached(bare(key))
	s.allow(img.Index)
	s.policy = s.load(imagePolicy("p", byKey, "  freshness: {signature: 30m}\n"))
	refuse(t, s.verify(img.Index), decision.Deny, "no-time", "")
}

// TestNameOfAnotherRepository: a signed image is copied to where another one is
// expected. Its name was signed, and is not the one that is asked for.
func TestNameOfAnotherRepository(t *testing.T) {
	s := newStand(t)
	s.only("  signedIdentity: {type: matchRepository}\n")
	signed := func(name string) digest.Digest {
		img := s.unsignedImage(name)
		s.legacy(verifytest.CosignTag(img.Index, "sig"), verifytest.SimpleSigning(img.Index, name))
		return img.Index
	}
	s.allow(signed(s.registry + "/app"))
	for _, name := range []string{s.registry + "/other", s.registry + "/app/x", "evil.test/app", "evil.test/" + strings.Replace(s.registry, ":", "/", 1) + "/app", "x" + s.registry + "/app"} {
		refuse(t, s.verify(signed(name)), decision.Deny, "signed-name", "")
	}
	refuse(t, s.verify(signed("")), decision.Deny, "no-signed-name", "")
	refuse(t, s.verify(s.attached(verifytest.BundleOptions{}).Index), decision.Deny, "no-signed-name", "")

	// A name without a tag is any image of the repository.
	s.only("  signedIdentity: {type: matchExact}\n")
	s.allow(signed(s.registry + "/app:v1"))
	refuse(t, s.verify(signed(s.registry+"/app:v2")), decision.Deny, "signed-name", "")
	refuse(t, s.verify(signed(s.registry+"/app")), decision.Deny, "signed-name", "")
}

// TestNameBesideAnotherSubject: of the names in a statement only the one on the
// image's own digest counts.
func TestNameBesideAnotherSubject(t *testing.T) {
	s := newStand(t)
	s.only("  signedIdentity: {type: matchRepository}\n")
	sign := func(own, other string) digest.Digest {
		img := s.unsignedImage(own + other)
		payload := fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{},
			"subject":[{"name":%q,"digest":{"sha256":%q}},{"name":%q,"digest":{"sha256":%q}}]}`,
			other, digest.FromString("other").Encoded(), own, img.Index.Encoded())
		s.store.AttachBundle(t, img.Index, s.sigstore.Bundle(t, []byte(payload), verifytest.BundleOptions{}))
		return img.Index
	}
	s.allow(sign(s.registry+"/app", s.registry+"/other"))
	refuse(t, s.verify(sign(s.registry+"/other", s.registry+"/app")), decision.Deny, "signed-name", "")
}

// TestDenyIsStronger: deny beside static pass, beside an exception, beside
// another policy that admits.
func TestDenyIsStronger(t *testing.T) {
	s := newStand(t)
	img := s.attached(verifytest.BundleOptions{})
	static := func(name, action string) string {
		return imagePolicy(name, "static: {action: "+action+", message: closed}", "")
	}
	good := imagePolicy("good", byDefault(""), "")
	bad := imagePolicy("bad", byDefault(""), fmt.Sprintf("  deny:\n    digests:\n    - digest: %q\n", img.Index))
	s.policy = s.load(good, static("pass", "pass"))
	s.allow(img.Index)
	for name, documents := range map[string][]string{
		"static pass, another denies":  {static("pass", "pass"), bad},
		"static fail, another admits":  {static("fail", "fail"), good},
		"deny list, another admits":    {good, bad},
		"unsatisfied beside a warning": {imagePolicy("w", byDefault(""), "  mode: warn\n"), bad},
	} {
		t.Run(name, func(t *testing.T) {
			s.policy = s.load(documents...)
			d := s.verify(img.Index)
			require.Equal(t, decision.Deny, d.Verdict, d.Line())
			require.Contains(t, []string{"denied", "static-fail"}, d.Code)
		})
	}
	t.Run("exception from deny", func(t *testing.T) {
		dir := t.TempDir()
		doc := bad + "  exceptions:\n  - {image: '**', conditions: [deny], reason: x, expires: '2099-01-01T00:00:00Z'}\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(doc), 0o600))
		_, err := policy.Load(dir)
		require.ErrorIs(t, err, policy.ErrInvalid)
	})
}

// TestWarningsDoNotSpread: a policy in warn mode waives itself, and nothing of
// the one beside it; and what it would have admitted counts for nothing there.
func TestWarningsDoNotSpread(t *testing.T) {
	s := newStand(t)
	mallory := strings.Replace(keyless(verifytest.Issuer, "https://github.com/mallory"), "name: demo", "name: other", 1)
	good, evil := s.attached(verifytest.BundleOptions{}), s.attached(verifytest.BundleOptions{Subject: "https://github.com/mallory"})
	s.policy = s.load(keyless(verifytest.Issuer, verifytest.Subject), mallory+"  mode: warn\n")
	d := s.allow(good.Index)
	require.Len(t, d.Warnings, 1)
	refuse(t, s.verify(evil.Index), decision.Deny, "identity", "policy demo")
	refuse(t, s.verify(s.unsignedImage("unsigned").Index), decision.Deny, "unsigned", "policy demo")
}

// TestExceptionsOfAnother: an exception is for one image, some conditions and
// some time.
func TestExceptionsOfAnother(t *testing.T) {
	s := newStand(t)
	old, other := s.attached(verifytest.BundleOptions{SignedAt: time.Now().Add(-50 * time.Minute)}), s.attached(verifytest.BundleOptions{})
	in := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	with := func(dgst digest.Digest, condition, expires string) {
		s.only(fmt.Sprintf("  freshness: {signature: 30m}\n  lazyLayers: deny\n  exceptions:\n  - {digest: %q, conditions: [%s], reason: x, expires: %q}\n", dgst, condition, expires))
	}
	with(old.Index, "freshness", in(time.Hour))
	d := s.allow(old.Index)
	require.Len(t, d.Warnings, 1)
	require.NotNil(t, d.ChangesAt)
	with(other.Index, "freshness", in(time.Hour))
	refuse(t, s.verify(old.Index), decision.Deny, "stale", "")
	with(old.Index, "lazyLayers", in(time.Hour))
	refuse(t, s.verify(old.Index), decision.Deny, "stale", "")
	with(old.Index, "freshness", in(-time.Minute))
	d = s.verify(old.Index)
	require.Equal(t, decision.Deny, d.Verdict, d.Line())
	require.Contains(t, []string{"stale", "exception-expired"}, d.Code)

	// No exception admits what a stranger signed.
	stranger := s.attached(verifytest.BundleOptions{Subject: "https://github.com/mallory"})
	with(stranger.Index, "freshness", in(time.Hour))
	refuse(t, s.verify(stranger.Index), decision.Deny, "identity", "")
}

// TestDeniedIdentityWithoutATime: a signer is denied for a time, and nobody
// trusted saw when this was signed.
func TestDeniedIdentityWithoutATime(t *testing.T) {
	s := newStand(t)
	key := verifytest.NewKey(t, "p256")
	byKey := "key:\n      data: " + block(string(verifytest.PublicPEM(t, key)), "        ")
	img := s.attached(verifytest.BundleOptions{Key: key, NoLogEntry: true, NoTimestamp: true})
	s.policy = s.load(imagePolicy("p", byKey, ""))
	id := s.allow(img.Index).Manifests[0].Signers[0].Key
	s.policy = s.load(imagePolicy("p", byKey, fmt.Sprintf("  deny: {keys: [{key: %q}]}\n", id)))
	refuse(t, s.verify(img.Index), decision.Deny, "denied", "")

	// A certificate's signer is denied for a window long past.
	window := "  deny: {identities: [{issuer: " + verifytest.Issuer + ", from: '2020-01-01T00:00:00Z', until: '2020-02-01T00:00:00Z'}]}\n"
	s.only(window)
	s.allow(s.attached(verifytest.BundleOptions{}).Index)
}

// TestBansWithoutAnSBOM: an image hides what is in it: no SBOM, another's, or
// one that does not say.
func TestBansWithoutAnSBOM(t *testing.T) {
	s := newStand(t)
	list := func(version string) verifytest.Attestation {
		return verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"log4j-core","versionInfo":"` + version +
			`","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:maven/org.apache.logging.log4j/log4j-core@` + version + `"}]}]}`)
	}
	image := func(named verifytest.Attestation, carried ...verifytest.Attestation) digest.Digest {
		return s.store.Image(t, verifytest.ImageOptions{
			Attestations: func(string) []verifytest.Attestation { return carried },
			Bundle: func(subjects []provenance.Subject) []byte {
				return s.sigstore.Bundle(t, verifytest.Statement(t, subjects, named.Byproduct(slsa.ByproductSBOM, verifytest.Platform)), verifytest.BundleOptions{})
			},
		}).Index
	}
	s.only("  packages: {deny: [{purl: pkg:maven/org.apache.logging.log4j/log4j-core, versions: '<2.17.1'}]}\n")
	good, bad := list("2.20.0"), list("2.14.1")
	s.allow(image(good, good))
	refuse(t, s.verify(image(bad, bad)), decision.Deny, "package", "2.14.1")
	refuse(t, s.verify(image(bad, good)), decision.Deny, "byproduct", "")
	refuse(t, s.verify(image(bad)), decision.Deny, "byproduct", "")
	refuse(t, s.verify(s.signed(verifytest.ImageOptions{}).Index), decision.Deny, "no-sbom", "")
	broken := verifytest.SBOM(`{"spdxVersion":"SPDX-2.3","packages":"none"}`)
	refuse(t, s.verify(image(broken, broken)), decision.Deny, "sbom", "")

	// A stranger's SBOM beside it says nothing.
	lie := s.unsignedImage("lie")
	s.store.AttachBundle(t, lie.Index, s.sigstore.Bundle(t, cosignStatement(t, lie.Index), verifytest.BundleOptions{}))
	s.store.AttachBundle(t, lie.Index, s.sigstore.Bundle(t, statementOf(t, predicateSPDX, lie.Index), verifytest.BundleOptions{Subject: "https://github.com/mallory"}))
	refuse(t, s.verify(lie.Index), decision.Deny, "no-sbom", "")
}

// TestBaseImagesInACircle: an image that was built from itself, as its
// provenance says, and bases on bases without end. It ends.
func TestBaseImagesInACircle(t *testing.T) {
	s := newStand(t)
	s.policy = s.load(
		imagePolicy("app", byDefault(""), "  materials: {baseImages: {policy: app}}\n"))
	// No base but plomb's own frontend: the end of a chain.
	last := s.store.Image(t, verifytest.ImageOptions{Content: "0", Bundle: func(subjects []provenance.Subject) []byte {
		p := verifytest.Provenance()
		p.BuildDefinition.ResolvedDependencies = nil
		return s.sigstore.Bundle(t, verifytest.StatementOf(t, subjects, p), verifytest.BundleOptions{})
	}}).Index
	verdicts := []decision.Verdict{s.decide(last).Verdict}
	for i := range 5 {
		last = s.store.Image(t, verifytest.ImageOptions{Content: fmt.Sprint(i + 1), Bundle: s.builtFrom(last)}).Index
		d := s.decide(last)
		verdicts = append(verdicts, d.Verdict)
		require.Less(t, d.Requests, 50)
	}
	require.Equal(t, decision.Allow, verdicts[0])
	require.Equal(t, decision.Allow, verdicts[1])
	require.NotEqual(t, decision.Allow, verdicts[5], "followed so deep and no deeper")

	// Signed provenance cannot hold its own digest; a registry can let the same
	// base stand for all of them.
	self := s.store.Image(t, verifytest.ImageOptions{Content: "self", Bundle: s.builtFrom(digest.FromString("self"))})
	s.store.Lie(digest.FromString("self"), s.store.Get(self.Index))
	d := s.decide(self.Index)
	require.NotEqual(t, decision.Allow, d.Verdict)
	require.Less(t, d.Requests, 50)
}

// TestPoliciesThatBurn: policies that take for ever, and evidence that makes them. None
// admits, and each ends when the time of the verification does.
func TestPoliciesThatBurn(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{})
	s.only("  rules:\n  - {name: good, cel: 'size(signatures) == 1'}\n")
	s.allow(img.Index)
	for name, rest := range map[string]string{
		"CEL":  "  rules:\n  - name: burn\n    cel: |\n      [0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, (provenance.x + string(a) + string(b)).matches('(x+x+)+y')))\n",
		"Rego": "  rules:\n  - name: burn\n    rego: |\n      package plomb\n      allow if {\n        n := numbers.range(1, 2000)\n        count([1 | some a in n; some b in n; some c in n; a + b + c == 0]) == 1\n      }\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(imagePolicy("p", byDefault(""), rest)), 0o600))
			set, err := policy.Load(dir)
			if err != nil {
				require.ErrorIs(t, err, policy.ErrInvalid)
				return
			}
			s.policy = set
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			start := time.Now()
			d := verify.Verify(ctx, s.request(img.Index))
			require.NotEqual(t, decision.Allow, d.Verdict)
			require.Less(t, time.Since(start), 3*time.Second)
		})
	}
}

// TestOneBrokenPolicyOfMany: a mistyped field would make a policy say less than
// its author thinks. The set is refused whole, also for images that the broken
// policy is not about.
func TestOneBrokenPolicyOfMany(t *testing.T) {
	s := newStand(t)
	img := s.attached(verifytest.BundleOptions{})
	good := imagePolicy("good", byDefault(""), "  freshness: {signature: 30m}\n")
	s.policy = s.load(good)
	s.allow(img.Index)
	for name, doc := range map[string]string{
		"unknown field":          strings.Replace(good, "freshness:", "freshnes:", 1),
		"unknown field deep":     strings.Replace(good, "signature:", "signatures:", 1),
		"field twice":            good + "  freshness: {signature: 40m}\n",
		"another case":           strings.Replace(good, "freshness:", "Freshness:", 1),
		"another kind":           strings.Replace(good, "kind: ImagePolicy", "kind: ImagePolicies", 1),
		"another version":        strings.Replace(good, "plombproject.github.io/v1", "plombproject.github.io/v2", 1),
		"field of another kind":  strings.Replace(strings.Replace(good, "plombproject.github.io/v1", "policy.sigstore.dev/v1beta1", 1), "ImagePolicy", "ClusterImagePolicy", 1),
		"no authority":           strings.Replace(good, "keyless:", "x-keyless:", 1),
		"an age that is none":    strings.Replace(good, "30m", "soon", 1),
		"an expression that not": strings.Replace(good, "subject:", "subjectRegExp: '[', x:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, good, doc)
			dir := t.TempDir()
			about := strings.Replace(doc, `"**"`, `"registry.example/other"`, 1)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(good), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "b.yaml"), []byte(strings.Replace(about, "name: good", "name: broken", 1)), 0o600))
			_, err := policy.Load(dir)
			require.Error(t, err)
			require.Contains(t, err.Error(), "b.yaml")
		})
	}
}

// TestBaseImagesAreHeard: what a policy for base images only warns of, and until
// when it holds, is told of the image that is made from them.
func TestBaseImagesAreHeard(t *testing.T) {
	s := newStand(t)
	with := func(base string) {
		s.policy = s.load(
			imagePolicy("app", byDefault(""), "  materials: {baseImages: {policy: base}}\n"),
			strings.Replace(imagePolicy("base", byDefault(""), base), `"**"`, `"nothing.test/x"`, 1))
	}
	unsigned := s.store.Image(t, verifytest.ImageOptions{Content: "x", Bundle: s.builtFrom(s.unsignedImage("base").Index)}).Index
	with("")
	refuse(t, s.decide(unsigned), decision.Deny, "base-image", "")
	with("  mode: warn\n")
	d := s.decide(unsigned)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.Len(t, d.Warnings, 1)
	require.Contains(t, d.Warnings[0], "base image")
	require.Contains(t, d.Warnings[0], "unsigned")

	signed := s.store.Image(t, verifytest.ImageOptions{Content: "y", Bundle: s.builtFrom(s.attached(verifytest.BundleOptions{}).Index)}).Index
	with("  freshness: {signature: 1h}\n")
	d = s.decide(signed)
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	require.NotNil(t, d.ChangesAt)
	require.WithinDuration(t, time.Now().Add(time.Hour), *d.ChangesAt, time.Minute)
}
