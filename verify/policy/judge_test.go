// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

const (
	vuln       = "https://cosign.sigstore.dev/attestation/vuln/v1"
	spdx       = "https://spdx.dev/Document"
	provenance = "https://slsa.dev/provenance/v1"
)

var (
	errNotThere    = errors.New("not there")
	errUnreachable = errors.New("no answer")
)

// evidence is what tests know about a manifest.
type evidence struct {
	// claims are those under any trust but those in others.
	claims []claim.Claim
	others map[string][]claim.Claim
	config string
	// byproducts are by predicate type.
	byproducts map[string]string
	err        error
}

func (e evidence) Claims(t policy.Trust) []claim.Claim {
	if claims, ok := e.others[t.ID()]; ok {
		return claims
	}
	return e.claims
}

func (e evidence) Config(context.Context) ([]byte, error) { return []byte(e.config), e.err }

func (e evidence) Byproduct(_ context.Context, _ claim.Claim, predicateType string) ([]byte, error) {
	if text, ok := e.byproducts[predicateType]; ok {
		return []byte(text), nil
	}
	return nil, errors.Join(errNotThere, e.err)
}

func (evidence) Material(context.Context, string, digest.Digest, string) error { return errNotThere }

var (
	release = claim.Signer{
		Issuer: "https://issuer.example", Subject: "https://github.com/shop/app",
		Authorities: []string{"https://fulcio.example"},
		Extensions:  map[string]string{"githubWorkflowRef": "refs/heads/main", "githubWorkflowSHA": "abc"},
	}
	mallory = claim.Signer{Issuer: "https://issuer.example", Subject: "https://github.com/mallory/app", Authorities: []string{"https://fulcio.example"}}
)

func signature(s claim.Signer) claim.Claim {
	return claim.Claim{Kind: claim.Signature, Format: claim.Bundle, Scope: claim.Index, Signer: s, Evidence: digest.FromString(s.String())}
}

func attestation(s claim.Signer, predicateType, predicate string) claim.Claim {
	statement := fmt.Sprintf(`{"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": %q, "predicate": %s}`, predicateType, predicate)
	c := claim.Claim{
		Kind: claim.Attestation, Format: claim.Bundle, Scope: claim.Index, Signer: s, Evidence: digest.FromString(statement),
		PredicateType: predicateType, Statement: []byte(statement), Predicate: []byte(predicate),
	}
	if predicateType == provenance {
		c.Kind = claim.Signature
	}
	return c
}

// newKey makes a key pair: the public key in PEM and who signs with it.
func newKey(t *testing.T) (string, claim.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return text, claim.Signer{Key: digest.FromBytes(der)}
}

// one parses a policy of which spec is given, indented by two.
func one(t *testing.T, spec string) *policy.Policy {
	t.Helper()
	set := load(t, document(spec))
	require.Len(t, set.Policies(), 1)
	return &set.Policies()[0]
}

func document(spec string) string {
	return "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: demo}\nspec:\n  images: [{glob: \"**\"}]\n" + spec + "\n"
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by) + "\n"
}

var theCase = policy.Case{
	Name: "registry.example/shop/app:v1", Digest: dgst, Manifest: digest.FromString("manifest"),
	ImageID: digest.FromString("config"), Now: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
}

// judge wants the policy satisfied if no error is given, and otherwise refused
// for that reason.
func judge(t *testing.T, p *policy.Policy, e policy.Evidence, want error, text string) policy.Judgement {
	t.Helper()
	j := p.Judge(context.Background(), theCase, e)
	if want == nil {
		require.True(t, j.Satisfied(), "%v", j.Reasons)
		require.Empty(t, j.Reasons)
		return j
	}
	require.False(t, j.Satisfied())
	require.Empty(t, j.Claims)
	err := errors.Join(j.Reasons...)
	require.ErrorIs(t, err, want)
	require.ErrorContains(t, err, text)
	for _, r := range j.Reasons {
		require.NotContains(t, r.Error(), "\n")
	}
	return j
}

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
	judge(t, p, evidence{claims: []claim.Claim{signature(mallory)}}, policy.ErrIdentity, "mallory/app, wanted ~^https")
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

