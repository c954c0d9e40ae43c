// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

const keyless = `  authorities:
  - name: release
    keyless:
      url: https://fulcio.example/
      identities:
      - issuer: https://issuer.example
        subjectRegExp: ^https://github\.com/shop/
`

func TestSignatures(t *testing.T) {
	p := one(t, keyless)
	j := judge(t, p, evidence{claims: []claim.Claim{signature(mallory), signature(release)}}, nil, "")
	require.Equal(t, "release", j.Authority.Name)
	require.Equal(t, []claim.Claim{signature(release)}, j.Claims)

	judge(t, p, evidence{claims: []claim.Claim{attestation(release, provenance, "{}")}}, nil, "")
	judge(t, p, evidence{claims: []claim.Claim{signature(mallory)}}, policy.ErrIdentity, "mallory/app, wanted /^https")
	judge(t, p, evidence{claims: []claim.Claim{attestation(release, vuln, "{}")}}, policy.ErrNoSignature, "stated only "+vuln)
	judge(t, p, evidence{claims: []claim.Claim{{}}}, policy.ErrAuthority, "")
	nobody := signature(claim.Signer{Authorities: release.Authorities})
	judge(t, p, evidence{claims: []claim.Claim{nobody}}, policy.ErrIdentity, "")

	other := release
	other.Issuer = "https://evil.example"
	j = judge(t, p, evidence{claims: []claim.Claim{signature(other)}}, policy.ErrIdentity, "but issuer https://evil.example, wanted https://issuer.example")
	var identity *policy.IdentityError
	require.ErrorAs(t, j.Reasons[0], &identity)
	require.Equal(t, other, identity.Signer)
	require.Len(t, identity.Similar, 1)

	other = release
	other.Authorities = []string{"https://fulcio.example.evil"}
	judge(t, p, evidence{claims: []claim.Claim{signature(other)}}, policy.ErrAuthority, "wanted https://fulcio.example/")

	nothing := p.Judge(context.Background(), theCase, evidence{})
	require.False(t, nothing.Satisfied())
	require.Empty(t, nothing.Reasons, "who found nothing knows why")
}

// TestKeys: any of the keys, and no other, whoever calls it verified.
func TestKeys(t *testing.T) {
	first, signer := newKey(t)
	second, rotated := newKey(t)
	_, stranger := newKey(t)
	p := one(t, "  authorities:\n  - key:\n      hashAlgorithm: SHA512\n      data: |\n"+indent(first+second, "        "))
	require.Equal(t, "sha512", p.Authorities[0].Trust.Key.Hash)
	require.Equal(t, first+second, p.Authorities[0].Trust.Key.PEM)
	for _, s := range []claim.Signer{signer, rotated} {
		judge(t, p, evidence{claims: []claim.Claim{signature(s)}}, nil, "")
	}
	judge(t, p, evidence{claims: []claim.Claim{signature(stranger)}}, policy.ErrIdentity, "wanted key "+signer.Key.String())
	judge(t, p, evidence{claims: []claim.Claim{signature(release)}}, policy.ErrIdentity, "github.com/shop/app")
	judge(t, p, evidence{claims: []claim.Claim{attestation(signer, vuln, "{}")}}, policy.ErrNoSignature, "")

	// For attestations too.
	p = one(t, "  authorities:\n  - attestations: [{name: scan, predicateType: vuln}]\n    key:\n      data: |\n"+indent(first+second, "        "))
	judge(t, p, evidence{claims: []claim.Claim{attestation(rotated, vuln, "{}")}}, nil, "")
	judge(t, p, evidence{claims: []claim.Claim{signature(rotated)}}, policy.ErrAttestation, "scan")
}

