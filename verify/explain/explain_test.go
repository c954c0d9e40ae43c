// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/policy"
)

const head = "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: shop}\nspec:\n  images: [{glob: \"registry.example/shop/**\"}]\n"

const release = head + `  authorities:
  - name: release
    keyless:
      identities:
      - issuer: https://token.actions.githubusercontent.com
        subject: https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main
`

func load(t testing.TB, text string) *policy.Set {
	t.Helper()
	set, err := policy.FromFiles("policy", []policy.File{{Name: "policy.yaml", Data: []byte(text)}})
	require.NoError(t, err)
	return set
}

// known is evidence that consists of claims, under every trust.
type known []claim.Claim

func (k known) Claims(policy.Trust) []claim.Claim    { return k }
func (known) Config(context.Context) ([]byte, error) { return []byte("{}"), nil }
func (known) Byproducts(context.Context, claim.Claim, string) ([][]byte, error) {
	return nil, policy.ErrByproduct
}
func (known) Material(context.Context, string, digest.Digest, string) error {
	return policy.ErrBaseImage
}

// decide is the decision of a policy about an image with those claims.
func decide(set *policy.Set, name string, claims ...claim.Claim) *decision.Decision {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	dgst := digest.FromString("image")
	return verify.Suppose(context.Background(), verify.Supposition{
		Name: name, Digest: dgst, Policy: set, Now: now,
		Manifests: []verify.SupposedManifest{{Case: policy.Case{Name: name, Digest: dgst, Manifest: dgst, Now: now}, Evidence: known(claims)}},
	})
}

func by(issuer, subject string) claim.Claim {
	return claim.Claim{Kind: claim.Signature, Format: claim.Bundle, Signer: claim.Signer{Issuer: issuer, Subject: subject}, SignedAt: time.Unix(1, 0)}
}

// hint is the one about an authority.
func hint(t *testing.T, hints []Hint, authority string) Hint {
	t.Helper()
	for _, h := range hints {
		if h.Authority == authority {
			return h
		}
	}
	t.Fatalf("no hint about %s: %+v", authority, hints)
	return Hint{}
}

func TestExplainNamesWhatDiffers(t *testing.T) {
	set := load(t, release)
	d := decide(set, "registry.example/shop/app:v1", by(actions, "https://github.com/shop/app/.github/workflows/test.yml@refs/heads/main"), by(actions, "https://github.com/mallory/x/.github/workflows/x.yml@refs/heads/x"))
	h := hint(t, Explain(d, set), "release")
	require.Equal(t, []Difference{{Part: "workflow", Got: ".github/workflows/test.yml", Want: ".github/workflows/release.yml"}}, h.Differs, "the closest of the two")
	require.Contains(t, h.Text, "but by workflow .github/workflows/test.yml")
	require.Contains(t, h.Pass, "the workflow were .github/workflows/release.yml")

	d = decide(set, "registry.example/shop/app:v1", by("https://evil.example", "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main"))
	require.Contains(t, hint(t, Explain(d, set), "release").Pass, "the issuer were "+actions)

	d = decide(set, "registry.example/shop/app:v1")
	h = hint(t, Explain(d, set), "release")
	require.Contains(t, h.Text, "nobody's signature verifies")
	require.Contains(t, h.Pass, "signed by https://github.com/shop/app")

	d = decide(set, "registry.example/shop/app:v1", by(actions, "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main"))
	require.Equal(t, decision.Allow, d.Verdict)
	require.Empty(t, Explain(d, set))
}

func TestExplainWantsAttestations(t *testing.T) {
	set := load(t, release+"    attestations: [{name: scan, predicateType: vuln}]\n")
	d := decide(set, "registry.example/shop/app:v1", by(actions, "https://github.com/shop/app/.github/workflows/release.yml@refs/heads/main"))
	h := hint(t, Explain(d, set), "release")
	require.Contains(t, h.Text, "who is welcome; something else is missing")
	require.Contains(t, h.Text, "stated are no attestations")
	require.Contains(t, h.Pass, "https://cosign.sigstore.dev/attestation/vuln/v1")

	other := by(actions, "https://github.com/mallory/app/.github/workflows/release.yml@refs/heads/main")
	other.Kind, other.PredicateType, other.Statement = claim.Attestation, "https://cosign.sigstore.dev/attestation/vuln/v1", []byte("{}")
	d = decide(set, "registry.example/shop/app:v1", other)
	h = hint(t, Explain(d, set), "release")
	require.Contains(t, h.Text, "stated are https://cosign.sigstore.dev/attestation/vuln/v1")
	require.Contains(t, h.Pass, "by a welcome signer", "a stranger's scan is not the one")
}

