// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/policy/spec"
)

// A fieldCase shows that a field is enforced: the same evidence satisfies a
// policy with accept in it and not one with refuse.
type fieldCase struct {
	path string
	// base is the policy, in which accept and refuse replace FIELD.
	base, accept, refuse string
	claims               []claim.Claim
	want                 error
}

const plain = "  authorities:\n  - keyless:\n      identities:\n      - issuer: https://issuer.example\n        subject: https://github.com/shop/app\n"

var fieldCases = []fieldCase{
	{"spec.images", "FIELD", plain, plain, nil, nil},
	{"spec.images.glob", "FIELD", plain, plain, nil, nil},
	{"spec.mode", "FIELD", plain, plain, nil, nil},
	{"spec.authorities", "FIELD", plain, strings.Replace(plain, "shop", "acme", 1), signed, policy.ErrIdentity},
	{"spec.authorities.name", plain + "    name: FIELD\n  policy: {type: cue, data: \"authorityMatches: a!: _\"}\n", "a", "b", signed, policy.ErrInnerPolicy},
	{"spec.authorities.static", "  authorities: [{static: {action: FIELD, message: m}}]\n", "pass", "fail", nil, policy.ErrStatic},
	{"spec.authorities.static.action", "  authorities: [{static: {action: FIELD}}]\n", "pass", "fail", nil, policy.ErrStatic},
	{"spec.authorities.keyless", "FIELD", plain, strings.Replace(plain, "shop", "acme", 1), signed, policy.ErrIdentity},
	{"spec.authorities.keyless.url", strings.Replace(plain, "keyless:\n", "keyless:\n      url: FIELD\n", 1), "https://fulcio.example", "https://fulcio.evil", signed, policy.ErrAuthority},
	{"spec.authorities.keyless.identities", "  authorities: [{keyless: {identities: [FIELD]}}]\n", "{issuer: https://issuer.example, subject: https://github.com/shop/app}", "{issuer: a, subject: b}", signed, policy.ErrIdentity},
	{"spec.authorities.keyless.identities.issuer", "  authorities: [{keyless: {identities: [{subjectRegExp: shop, issuer: \"FIELD\"}]}}]\n", "https://issuer.example", "https://issuer", signed, policy.ErrIdentity},
	{"spec.authorities.keyless.identities.issuerRegExp", "  authorities: [{keyless: {identities: [{subjectRegExp: shop, issuerRegExp: \"FIELD\"}]}}]\n", "issuer[.]", "^issuer", signed, policy.ErrIdentity},
	{"spec.authorities.keyless.identities.subject", "  authorities: [{keyless: {identities: [{issuerRegExp: issuer, subject: \"FIELD\"}]}}]\n", "https://github.com/shop/app", "https://github.com/shop", signed, policy.ErrIdentity},
	{"spec.authorities.keyless.identities.subjectRegExp", "  authorities: [{keyless: {identities: [{issuerRegExp: issuer, subjectRegExp: \"FIELD\"}]}}]\n", "com/shop/", "shop$", signed, policy.ErrIdentity},
	{"spec.authorities.attestations", plain + "FIELD", "    attestations: [{name: a, predicateType: vuln}]\n", "    attestations: [{name: a, predicateType: vuln}, {name: b, predicateType: spdx}]\n", scanned, policy.ErrAttestation},
	{"spec.authorities.attestations.name", plain + "    attestations: [{name: FIELD, predicateType: vuln}]\n  policy: {type: cue, data: 'authorityMatches: \"authority-0\": attestations: a!: _'}\n", "a", "b", scanned, policy.ErrInnerPolicy},
	{"spec.authorities.attestations.predicateType", plain + "    attestations: [{name: a, predicateType: FIELD}]\n", "vuln", "cyclonedx", scanned, policy.ErrAttestation},
	{"spec.authorities.attestations.policy", plain + "    attestations: [{name: a, predicateType: vuln, policy: {type: cue, data: \"FIELD\"}}]\n", "predicate: n: 1", "predicate: n: 2", scanned, policy.ErrInnerPolicy},
	{"spec.authorities.attestations.policy.data", plain + "    attestations: [{name: a, predicateType: vuln, policy: {type: cue, data: \"FIELD\"}}]\n", "predicate: n: >0", "predicate: n: >1", scanned, policy.ErrInnerPolicy},
	{"spec.authorities.attestations.policy.type", plain + "    attestations: [{name: a, predicateType: vuln, policy: FIELD}]\n", "{type: rego, data: \"package sigstore\\nisCompliant { input.predicate.n == 1 }\"}", "{type: rego, data: \"package sigstore\\nisCompliant { input.predicate.n == 2 }\"}", scanned, policy.ErrInnerPolicy},
	{"spec.authorities.signatureFormat", plain + "    signatureFormat: FIELD\n", "bundle", "legacy", signed, policy.ErrFormat},
	{"spec.policy", plain + "  policy: {type: cue, data: \"FIELD\"}\n", "authorityMatches: {}", "authorityMatches: {other!: _}", signed, policy.ErrInnerPolicy},
	{"spec.policy.data", plain + "  policy: {type: cue, data: \"FIELD\"}\n", "authorityMatches: {...}", "authorityMatches: {other!: _}", signed, policy.ErrInnerPolicy},
	{"spec.policy.type", plain + "  policy: {type: rego, data: \"FIELD\"}\n", "package sigstore\\nisCompliant = true", "package sigstore\\nisCompliant = false", signed, policy.ErrInnerPolicy},
	{"spec.policy.fetchConfigFile", plain + "  policy: {type: cue, FIELD, data: 'config: \"linux/amd64\"!: _'}\n", "fetchConfigFile: true", "fetchConfigFile: false", signed, policy.ErrInnerPolicy},
	{"spec.policy.includeSpec", plain + "  policy: {type: cue, data: \"\\n\", includeSpec: FIELD}\n", "false", "true", signed, policy.ErrNeedsPod},
	{"spec.policy.includeObjectMeta", plain + "  policy: {type: cue, data: \"\\n\", includeObjectMeta: FIELD}\n", "false", "true", signed, policy.ErrNeedsPod},
	{"spec.policy.includeTypeMeta", plain + "  policy: {type: cue, data: \"\\n\", includeTypeMeta: FIELD}\n", "false", "true", signed, policy.ErrNeedsPod},
	{"spec.match", plain + "FIELD", "", "  match: [{group: apps, version: v1, resource: deployments, selector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: In, values: [b]}]}}]\n", signed, policy.ErrNeedsPod},
	{"spec.authorities.source.signaturePullSecrets", plain + "    source: [{FIELD}]\n", "oci: registry.example/other", "signaturePullSecrets: [{name: s, namespace: n}]", nil, policy.ErrNeedsPod},
}