func TestKeysOnTheCommandLine(t *testing.T) {
	text, signer := newKey(t)
	set, err := policy.ForFlags(policy.Flags{Keys: text, RequireLog: true})
	require.NoError(t, err)
	matching, err := set.Select("oci-layout:/some dir", dgst)
	require.NoError(t, err)
	require.NotNil(t, matching[0].Trusts()[0].Log)
	judge(t, &matching[0], evidence{claims: []claim.Claim{signature(signer)}}, nil, "")
	judge(t, &matching[0], evidence{claims: []claim.Claim{signature(release)}}, policy.ErrIdentity, "wanted key")
	_, err = policy.ForFlags(policy.Flags{Keys: "no key"})
	require.ErrorIs(t, err, policy.ErrInvalid)
	_, err = policy.ForFlags(policy.Flags{Keys: text, Hash: "md5"})
	require.ErrorIs(t, err, policy.ErrInvalid)
}

// TestTrusts: a claim under one trust is none under another.
func TestTrusts(t *testing.T) {
	p := one(t, keyless+"    ctlog: {url: https://rekor.example}\n"+strings.TrimPrefix(strings.ReplaceAll(keyless, "name: release", "name: second"), "  authorities:\n"))
	require.Len(t, p.Trusts(), 2)
	first, second := p.Trusts()[0].ID(), p.Trusts()[1].ID()
	require.NotEqual(t, first, second)
	e := evidence{others: map[string][]claim.Claim{first: nil, second: {signature(release)}}}
	j := judge(t, p, e, nil, "")
	require.Equal(t, "second", j.Authority.Name)
	e.others[second] = nil
	require.False(t, p.Judge(context.Background(), theCase, e).Satisfied())

	same := one(t, keyless+strings.TrimPrefix(keyless, "  authorities:\n"))
	require.Len(t, same.Trusts(), 1)
	require.Empty(t, one(t, "  authorities: [{static: {action: pass}}]").Trusts())
}

const scan = `    attestations:
    - name: scan
      predicateType: vuln
      policy:
        type: cue
        data: |
          predicate: scanner!: "trivy"
    - name: sbom
      predicateType: https://spdx.dev/Document
      policy:
        type: rego
        data: |
          package sigstore
          isCompliant[r] { r := {"result": count(input.predicate.packages) > 0, "error": "no packages", "warning": ""} }
`

func TestAttestations(t *testing.T) {
	p := one(t, keyless+scan)
	good := attestation(release, vuln, `{"scanner": "trivy"}`)
	bad := attestation(release, vuln, `{"scanner": "none"}`)
	bare := attestation(release, vuln, `{}`)
	sbom := attestation(release, spdx, `{"packages": [1]}`)
	empty := attestation(release, spdx, `{"packages": []}`)

	j := judge(t, p, evidence{claims: []claim.Claim{bad, good, sbom}}, nil, "")
	require.Equal(t, []claim.Claim{good, sbom}, j.Claims)

	for _, c := range []struct {
		name   string
		claims []claim.Claim
		want   error
		text   string
	}{
		{"one is missing", []claim.Claim{good}, policy.ErrAttestation, "sbom wants " + spdx + ", welcome signers stated " + vuln},
		{"the policy refuses", []claim.Claim{bad, sbom}, policy.ErrInnerPolicy, `conflicting values "none" and "trivy"`},
		{"what the policy demands is not there", []claim.Claim{bare, sbom}, policy.ErrInnerPolicy, "required but not present"},
		{"Rego refuses", []claim.Claim{good, empty}, policy.ErrInnerPolicy, "no packages"},
		{"a stranger stated it", []claim.Claim{attestation(mallory, vuln, `{"scanner": "trivy"}`), sbom}, policy.ErrIdentity, "mallory"},
		{"a signature is no scan", []claim.Claim{signature(release), sbom}, policy.ErrAttestation, "scan"},
		{"the type is only said to be", []claim.Claim{{Kind: claim.Attestation, Signer: release, PredicateType: vuln}, sbom}, policy.ErrAttestation, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := judge(t, p, evidence{claims: c.claims}, c.want, c.text)
			var failure *policy.AttestationError
			if !errors.Is(c.want, policy.ErrIdentity) {
				require.ErrorAs(t, errors.Join(j.Reasons...), &failure)
				require.NotEmpty(t, failure.Wanted.Name)
			}
			for _, r := range j.Reasons {
				require.LessOrEqual(t, len(r.Error()), 300)
			}
		})
	}
}

