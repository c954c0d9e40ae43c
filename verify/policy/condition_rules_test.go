// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/claim"
)

func celRule(source string) string {
	return "  rules:\n  - name: r\n    message: ask the release team\n    cel: |\n      " + source + "\n"
}

func regoRule(body string) string {
	return "  rules:\n  - name: r\n    rego: |\n      package plomb\n      " + body + "\n"
}

const spdx = `{"spdxVersion":"SPDX-2.3","packages":[{"name":"openssl","versionInfo":"3.0.11","supplier":"Organization: Debian","licenseDeclared":"Apache-2.0","licenseConcluded":"NOASSERTION",
"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:deb/debian/openssl@3.0.11-1~deb12u1"}]}]}`

// The same question, asked in both languages, has the same answer.
func TestRules(t *testing.T) {
	byAnother := signed(func(c *claim.Claim) { c.Signer.Extensions = map[string]string{"runnerEnvironment": "self-hosted"} })
	untimed := signed(func(c *claim.Claim) { c.SignedAt = time.Time{} })
	full := known{config: `{"config":{"User":"1000"}}`, byproducts: map[string]string{"https://spdx.dev/Document": spdx}}
	scan := stated(predicateVuln, `{"result":[]}`)
	for _, c := range []struct {
		name, cel, rego string
		claims          []claim.Claim
		known           known
		// wantRego is for answers that Rego cannot tell from no.
		want, wantRego error
		until          time.Duration
	}{
		{name: "image", cel: `image.repository == "registry.example/shop/app" && image.tag == "v1" && image.platform.os == "linux"`,
			rego: `allow if { input.image.repository == "registry.example/shop/app"; input.image.tag == "v1"; input.image.platform.os == "linux" }`},
		{name: "extension", cel: `signature.extensions["runnerEnvironment"] == "github-hosted"`, rego: `allow if input.signature.extensions.runnerEnvironment == "github-hosted"`},
		{name: "another extension", cel: `signature.extensions["runnerEnvironment"] == "github-hosted"`, rego: `allow if input.signature.extensions.runnerEnvironment == "github-hosted"`,
			claims: []claim.Claim{byAnother}, want: ErrRule},
		{name: "one of two signatures", cel: `signature.extensions["runnerEnvironment"] == "github-hosted"`, rego: `allow if input.signature.extensions.runnerEnvironment == "github-hosted"`,
			claims: []claim.Claim{byAnother, signed(nil)}},
		{name: "all signatures", cel: `signatures.all(s, s.extensions["runnerEnvironment"] == "github-hosted")`,
			rego: `allow if { every s in input.signatures { s.extensions.runnerEnvironment == "github-hosted" } }`, claims: []claim.Claim{byAnother, signed(nil)}, want: ErrRule},
		{name: "provenance", cel: `provenance.buildDefinition.buildType.startsWith("https://plombproject.github.io/")`,
			rego: `allow if startswith(input.provenance.buildDefinition.buildType, "https://plombproject.github.io/")`},
		{name: "provenance and who signed it, not who signed besides", cel: `provenance.buildDefinition.buildType != "" && signature.extensions["runnerEnvironment"] == "self-hosted"`,
			rego:   `allow if { input.provenance.buildDefinition.buildType != ""; input.signature.extensions.runnerEnvironment == "self-hosted" }`,
			claims: []claim.Claim{provenanceClaim(nil), byAnother}, want: ErrRule},
		{name: "no provenance", cel: `provenance.buildDefinition.buildType != ""`, rego: `allow if input.provenance.buildDefinition.buildType != ""`,
			claims: []claim.Claim{signed(nil)}, want: ErrNoProvenance},
		{name: "member that is not there", cel: `provenance.buildDefinition.x != ""`, rego: `allow if input.provenance.buildDefinition.x != ""`, want: ErrRuleAnswer, wantRego: ErrRule},
		{name: "attestations", cel: `attestations["https://cosign.sigstore.dev/attestation/vuln/v1"].exists(p, p.result.size() == 0)`,
			rego: `allow if { some p in input.attestations["https://cosign.sigstore.dev/attestation/vuln/v1"]; count(p.result) == 0 }`, claims: []claim.Claim{signed(nil), scan}},
		{name: "no attestation", cel: `attestations["https://example.com/x"].exists(p, true)`, rego: `allow if { some p in input.attestations["https://example.com/x"]; p != null }`, want: ErrRuleAnswer, wantRego: ErrRule},
		{name: "config", cel: `config.config.User != "root"`, rego: `allow if input.config.config.User != "root"`},
		{name: "config that is broken", cel: `config.config.User != "root"`, rego: `allow if input.config.config.User != "root"`, known: known{config: `{"a":1,"a":2}`}, want: ErrRuleAnswer},
		{name: "SBOM", cel: `sbom.packages.exists(p, p.name == "openssl" && p.version == "3.0.11" && p.licenses == ["Apache-2.0"] && p.supplier.contains("Debian"))`,
			rego: `allow if { some p in input.sbom.packages; p.name == "openssl"; p.licenses == ["Apache-2.0"] }`},
		{name: "no SBOM", cel: `sbom.packages.all(p, false)`, rego: `allow if count(input.sbom.packages) == 0`, claims: []claim.Claim{signed(nil)}, want: ErrNoSBOM},
		{name: "swapped SBOM", cel: `sbom.packages.all(p, p.name != "evil")`, rego: `allow if count(input.sbom.packages) > 0`, known: known{config: "{}"}, want: ErrByproduct},
		{name: "now", cel: `now == timestamp("2026-05-20T12:00:00Z") && now - signature.signedAt < duration("48h")`,
			rego: `allow if { input.now == "2026-05-20T12:00:00Z"; time.now_ns() - time.parse_rfc3339_ns(input.signature.signedAt) < 48 * 3600 * 1000000000 }`, until: 30 * time.Second},
		{name: "no trusted time is neither early nor late", cel: `!(signature.signedAt > timestamp("2026-05-01T00:00:00Z"))`,
			rego: `allow if time.parse_rfc3339_ns(input.signature.signedAt) < 0`, claims: []claim.Claim{untimed}, want: ErrRuleAnswer, wantRego: ErrRule},
	} {
		if c.claims == nil {
			c.claims = []claim.Claim{provenanceClaim(nil)}
		}
		if c.known.config == "" {
			c.known = full
		}
		first := trial{name: c.name + " in CEL", fields: celRule(c.cel), claims: c.claims, known: c.known, want: c.want, until: c.until}
		t.Run(first.name, first.run)
		if c.wantRego != nil {
			c.want = c.wantRego
		}
		second := trial{name: c.name + " in Rego", fields: regoRule(c.rego), claims: c.claims, known: c.known, want: c.want, until: c.until}
		t.Run(second.name, second.run)
	}
	runAll(t, []trial{
		{name: "message", fields: celRule("image.tag == 'v2'"), claims: []claim.Claim{signed(nil)}, want: ErrRule, says: "r (p.yaml:14): a rule does not hold: the expression is false: ask the release team"},
		{name: "messages of Rego", fields: regoRule("allow := true\n      deny contains \"no tags\" if input.image.tag != \"\""), claims: []claim.Claim{signed(nil)}, want: ErrRule, says: "r (p.yaml:14): a rule does not hold: the Rego policy does not hold: no tags"},
	})
}