var (
	signed  = []claim.Claim{signature(release)}
	scanned = []claim.Claim{attestation(release, vuln, `{"n": 1}`)}
)

// elsewhere are fields that are tested by name in another test.
var elsewhere = map[string]string{
	"spec.images":                                    "TestGlobs",
	"spec.images.glob":                               "TestGlobs",
	"spec.mode":                                      "TestModes",
	"spec.authorities.static.message":                "TestStatic",
	"spec.authorities.key":                           "TestKeys",
	"spec.authorities.key.data":                      "TestKeys",
	"spec.authorities.key.hashAlgorithm":             "TestKeys",
	"spec.authorities.keyless.ca-cert":               "TestWhatTrustSays",
	"spec.authorities.keyless.ca-cert.data":          "TestWhatTrustSays",
	"spec.authorities.keyless.ca-cert.hashAlgorithm": "TestPoliciesWithoutSense",
	"spec.authorities.keyless.trustRootRef":          "TestWhatTrustSays",
	"spec.authorities.keyless.insecureIgnoreSCT":     "TestWhatTrustSays",
	"spec.authorities.ctlog":                         "TestWhatTrustSays",
	"spec.authorities.ctlog.url":                     "TestWhatTrustSays",
	"spec.authorities.ctlog.trustRootRef":            "TestWhatTrustSays",
	"spec.authorities.rfc3161timestamp":              "TestWhatTrustSays",
	"spec.authorities.rfc3161timestamp.trustRootRef": "TestWhatTrustSays",
	"spec.authorities.source":                        "TestSources",
	"spec.authorities.source.oci":                    "TestSources",
	"spec.authorities.source.tagPrefix":              "TestSources",
}