// TestByproducts: a document that signed provenance vouches for is a statement
// of whoever signed the provenance.
func TestByproducts(t *testing.T) {
	p := one(t, keyless+scan)
	built := attestation(release, provenance, "{}")
	scanned := attestation(release, vuln, `{"scanner": "trivy"}`)
	e := evidence{claims: []claim.Claim{built, scanned}, byproducts: map[string]string{spdx: `{"packages": ["<a>"]}`}}
	judge(t, p, e, nil, "")

	e.byproducts[spdx] = `{"packages": []}`
	judge(t, p, e, policy.ErrInnerPolicy, "no packages")
	e.byproducts = nil
	judge(t, p, e, errNotThere, "sbom")
	e.err = errUnreachable
	judge(t, p, e, errUnreachable, "no answer")

	e = evidence{claims: []claim.Claim{attestation(mallory, provenance, "{}"), scanned}, byproducts: map[string]string{spdx: `{"packages": [1]}`}}
	judge(t, p, e, policy.ErrAttestation, "sbom")
	// Who states an SBOM himself is judged by it, whatever else there is.
	e = evidence{claims: []claim.Claim{built, scanned, attestation(release, spdx, `{"packages": []}`)}, byproducts: map[string]string{spdx: `{"packages": [1]}`}}
	judge(t, p, e, policy.ErrInnerPolicy, "no packages")
}

// TestPod: what depends on the pod is not decided, unless it does not matter.
func TestPod(t *testing.T) {
	signed := evidence{claims: []claim.Claim{signature(release)}}
	p := one(t, keyless+"  match: [{resource: pods, version: v1, selector: {matchLabels: {a: b}}}]\n")
	require.False(t, p.NeedsEvidence())
	judge(t, p, nil, policy.ErrNeedsPod, "spec.match")

	for _, field := range []string{"includeSpec", "includeObjectMeta", "includeTypeMeta"} {
		p = one(t, keyless+"  policy: {type: cue, data: \"a: 1\", "+field+": true}\n")
		judge(t, p, signed, policy.ErrNeedsPod, field)
		judge(t, p, evidence{claims: []claim.Claim{signature(mallory)}}, policy.ErrIdentity, "mallory")
		p = one(t, keyless+"  policy: {type: cue, data: \"a: 1\", "+field+": false}\n")
		judge(t, p, signed, nil, "")
	}

	p = one(t, keyless+"    source: [{oci: registry.example/signatures, signaturePullSecrets: [{name: s}]}]\n")
	judge(t, p, signed, nil, "")
	judge(t, p, evidence{}, policy.ErrNeedsPod, "signaturePullSecrets")
	judge(t, p, evidence{claims: []claim.Claim{attestation(release, vuln, "{}")}}, policy.ErrNeedsPod, "")
}

func TestFormats(t *testing.T) {
	legacy := signature(release)
	legacy.Format = claim.Legacy
	p := one(t, keyless+"    signatureFormat: legacy\n")
	judge(t, p, evidence{claims: []claim.Claim{legacy}}, nil, "")
	judge(t, p, evidence{claims: []claim.Claim{signature(release)}}, policy.ErrFormat, "bundle, wanted legacy")
	p = one(t, keyless+"    signatureFormat: bundle\n")
	judge(t, p, evidence{claims: []claim.Claim{legacy}}, policy.ErrFormat, "legacy, wanted bundle")
}