const twoOfTwo = `  policy:
    type: cue
    data: |
      import "list"
      authorityMatches: {
        release: signatures: list.MinItems(1) & [...{issuer!: "https://issuer.example", githubWorkflowRef!: "refs/heads/main", githubWorkflowSha!: "abc", id!: =~"^[0-9a-f]{64}$"}]
        key: attestations: scan: [{predicateType!: "vuln", digest!: =~"^sha256:"}]
      }
`

// TestPolicyOverAllAuthorities: N of M.
func TestPolicyOverAllAuthorities(t *testing.T) {
	text, signer := newKey(t)
	p := one(t, keyless+"  - name: key\n    attestations: [{name: scan, predicateType: vuln}]\n    key:\n      data: |\n"+indent(text, "        ")+twoOfTwo)
	both := []claim.Claim{signature(release), attestation(signer, vuln, "{}")}
	judge(t, p, evidence{claims: both}, nil, "")
	judge(t, p, evidence{claims: both[:1]}, policy.ErrInnerPolicy, "key.attestations")
	judge(t, p, evidence{claims: both[1:]}, policy.ErrInnerPolicy, "release")

	stranger := release
	stranger.Extensions = map[string]string{"githubWorkflowRef": "refs/heads/evil", "githubWorkflowSHA": "abc"}
	judge(t, p, evidence{claims: []claim.Claim{signature(stranger), both[1]}}, policy.ErrInnerPolicy, "refs/heads/evil")
}

func TestPolicyOverTheConfig(t *testing.T) {
	p := one(t, `  authorities: [{name: all, static: {action: pass}}]
  policy:
    type: rego
    fetchConfigFile: true
    data: |
      package sigstore
      isCompliant { input.authorityMatches.all.static; input.config["linux/arm/v7"].config.User == "65532" }
`)
	require.True(t, p.NeedsEvidence())
	config := `{"os": "linux", "architecture": "arm", "variant": "v7", "config": {"User": "65532"}}`
	judge(t, p, evidence{config: config}, nil, "")
	judge(t, p, evidence{config: strings.Replace(config, "65532", "root", 1)}, policy.ErrInnerPolicy, "isCompliant is not true")
	judge(t, p, evidence{config: strings.Replace(config, "v7", "v6", 1)}, policy.ErrInnerPolicy, "")
	judge(t, p, evidence{config: `{"os": "linux", "os": "windows"}`}, policy.ErrNoResult, "image config")
	judge(t, p, evidence{config: config, err: errUnreachable}, errUnreachable, "")
}

// TestTheSameQuestionIsAnsweredOnce: and another time is another question.
func TestTheSameQuestionIsAnsweredOnce(t *testing.T) {
	p := one(t, plain+`    attestations:
    - name: slow
      predicateType: vuln
      policy:
        type: rego
        data: |
          package sigstore
          isCompliant { n := numbers.range(1, 200000); count(n) > 0; time.now_ns() < 1800000000000000000 }
`)
	e := evidence{claims: scanned}
	start := time.Now()
	judge(t, p, e, nil, "")
	first := time.Since(start)
	start = time.Now()
	for range 10 {
		judge(t, p, e, nil, "")
	}
	require.Less(t, time.Since(start), first)

	later := theCase
	later.Now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	j := p.Judge(context.Background(), later, e)
	require.ErrorIs(t, errors.Join(j.Reasons...), policy.ErrInnerPolicy)
}

// TestPolicyWithoutEnd: what does not end admits nothing, and is not the fault
// of the image.
func TestPolicyWithoutEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	p := one(t, `  authorities: [{static: {action: pass}}]
  policy:
    type: rego
    data: |
      package sigstore
      isCompliant { count(numbers.range(1, 1000000000)) > 0 }
`)
	j := p.Judge(ctx, theCase, evidence{})
	require.False(t, j.Satisfied())
	require.ErrorIs(t, j.Reasons[0], policy.ErrNoResult)
	require.ErrorIs(t, j.Reasons[0], context.DeadlineExceeded)
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