// TestEveryFieldIsEnforced: with the field one way the evidence does, the other
// way it does not.
func TestEveryFieldIsEnforced(t *testing.T) {
	for _, c := range fieldCases {
		t.Run(c.path, func(t *testing.T) {
			require.Contains(t, spec.Paths(), c.path)
			e := evidence{claims: c.claims, config: `{"os": "linux", "architecture": "amd64"}`}
			if accepted := one(t, strings.ReplaceAll(c.base, "FIELD", c.accept)); c.claims != nil || accepted.Authorities[0].Static != nil {
				judge(t, accepted, e, nil, "")
			}
			if c.want != nil {
				judge(t, one(t, strings.ReplaceAll(c.base, "FIELD", c.refuse)), e, c.want, "")
			}
		})
	}
}

// TestNoFieldIsForgotten: each field of the schema is enforced by a test, needs
// the pod, or is refused by name.
func TestNoFieldIsForgotten(t *testing.T) {
	for _, path := range spec.Paths() {
		known := slices.Contains(spec.Refused(), path) || elsewhere[path] != "" ||
			// Attestations use the same struct as the whole, which these are for.
			strings.HasPrefix(path, "spec.authorities.attestations.policy.include") || path == "spec.authorities.attestations.policy.fetchConfigFile" ||
			// Parts of what needs the pod as a whole.
			strings.HasPrefix(path, "spec.match.") || strings.HasPrefix(path, "spec.authorities.source.signaturePullSecrets.") ||
			// Of TrustRoot; see TestTrustRoots.
			strings.HasPrefix(path, "spec.remote") || strings.HasPrefix(path, "spec.repository") || strings.HasPrefix(path, "spec.sigstoreKeys") ||
			slices.ContainsFunc(fieldCases, func(c fieldCase) bool { return c.path == path })
		require.True(t, known, path)
	}
}

// TestUnsupportedFieldsAreRefusedByName: a field that is silently ignored could
// admit what it was written to keep out.
func TestUnsupportedFieldsAreRefusedByName(t *testing.T) {
	require.NotEmpty(t, policy.Unsupported)
	for _, path := range policy.Unsupported {
		t.Run(path, func(t *testing.T) {
			parts := strings.Split(strings.TrimPrefix(path, "spec."), ".")
			field := parts[len(parts)-1] + ": {}"
			for _, parent := range slices.Backward(parts[:len(parts)-1]) {
				open, end := "{", "}"
				if slices.Contains([]string{"authorities", "attestations"}, parent) {
					open, end = "[{", "}]"
				}
				field = parent + ": " + open + field + end
			}
			_, err := policy.Parse("p.yaml", []byte("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: n}\nspec:\n  "+field+"\n"))
			require.ErrorIs(t, err, policy.ErrUnsupported)
			require.ErrorContains(t, err, "p.yaml:5: "+path+" is not supported")
		})
	}
}

func TestModes(t *testing.T) {
	for mode, want := range map[string]policy.Mode{"": policy.Enforce, "  mode: enforce\n": policy.Enforce, "  mode: warn\n": policy.Warn} {
		require.Equal(t, want, one(t, plain+mode).Mode)
	}
}