func TestExplainKeysAndStatic(t *testing.T) {
	const key = `    key:
      data: |
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHY3h266RR3ivbAZfgCMiK57sh99k
        Yr8qmKie+khx5yWZWUg+taObbe1tICQLSpRqwZpg8hHySLMepAOUmL7G5Q==
        -----END PUBLIC KEY-----
`
	set := load(t, head+"  authorities:\n  - name: keyed\n"+key+"  - name: never\n    static: {action: fail}\n")
	stranger := claim.Claim{Kind: claim.Signature, Format: claim.Bundle, Signer: claim.Signer{Key: digest.FromString("other")}}
	hints := Explain(decide(set, "registry.example/shop/app:v1", stranger), set)
	require.Contains(t, hint(t, hints, "keyed").Text, "signed by key "+stranger.Signer.Key.String())
	require.Contains(t, hint(t, hints, "keyed").Pass, "the key of keyed (sha256:")
	require.Empty(t, hint(t, hints, "never").Pass, "nothing would help")
}

// The glob that was probably meant.
func TestExplainGlobs(t *testing.T) {
	set := load(t, strings.Replace(release, "shop/**", "shop/app", 1))
	hints := Explain(decide(set, "registry.example/shop/app:v1"), set)
	require.Len(t, hints, 2)
	require.Contains(t, hints[0].Text, "no policy matches")
	require.Contains(t, hints[1].Text, `glob "registry.example/shop/app" does not match`)
	require.Contains(t, hints[1].Pass, `the glob were "registry.example/shop/app**"`)
}

// What a signer chose cannot write on the terminal.
func TestExplainIsOneLine(t *testing.T) {
	set := load(t, release)
	d := decide(set, "registry.example/shop/app:v1", by(actions, "https://evil.example/\n\x1b[2Jallowed"))
	for _, h := range Explain(d, set) {
		require.NotContains(t, h.Text+h.Pass, "\n")
		require.NotContains(t, h.Text+h.Pass, "\x1b")
	}
}

// A signature that fails is a check of the bundle and one of its place: who
// reads the hint is told once, of the place.
func TestLookedSaysEachOnce(t *testing.T) {
	got := looked(&decision.Decision{Requests: 3, Checks: []decision.Check{
		{Step: "trust", Object: "sha256:aaa", Outcome: decision.Fail, Code: "bad-signature", Detail: "does not verify"},
		{Step: "evidence", Object: "tag sha256-1.sig", Outcome: decision.Fail, Code: "bad-signature", Detail: "does not verify"},
		{Step: "binding", Object: "sha256:bbb", Outcome: decision.Fail, Code: "other-subject", Detail: "is of another image"},
	}})
	require.Equal(t, "tag sha256-1.sig: does not verify [bad-signature]; sha256:bbb: is of another image [other-subject] (3 requests)", got)
}

// An expression can be told from the sentence around it.
func TestExplainQuotesExpressions(t *testing.T) {
	set := load(t, head+"  authorities:\n  - name: release\n    keyless: {identities: [{issuer: https://i.example, subjectRegExp: nothing}]}\n")
	d := decide(set, "registry.example/shop/app:v1", by("https://i.example", "somebody"))
	require.Contains(t, d.Reason, "wanted /nothing/")
	require.Contains(t, hint(t, Explain(d, set), "release").Pass, "the subject matched /nothing/ (identity /nothing/ (issuer https://i.example))")
}

// A remedy for a code that there is not helps nobody.
func TestRemediesAreForCodes(t *testing.T) {
	codes := map[string]bool{}
	for _, r := range verify.Refusals() {
		codes[r.Code] = true
	}
	for code := range remedies {
		require.True(t, codes[code], code)
	}
}