// Documents are fetched by rules that look at them, once for all rules.
func TestRulesFetchWhatTheyLookAt(t *testing.T) {
	e := &known{claims: []claim.Claim{provenanceClaim(nil)}, config: "{}", byproducts: map[string]string{"https://spdx.dev/Document": spdx}}
	rules := func(list ...string) string {
		text := "  rules:\n"
		for i, r := range list {
			text += "  - {name: r" + string(rune('a'+i)) + ", " + r + "}\n"
		}
		return text
	}
	p := loadPolicy(t, rules("cel: 'signature.logged'", "cel: 'provenance.buildDefinition != null'", "rego: \"package plomb\\nallow if input.signature.logged\""))
	require.True(t, p.Judge(t.Context(), shop(), e).Satisfied())
	require.Empty(t, e.asked)

	p = loadPolicy(t, rules("cel: 'config != null'", "cel: 'sbom.packages.size() == 1'", "cel: 'sbom.packages.size() > 0'",
		"rego: \"package plomb\\nallow if { input.sbom.packages; input.config }\"", "rego: \"package plomb\\nallow if { count(input) > 3 }\""))
	require.True(t, p.Judge(t.Context(), shop(), e).Satisfied())
	require.Equal(t, []string{"config", "https://spdx.dev/Document"}, e.asked)

	// A request that fails says nothing about the image, and admits nothing.
	broken := errors.New("connection reset")
	e = &known{claims: e.claims, err: broken}
	j := p.Judge(t.Context(), shop(), e)
	require.False(t, j.Satisfied())
	require.ErrorIs(t, j.Reasons[0], broken)
	require.NotErrorIs(t, j.Reasons[0], ErrRule)
}