// TestWhatTrustSays: these fields are for the step that verifies.
func TestWhatTrustSays(t *testing.T) {
	ca := selfSigned(t)
	for _, c := range []struct {
		name, authority string
		want            policy.Trust
		roots           []string
	}{
		{"nothing said", "    keyless:\n      @IDS", policy.Trust{Keyless: &policy.KeylessTrust{}}, []string{""}},
		{"root", "    keyless:\n      trustRootRef: mine\n      @IDS", policy.Trust{Keyless: &policy.KeylessTrust{Root: "mine"}}, []string{"mine"}},
		{"no SCT", "    keyless:\n      insecureIgnoreSCT: true\n      @IDS", policy.Trust{Keyless: &policy.KeylessTrust{IgnoreSCT: true}}, []string{""}},
		{"own authority", "    keyless:\n      ca-cert:\n        data: |\n" + indent(ca, "          ") + "      @IDS", policy.Trust{Keyless: &policy.KeylessTrust{CACert: ca}}, []string{""}},
		{"log of the same instance", "    ctlog: {url: https://rekor.example}\n    keyless:\n      trustRootRef: mine\n      @IDS",
			policy.Trust{Keyless: &policy.KeylessTrust{Root: "mine"}, Log: &policy.LogTrust{Root: "mine", URL: "https://rekor.example"}}, []string{"mine"}},
		{"log of another", "    ctlog: {trustRootRef: logs}\n    keyless:\n      @IDS", policy.Trust{Keyless: &policy.KeylessTrust{}, Log: &policy.LogTrust{Root: "logs"}}, []string{"", "logs"}},
		{"timestamp", "    rfc3161timestamp: {trustRootRef: times}\n    keyless:\n      @IDS", policy.Trust{Keyless: &policy.KeylessTrust{}, Timestamp: &policy.TimestampTrust{Root: "times"}}, []string{"", "times"}},
		{"timestamp of the same instance", "    rfc3161timestamp: {}\n    keyless:\n      trustRootRef: mine\n      @IDS", policy.Trust{Keyless: &policy.KeylessTrust{Root: "mine"}, Timestamp: &policy.TimestampTrust{Root: "mine"}}, []string{"mine"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := one(t, "  authorities:\n  - name: a\n"+strings.ReplaceAll(c.authority, "@IDS", "identities: [{issuer: a, subject: b}]"))
			require.Equal(t, []policy.Trust{c.want}, p.Trusts())
			require.Equal(t, c.roots, p.Trusts()[0].Roots())
		})
	}
}

func TestSources(t *testing.T) {
	p := one(t, plain+"    source: [{oci: registry.example/signatures, tagPrefix: v1-}, {tagPrefix: \"\"}]\n")
	require.Equal(t, []policy.Source{{Repository: "registry.example/signatures", TagPrefix: "v1-"}, {}}, p.Authorities[0].Sources)
}