func TestRisks(t *testing.T) {
	const ip = "apiVersion: plombproject.github.io/v1\nkind: ImagePolicy\nmetadata: {name: shop}\nspec:\n"
	keyless := func(fields string) string {
		return head + "  authorities:\n  - keyless:\n" + fields
	}
	const id = "      identities: [{issuer: https://i.example, subject: a}]\n"
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		keyless("      url: https://fulcio.example\n" + id): "",
		keyless("      trustRootRef: nowhere\n" + id):       "no-trust-root",
		keyless(id): "any-authority",
		keyless("      url: https://f.example\n      identities: [{issuer: https://i.example, subjectRegExp: shop}]\n"):                                                                                                              "regexp-unanchored",
		keyless("      url: https://f.example\n      identities: [{issuer: https://i.example, subjectRegExp: '.*'}]\n"):                                                                                                              "regexp-everything",
		keyless("      url: https://f.example\n      identities: [{issuer: https://i.example, subjectRegExp: '^a@shop.example$'}]\n"):                                                                                                "regexp-dot",
		keyless("      url: https://f.example\n      insecureIgnoreSCT: true\n" + id):                                                                                                                                                "no-sct",
		head + "  mode: warn\n  authorities: [{static: {action: fail}}]\n":                                                                                                                                                           "mode-warn",
		head + "  match: [{resource: pods, version: v1}]\n  authorities: [{static: {action: fail}}]\n":                                                                                                                               "needs-pod",
		head + "  authorities: [{static: {action: pass}}, {static: {action: fail}}]\n":                                                                                                                                               "static-pass-beside",
		strings.Replace(head, "registry.example/shop/**", "**", 1) + "  authorities: [{static: {action: pass}}]\n":                                                                                                                   "static-pass-all",
		strings.Replace(head, "registry.example/shop/**", "registry.example/shop", 1) + "  authorities: [{static: {action: fail}}]\n":                                                                                                "glob-without-tag",
		strings.Replace(head, "registry.example/shop/**", "*", 1) + "  authorities: [{static: {action: fail}}]\n":                                                                                                                    "glob-docker-hub",
		ip + "  images: [{glob: '**'}]\n  authorities: [{notation: {level: audit, trustStores: ['ca:a'], trustedIdentities: ['x509.subject:C=US,ST=WA,O=a']}}]\n":                                                                    "notation-audit",
		ip + "  images: [{glob: '**'}]\n  authorities: [{notation: {trustStores: ['ca:a'], trustedIdentities: ['*']}}]\n":                                                                                                            "notation-anybody",
		ip + "  images: [{glob: '**'}]\n  undecided: allow-if-verified-before\n  authorities: [{static: {action: fail}}]\n":                                                                                                          "undecided-allowed",
		ip + "  images: [{glob: '**'}]\n  freshness: {signature: 1d}\n  exceptions: [{image: '**', conditions: [freshness], reason: r, expires: '2025-01-01T00:00:00Z'}]\n  authorities: [{static: {action: fail}}]\n":               "exception-expired",
		ip + "  images: [{glob: '**'}]\n  freshness: {signature: 1d}\n  exceptions: [{image: '**', conditions: [freshness], reason: r, expires: '2028-01-01T00:00:00Z'}]\n  authorities: [{static: {action: fail}}]\n":               "exception-long",
		strings.Replace(head, "shop/**", "app:v*", 1) + "  authorities: [{static: {action: fail}}]\n":                                                                                                                                "glob-tag",
		strings.Replace(head, "shop/**", "app:*", 1) + "  authorities: [{static: {action: fail}}]\n":                                                                                                                                 "",
		strings.Replace(head, "registry.example/shop/**", "registry.example:5000/**", 1) + "  authorities: [{static: {action: fail}}]\n":                                                                                             "",
		strings.Replace(head, "shop/**", "app@sha256:*", 1) + "  authorities: [{static: {action: fail}}]\n":                                                                                                                          "",
		ip + "  images: [{glob: '**'}]\n  freshness: {signature: 1d}\n  exceptions: [{image: 'r.example/app:v1', conditions: [freshness], reason: r, expires: '2026-05-01T00:00:00Z'}]\n  authorities: [{static: {action: fail}}]\n": "exception-tag",
		keyless("      url: https://f.example\n"+id) + "    attestations: [{name: a, predicateType: vuln}]\n":                                                                                                                        "attestation-unread",
	} {
		var codes []string
		for _, r := range Risks(load(t, text), now) {
			codes = append(codes, r.Code)
			require.Regexp(t, `^policy\.yaml:\d+$`, r.Origin, text)
		}
		require.Equal(t, want, strings.Join(codes, " "), text)
	}
}
