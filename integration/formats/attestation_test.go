// SPDX-License-Identifier: Apache-2.0

//go:build integration

package formats

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// A kind of attestation, with two policies in each language: one that holds and
// one that does not.
type kind struct {
	name, uri string
	holds     map[string]string
	fails     map[string]string
}

// rego is a rule of Rego v0 as policy-controller wants it.
func rego(condition string) string {
	return "package sigstore\ndefault isCompliant = false\nisCompliant {\n  " + condition + "\n}\n"
}

func kinds() []kind {
	return []kind{
		{
			name: "vuln", uri: "https://cosign.sigstore.dev/attestation/vuln/v1",
			holds: map[string]string{
				"cue":  `predicate: scanner: {uri: "https://scanner.example", result: critical: <1}` + "\n",
				"rego": rego(`input.predicate.scanner.result.critical == 0`),
			},
			fails: map[string]string{
				"cue":  `predicate: scanner: result: critical: >0` + "\n",
				"rego": rego(`input.predicate.scanner.result.critical > 0`),
			},
		},
		{
			name: "spdxjson", uri: "https://spdx.dev/Document",
			holds: map[string]string{
				"cue":  `predicate: spdxVersion: =~"^SPDX-2"` + "\n",
				"rego": rego(`startswith(input.predicate.spdxVersion, "SPDX-2")`),
			},
			fails: map[string]string{
				"cue":  `predicate: spdxVersion: =~"^SPDX-3"` + "\n",
				"rego": rego(`startswith(input.predicate.spdxVersion, "SPDX-3")`),
			},
		},
		{
			name: "slsaprovenance1", uri: "https://slsa.dev/provenance/v1",
			holds: map[string]string{
				"cue":  `predicate: runDetails: builder: id: "https://builder.example"` + "\n",
				"rego": rego(`input.predicate.runDetails.builder.id == "https://builder.example"`),
			},
			fails: map[string]string{
				"cue":  `predicate: runDetails: builder: id: "https://other.example"` + "\n",
				"rego": rego(`input.predicate.runDetails.builder.id == "https://other.example"`),
			},
		},
		{
			name: "custom", uri: "https://cosign.sigstore.dev/attestation/v1",
			holds: map[string]string{
				"cue":  `predicateType: "https://cosign.sigstore.dev/attestation/v1"` + "\n",
				"rego": rego(`input.predicateType == "https://cosign.sigstore.dev/attestation/v1"`),
			},
			fails: map[string]string{
				"cue":  `predicateType: "https://example.com/other"` + "\n",
				"rego": rego(`input.predicateType == "https://example.com/other"`),
			},
		},
	}
}

// attestationPolicy asks for an attestation of that kind, and for a rule about
// it unless the language is empty.
func attestationPolicy(a authority, predicateType, language, rule string) authority {
	text := "attestations:\n- name: wanted\n  predicateType: " + predicateType + "\n"
	if language != "" {
		text += "  policy:\n    type: " + language + "\n    data: |\n" + indent(rule, 6)
	}
	return a.with(text)
}

// TestAttestations has each kind of attestation in both forms, by key and
// keyless, under rules in both languages.
func TestAttestations(t *testing.T) {
	for _, k := range kinds() {
		for _, form := range []form{bundle, legacy} {
			for _, keyless := range []bool{false, true} {
				m := method{signer: mine, keyless: keyless, proof: both, form: form}
				t.Run(strings.Join([]string{k.name, string(form), signerName(m)}, "/"), func(t *testing.T) {
					t.Parallel()
					k.check(t, m)
				})
			}
		}
	}
}

func (k kind) check(t *testing.T, m method) {
	t.Helper()
	host := on.Registry
	if m.keyless {
		host = withAPI
	}
	i := clone(t, plain, host)
	attest(t, m, i.at(i.index), k.name)
	who := keylessAuthority()
	if !m.keyless {
		who = keyAuthority(t, mine)
	}
	ask := func(status int, predicateType, language, rule string) {
		t.Helper()
		verified(t, status, i.at(i.top()), policy(t, attestationPolicy(who, predicateType, language, rule))...)
		more := []string{"--type", predicateType}
		if language != "" {
			more = append(more, "--policy", ruleFile(t, language, rule))
		}
		accepted := cosignAccepts(t, "verify-attestation", m.by(), m.form, i.at(i.index), more...)
		require.Equal(t, status == allowed, accepted, "cosign: %s %s", predicateType, rule)
	}
	ask(allowed, k.name, "", "")
	ask(allowed, k.uri, "", "")
	for _, language := range []string{"cue", "rego"} {
		ask(allowed, k.name, language, k.holds[language])
		ask(denied, k.name, language, k.fails[language])
	}
	// Another kind is not this one.
	ask(denied, "openvex", "", "")
	// Nor is somebody else's.
	verified(t, denied, i.at(i.top()), policy(t, attestationPolicy(keyAuthority(t, theirs), k.name, "", ""))...)
}

func ruleFile(t *testing.T, language, rule string) string {
	t.Helper()
	name := "rule." + language
	if language == "rego" {
		// cosign's own words differ from policy-controller's.
		rule = strings.NewReplacer("package sigstore", "package signature", "isCompliant", "allow").Replace(rule)
	}
	return filepath.Join(harness.Folder(t, map[string]string{name: rule}), name)
}

// Each attestation that a policy names has to be there, and a rule over all of
// them sees all of them.
func TestSeveralAttestations(t *testing.T) {
	t.Parallel()
	m := method{signer: mine, proof: none, form: bundle}
	i := clone(t, plain, on.Registry)
	attest(t, m, i.at(i.index), "vuln")
	two := "  authorities:\n  - name: ci\n" + indent(string(keyAuthority(t, mine)), 4) +
		"    attestations:\n    - {name: scan, predicateType: vuln}\n    - {name: sbom, predicateType: spdxjson}\n"
	verified(t, denied, i.at(i.top()), policyOf(t, two)...)
	attest(t, m, i.at(i.index), "spdxjson")
	verified(t, allowed, i.at(i.top()), policyOf(t, two)...)
	whole := func(rule string) []string {
		return policyOf(t, two+"  policy:\n    type: cue\n    data: |\n"+indent(rule, 6))
	}
	verified(t, allowed, i.at(i.top()), whole("authorityMatches: ci: attestations: {scan: [_, ...], sbom: [_, ...]}\n")...)
	verified(t, denied, i.at(i.top()), whole("authorityMatches: ci: attestations: vex: [_, ...]\n")...)
}