// TestNotation: who signed is part of the verification, in what format is not.
func TestNotation(t *testing.T) {
	parse := func(authority string) ([]policy.Policy, error) {
		return policy.Parse("p.yaml", []byte("apiVersion: plombproject.github.io/v1\nkind: ImagePolicy\nmetadata: {name: n}\nspec:\n  images: [{glob: \"**\"}]\n  authorities: ["+authority+"]\n"))
	}
	policies, err := parse("{notation: {level: strict, trustStores: [\"ca:acme\"], trustedIdentities: [\"x509.subject: O=acme\"]}}")
	require.NoError(t, err)
	require.Equal(t, []policy.Trust{{Notation: &policy.NotationTrust{Level: "strict", TrustStores: []string{"ca:acme"}, TrustedIdentities: []string{"x509.subject: O=acme"}}}}, policies[0].Trusts())
	c := signature(claim.Signer{X509: "O=acme"})
	judge(t, &policies[0], evidence{claims: []claim.Claim{c}}, policy.ErrFormat, "bundle, wanted notation")
	c.Format = claim.Notation
	judge(t, &policies[0], evidence{claims: []claim.Claim{c}}, nil, "")

	for authority, want := range map[string]string{
		"{notation: {trustedIdentities: [\"*\"]}}":                                                  "nobody would be trusted",
		"{notation: {trustStores: [\"ca:a\"], trustedIdentities: []}}":                              "trustedIdentities is missing or empty",
		"{notation: {trustStores: [\"ca:a\"], trustedIdentities: [\"*\"], level: skip}}":            "want strict or permissive or audit",
		"{notation: {trustStores: [\"ca:a\"], trustedIdentities: [\"*\"]}, ctlog: {}}":              "has no ctlog",
		"{notation: {trustStores: [\"ca:a\"], trustedIdentities: [\"*\"]}, static: {action: pass}}": "exactly one of",
	} {
		_, err := parse(authority)
		require.ErrorIs(t, err, policy.ErrInvalid)
		require.ErrorContains(t, err, want)
	}
}

func TestStatic(t *testing.T) {
	pass := one(t, "  authorities: [{static: {action: fail, message: never}}, {name: ok, static: {action: pass}}]")
	require.False(t, pass.NeedsEvidence())
	require.Equal(t, "ok", judge(t, pass, nil, nil, "").Authority.Name)
	fail := one(t, "  authorities: [{static: {action: fail, message: never}}]")
	require.False(t, fail.NeedsEvidence())
	judge(t, fail, nil, policy.ErrStatic, "never")
}

func TestNoMatch(t *testing.T) {
	set := load(t, good)
	select1 := func(mode policy.NoMatch) (policy.Policy, error) {
		changed, err := set.WithNoMatch(mode)
		require.NoError(t, err)
		require.Equal(t, mode == policy.NoMatchDeny, changed.Digest() == set.Digest())
		matching, err := changed.Select("elsewhere.example/app:v1", dgst)
		if err != nil {
			return policy.Policy{}, err
		}
		require.Len(t, matching, 1)
		return matching[0], nil
	}
	_, err := select1(policy.NoMatchDeny)
	require.ErrorIs(t, err, policy.ErrNoMatch)

	p, err := select1(policy.NoMatchAllow)
	require.NoError(t, err)
	judge(t, &p, nil, nil, "")

	p, err = select1(policy.NoMatchWarn)
	require.NoError(t, err)
	require.Equal(t, policy.Warn, p.Mode)
	judge(t, &p, nil, policy.ErrNoMatch, "elsewhere.example")

	_, err = set.WithNoMatch("ignore")
	require.ErrorIs(t, err, policy.ErrInvalid)
	empty, err := policy.Load(t.TempDir())
	require.NoError(t, err)
	empty, err = empty.WithNoMatch(policy.NoMatchAllow)
	require.NoError(t, err)
	_, err = empty.Select("elsewhere.example/app:v1", dgst)
	require.ErrorIs(t, err, policy.ErrEmpty, "a folder that was not mounted")
}
