// SPDX-License-Identifier: Apache-2.0

package policytest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

const image = "image: registry.example/app:v1\nnow: 2026-01-01T00:00:00Z\n"

const keyless = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: p
spec:
  images:
  - glob: "registry.example/**"
  authorities:
  - name: a
    keyless:
      identities:
      - issuer: https://issuer.example
        subject: ann@shop.example
`

func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// judge runs one case of its own.
func judge(t *testing.T, policy, input, expected string) Result {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "policy.yaml"), policy)
	write(t, filepath.Join(dir, "cases", "one", inputFile), input)
	write(t, filepath.Join(dir, "cases", "one", expectedFile), expected)
	suites, err := Find(dir)
	require.NoError(t, err)
	require.Len(t, suites, 1)
	results := suites[0].Run(context.Background(), func(string) bool { return true })
	require.Len(t, results, 1)
	require.True(t, strings.HasSuffix(results[0].Case, "/one"))
	require.Equal(t, len(results[0].Failures) == 0, results[0].OK)
	return results[0]
}

const ann = "- signer: {issuer: 'https://issuer.example', subject: ann@shop.example}\n"

// Under what a claim verifies decides whether a policy sees it.
func TestClaimsCountUnderTheirTrustOnly(t *testing.T) {
	for name, c := range map[string]struct {
		claim string
		want  decision.Verdict
	}{
		"as cosign does it":   {ann, decision.Allow},
		"not logged":          {ann + "  logged: false\n", decision.Deny},
		"no SCT":              {ann + "  trust: {sct: false}\n", decision.Deny},
		"another root":        {ann + "  trust: {root: other}\n", decision.Deny},
		"timestamp alone":     {ann + "  trust: {timestamp: ''}\n", decision.Deny},
		"attestation":         {ann + "  predicateType: vuln\n", decision.Deny},
		"provenance":          {ann + "  predicateType: slsaprovenance1\n", decision.Allow},
		"called attestation":  {ann + "  predicateType: slsaprovenance1\n  kind: attestation\n", decision.Deny},
		"another subject":     {strings.Replace(ann, "ann@", "bob@", 1), decision.Deny},
		"key":                 {"- signer: {key: 'sha256:" + strings.Repeat("ab", 32) + "'}\n", decision.Deny},
		"notation":            {"- signer: {x509: CN=ann, trustStore: 'ca:shop'}\n", decision.Deny},
		"certificate of ours": {ann + "  trust: {authority: ../../policy.yaml}\n", ""},
	} {
		r := judge(t, keyless, image+"claims:\n"+c.claim, "verdict: allow\n")
		if c.want == "" {
			require.Nil(t, r.Decision, name)
			continue
		}
		require.NotNil(t, r.Decision, "%s: %v", name, r.Failures)
		require.Equal(t, c.want, r.Decision.Verdict, "%s: %s", name, r.Decision.Reason)
	}
}

// What cannot be meant is said, and is no success.
func TestBrokenCases(t *testing.T) {
	for input, want := range map[string]string{
		"":                            "the file is empty",
		"image: a\nimages: b\n":       "input.yaml:2: unknown field images",
		"image: [\n":                  "input.yaml:",
		"image: [a]\nmanifests: b\n":  "input.yaml:1: cannot unmarshal",
		image + "---\nimage: b":       "more than one document",
		"now: x\nimage: a\n":          "now:",
		"image: a\n":                  "now is missing",
		"now: 2026-01-01T00:00:00Z\n": "image is missing",
		image + "digest: sha256:1\n":  "digest:",
		image + "platform: ''\nmanifests:\n- {}\nlazy: true\n":                              "not both",
		image + "manifest: x\n":                                                             "manifest:",
		image + "claims:\n- {}\n":                                                           "claims[0]: signer",
		image + "claims:\n- signer: {issuer: a, subject: b, x509: c}\n":                     "claims[0]: signer",
		image + "claims:\n" + ann + "  kind: approval\n":                                    `kind is "approval"`,
		image + "claims:\n" + ann + "  kind: attestation\n":                                 "needs a predicateType",
		image + "claims:\n" + ann + "  predicate: {}\n":                                     "without predicateType",
		image + "claims:\n" + ann + "  signedAt: soon\n":                                    "signedAt",
		image + "claims:\n" + ann + "  logged: false\n  signedAt: 2026-01-01T00:00:00Z\n":   "no trusted time",
		image + "claims:\n" + ann + "  predicateType: vuln\n  predicateFile: /etc/passwd\n": "relative",
		image + "claims:\n" + ann + "  predicateType: vuln\n  predicateFile: none.json\n":   "no such file",
		image + "claims:\n" + ann + "  predicateType: vuln\n  predicateFile: input.yaml\n":  "not JSON",
		image + "byproducts:\n- predicateType: spdx\n":                                      "byproducts[0]",
		image + "materials:\n- digest: x\n":                                                 "materials[0]",
	} {
		r := judge(t, keyless, input, "verdict: allow\n")
		require.False(t, r.OK, input)
		require.Contains(t, strings.Join(r.Failures, "\n"), want, input)
	}
	for expected, want := range map[string]string{
		"":                                  "the file is empty",
		"verdict: maybe\n":                  `verdict is "maybe"`,
		"verdict: deny\nverdikt: deny\n":    "expected.yaml:2: unknown field verdikt",
		"verdict: deny\nchangesAt: later\n": "changesAt",
	} {
		r := judge(t, keyless, image, expected)
		require.Contains(t, strings.Join(r.Failures, "\n"), want, expected)
	}
	r := judge(t, "kind: x\n", image, "verdict: undecided\n")
	require.False(t, r.OK, "a broken policy fails every case, whatever is expected")
}

func TestExpectationsAreCompared(t *testing.T) {
	input := image + "claims:\n" + ann
	for expected, want := range map[string]string{
		"verdict: allow\nrule: p\nauthority: a\nchangesAt: never\nwarnings: []\n": "",
		"verdict: deny\n":                                   "verdict is allow",
		"verdict: allow\ncode: identity\n":                  "code is",
		"verdict: allow\nreason: nobody\n":                  "reason is",
		"verdict: allow\nrule: q\n":                         "rule and authority",
		"verdict: allow\nauthority: b\n":                    "rule and authority",
		"verdict: allow\nchangesAt: 2026-01-01T00:00:00Z\n": "changesAt is never",
		"verdict: allow\nwarnings: [x]\n":                   "warnings are 0",
	} {
		require.Contains(t, strings.Join(judge(t, keyless, input, expected).Failures, "\n"), want, expected)
	}
}

func TestFindWantsSuites(t *testing.T) {
	dir := t.TempDir()
	_, err := Find(dir)
	require.ErrorIs(t, err, ErrSuite)
	_, err = Find(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, ErrSuite)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", casesFolder), 0o700))
	_, err = Find(dir)
	require.ErrorContains(t, err, "has no cases")
	write(t, filepath.Join(dir, "a", casesFolder, "x", inputFile), image)
	suites, err := Find(dir)
	require.NoError(t, err)
	_, err = suites[0].Policies()
	require.ErrorContains(t, err, "has no policy.yaml")
}

func TestDistinguishedNames(t *testing.T) {
	require.Equal(t, []string{"CN=a,b", "O=shop", "C=US"}, attributes(`cn=a\,b, O=shop+C=US`))
	require.True(t, subset(attributes("C=US, O=shop"), attributes("CN=a,O=shop,C=US")))
	require.False(t, subset(attributes("C=US, O=shop"), attributes("CN=a,O=shop\\,C=US")))
	require.False(t, subset(attributes(""), attributes("CN=a")), "an empty name is nobody's")
}

// FuzzInput: whatever the file says, a case is judged or called broken.
func FuzzInput(f *testing.F) {
	f.Add(image + "claims:\n" + ann + "  predicateType: vuln\n  predicate: {a: [1, null, 2026-01-01]}\n")
	f.Add(image + "manifests:\n- platform: linux/arm64/v8\n  lazy: true\n  unreachable: x\n")
	f.Add(image + "claims:\n- signer: {x509: 'CN=a', trustStore: 'ca:b'}\n")
	f.Add(image + "byproducts:\n- {predicateType: spdx, predicate: {}}\nconfig: {config: {User: x}}\n")
	dir := f.TempDir()
	write(f, filepath.Join(dir, "policy.yaml"), keyless)
	write(f, filepath.Join(dir, "cases", "one", expectedFile), "verdict: deny\n")
	f.Fuzz(func(t *testing.T, input string) {
		write(t, filepath.Join(dir, "cases", "one", inputFile), input)
		suite := Suite{Dir: dir, Cases: []string{"one"}}
		for _, r := range suite.Run(context.Background(), func(string) bool { return true }) {
			if r.OK && r.Decision == nil {
				t.Fatal("a case without a decision is ok")
			}
		}
	})
}

// A key that has to be logged, and one that has to be timestamped.
func TestLogsAndTimestampsOfKeys(t *testing.T) {
	const key = "sha256:e57eb42175d59812f02bb231e7a5462d996e79da38ea296093a84289e85e141c"
	keyed := func(more string) string {
		head, _, _ := strings.Cut(keyless, "  - name: a\n")
		return head + `  - name: a
    key:
      data: |
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHY3h266RR3ivbAZfgCMiK57sh99k
        Yr8qmKie+khx5yWZWUg+taObbe1tICQLSpRqwZpg8hHySLMepAOUmL7G5Q==
        -----END PUBLIC KEY-----
` + more
	}
	logged, stamped := keyed("    ctlog: {trustRootRef: x}\n"), keyed("    rfc3161timestamp: {trustRootRef: x}\n")
	for _, c := range []struct {
		policy, more, want string
	}{
		{keyed(""), "", "allow"},
		{logged, "", "deny"},
		{logged, "  logged: true\n", "deny"},
		{logged, "  logged: true\n  trust: {log: x}\n", "allow"},
		{logged, "  logged: false\n  trust: {log: x}\n", "deny"},
		{stamped, "  logged: true\n  trust: {log: x}\n", "deny"},
		{stamped, "  trust: {timestamp: x}\n", "allow"},
		{stamped, "  trust: {timestamp: y}\n", "deny"},
	} {
		r := judge(t, c.policy, image+"claims:\n- signer: {key: '"+key+"'}\n"+c.more, "verdict: "+c.want+"\n")
		require.True(t, r.OK, "%q: %v", c.more, r.Failures)
	}
}