// Whoever writes the documents must not make a rule run for ever.
func TestRuleBombs(t *testing.T) {
	many := provenanceClaim(func(p *slsa.Provenance) {
		for range 3000 {
			p.BuildDefinition.ResolvedDependencies = append(p.BuildDefinition.ResolvedDependencies, slsa.ResourceDescriptor{URI: "x"})
		}
	})
	const loop = "provenance.buildDefinition.resolvedDependencies"
	runAll(t, []trial{
		{name: "CEL", fields: celRule(loop + ".all(a, " + loop + ".all(b, a.uri != b.uri || a.uri == b.uri))"), claims: []claim.Claim{many}, want: ErrRuleAnswer, says: "cost limit"},
	})

	p := loadPolicy(t, regoRule(`allow if { d := input.provenance.buildDefinition.resolvedDependencies; count([1 | a := d[_]; b := d[_]; c := d[_]; a.uri == b.uri; b.uri == c.uri]) < 0 }`))
	ctx, cancel := contextFor(t, 100*time.Millisecond)
	defer cancel()
	started := time.Now()
	j := p.Judge(ctx, shop(), &known{claims: []claim.Claim{many}})
	require.False(t, j.Satisfied())
	require.Less(t, time.Since(started), 10*time.Second, "without the deadline it takes minutes")
}

// Static policies have no signature, and no evidence to look at.
func TestRulesWithoutClaims(t *testing.T) {
	f := func(fields string) outcome {
		return hold(t.Context(), loadPolicy(t, fields).conditions, shop(), nil, nil)
	}
	require.Empty(t, f(celRule("image.tag == 'v1'")).reasons)
	for source, want := range map[string]error{
		"signature.logged || true": ErrRuleAnswer, "provenance == null || true": ErrNoProvenance, "config == null || true": ErrRuleAnswer, "sbom.packages.size() == 0": ErrNoSBOM,
	} {
		out := f(celRule(source))
		require.Len(t, out.reasons, 1)
		require.ErrorIs(t, out.reasons[0], want, source)
	}
}

func BenchmarkTenRules(b *testing.B) {
	rules := "  rules:\n"
	for i := range 10 {
		rules += "  - name: r" + string(rune('0'+i)) + "\n    cel: signature.extensions['runnerEnvironment'] == 'github-hosted' && provenance.buildDefinition.resolvedDependencies.all(d, d.uri != '" + string(rune('0'+i)) + "')\n"
	}
	p := loadPolicy(b, rules)
	claims := []claim.Claim{provenanceClaim(nil)}
	b.ReportAllocs()
	for b.Loop() {
		require.Empty(b, hold(b.Context(), p.conditions, shop(), nil, claims).reasons)
	}
}

// A module must get what it looks at, or refuse: a list of denials over an SBOM
// that is not there would be empty.
func TestRegoMentions(t *testing.T) {
	for body, want := range map[string]bool{
		"allow := true\ndeny contains p if some p in input.sbom.packages":                 true,
		`allow if input["sbom"].packages`:                                                 true,
		"allow if { x := input\n x.sbom.packages }":                                       true,
		"allow if { x := input # all\n x.sbom }":                                          true,
		"allow if walk(input, [[\"sbom\"], _])":                                           true,
		"import input.sbom as s\nallow if count(s.packages) > 0":                          true,
		"import input\nallow if input.sbom":                                               true,
		"allow if { some k; input[k] }":                                                   true,
		"f(x) := x.sbom\nallow if f(input)":                                               true,
		"allow if { m := {\"a\": input} ; m.a.sbom }":                                     true,
		"allow if { $\"{input.sbom}\" != \"\" }":                                          true,
		"allow if input.image.tag # input.sbom, input":                                    false,
		"allow := true\ndeny contains \"no input.sbom in \\\" input\" if not input.image": false,
		"allow := true\ndeny contains `input[x]` if not input.signatures":                 false,
	} {
		p, err := compileRego("package plomb\n" + body)
		require.NoError(t, err, body)
		require.Equal(t, want, p.mentions("sbom"), body)
	}
	p, err := compileRego("package plomb\nallow if time.now_ns() > 0")
	require.NoError(t, err)
	require.True(t, p.mentions("now"))
	runAll(t, []trial{
		{name: "denials over no SBOM", fields: regoRule("allow := true\n      deny contains p.name if some p in input.sbom.packages"), claims: []claim.Claim{signed(nil)}, want: ErrNoSBOM},
	})
}