// TestPoliciesWithoutSense: every field may be right, and the whole still wrong.
func TestPoliciesWithoutSense(t *testing.T) {
	key, _ := newKey(t)
	for _, c := range []struct{ name, spec, want string }{
		{"nobody", "  authorities: [{name: a}]\n", "exactly one of key, keyless, static"},
		{"key and keyless", plain + "    key:\n      data: |\n" + indent(key, "        "), "exactly one of key, keyless, static"},
		{"only a timestamp", "  authorities: [{rfc3161timestamp: {}}]\n", "exactly one of key, keyless, static"},
		{"static with attestations", "  authorities: [{static: {action: pass}, attestations: [{name: a, predicateType: vuln}]}]\n", "attestations would mean nothing"},
		{"static with a log", "  authorities: [{static: {action: pass}, ctlog: {}}]\n", "ctlog would mean nothing"},
		{"no key", "  authorities: [{key: {data: \"\"}}]\n", "p.yaml:6: key.data: no public key in PEM"},
		{"half a key", "  authorities:\n  - key:\n      data: |\n" + indent(key[:60], "        "), "that are no PEM"},
		{"a private key", "  authorities:\n  - key:\n      data: |\n" + indent(strings.ReplaceAll(key, "PUBLIC", "PRIVATE"), "        "), `type "PRIVATE KEY"`},
		{"a broken key", "  authorities:\n  - key:\n      data: |\n" + indent(strings.Replace(key, "MFkw", "AAAA", 1), "        "), "p.yaml:8: key.data: "},
		{"weak hash", "  authorities:\n  - key:\n      hashAlgorithm: sha224\n      data: |\n" + indent(key, "        "), "sha224 is too short"},
		{"no hash", "  authorities:\n  - key:\n      hashAlgorithm: md5\n      data: |\n" + indent(key, "        "), `hashAlgorithm is "md5"`},
		{"two authorities", "  authorities: [{keyless: {url: https://a, ca-cert: {data: x}, identities: [{issuer: a, subject: b}]}}]\n", "both url and ca-cert"},
		{"no certificate", "  authorities: [{keyless: {ca-cert: {data: x, hashAlgorithm: sha256}, identities: [{issuer: a, subject: b}]}}]\n", "ca-cert.data must be certificates"},
		{"key for certificate", "  authorities:\n  - keyless:\n      identities: [{issuer: a, subject: b}]\n      ca-cert:\n        hashAlgorithm: sha256\n        data: |\n" + indent(key, "          "), "is no certificate"},
		{"hash of a certificate", "  authorities:\n  - keyless:\n      identities: [{issuer: a, subject: b}]\n      ca-cert:\n        hashAlgorithm: sha256\n        data: |\n" + indent(selfSigned(t), "          "), "hashAlgorithm means nothing"},
		{"image for repository", plain + "    source: [{oci: \"registry.example/a:v1\"}]\n", "is an image"},
		{"no repository", plain + "    source: [{oci: \"https://registry.example\"}]\n", "is no repository"},
		{"labels of nothing", plain + "  match: [{selector: {matchLabels: {a: b}}}]\n", "p.yaml:11: match.selector needs a resource"},
		{"two faults of an identity", "  authorities: [{keyless: {identities: [{issuerRegExp: \"(\", subjectRegExp: \")\"}]}}]\n", "invalid policy: p.yaml:6: issuerRegExp: error parsing regexp: missing closing ): `(`\ninvalid policy: p.yaml:6: subjectRegExp: "},
		{"no policy", plain + "  policy: {type: cue}\n", "policy.data of demo is missing"},
		{"CUE that is none", plain + "  policy: {type: cue, data: \"a: [\"}\n", "invalid policy: p.yaml:11: invalid CUE: line 1 of the rule, column "},
		{"Rego that is none", plain + "  policy: {type: rego, data: \"package sigstore\\nisCompliant {\"}\n", "invalid policy: p.yaml:11: invalid Rego: line 2 of the rule"},
		{"CUE that is none, in a block", plain + "  policy:\n    type: cue\n    data: |\n      a: 1\n      import \"net\"\n", "p.yaml:15: invalid CUE: column 14: "},
		{"Rego that is none, in a block", plain + "  policy:\n    type: rego\n    data: |\n      package sigstore\n      isCompliant { x }\n", "p.yaml:15: invalid Rego: column 21: "},
		{"Rego that asks the network", plain + "  policy: {type: rego, data: \"package sigstore\\nisCompliant { http.send({}) }\"}\n", "undefined function http.send"},
		{"config for an attestation", plain + "    attestations: [{name: a, predicateType: vuln, policy: {type: cue, data: \"a: 1\", fetchConfigFile: true}}]\n", "fetchConfigFile belongs into spec.policy"},
		{"pod for an attestation", plain + "    attestations: [{name: a, predicateType: vuln, policy: {type: cue, data: \"a: 1\", includeSpec: true}}]\n", "includeSpec belongs into spec.policy"},
		{"two of a name", "  authorities: [{name: a, static: {action: pass}}, {name: a, static: {action: pass}}]\n  policy: {type: cue, data: \"a: 1\"}\n", `two authorities are called "a"`},
		{"name that another gets", "  authorities: [{name: authority-1, static: {action: pass}}, {static: {action: pass}}]\n  policy: {type: cue, data: \"a: 1\"}\n", `two authorities are called "authority-1"`},
		{"attestations of a name", plain + "    attestations: [{name: a, predicateType: vuln}, {name: a, predicateType: spdx}]\n  policy: {type: cue, data: \"a: 1\"}\n", `are called "a"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := policy.Parse("p.yaml", []byte(document(c.spec)))
			require.Error(t, err)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "p.yaml:")
		})
	}
}
