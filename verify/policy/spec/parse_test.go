// SPDX-License-Identifier: Apache-2.0

package spec_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy/spec"
)

const policy = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: demo
spec:
  images:
  - glob: "**"
  authorities:
  - name: one
    keyless:
      insecureIgnoreSCT: true
      identities:
      - issuer: https://issuer.example
        subject: someone
    attestations:
    - name: a
      predicateType: vuln
      policy:
        type: cue
        data: "x: 1"
`

func TestParse(t *testing.T) {
	docs, err := spec.Parse("p.yaml", []byte("# first\n---\n"+policy+"---\n"))
	require.NoError(t, err)
	require.Len(t, docs, 1)
	doc := docs[0]
	require.Equal(t, "demo", doc.Name)
	require.Equal(t, spec.Origin("p.yaml:3"), doc.At)
	a := doc.ClusterImagePolicy.Authorities[0]
	require.Equal(t, spec.Origin("p.yaml:11"), a.At)
	require.True(t, a.Keyless.InsecureIgnoreSCT)
	require.Equal(t, spec.Origin("p.yaml:15"), a.Keyless.Identities[0].At)
	require.Equal(t, "someone", a.Keyless.Identities[0].Subject)
	require.Equal(t, "x: 1", a.Attestations[0].Policy.Data)
	require.Nil(t, a.Key)
}

// TestWhatAClusterPrints: `kubectl get -o yaml` adds what means nothing here.
func TestWhatAClusterPrints(t *testing.T) {
	printed := strings.Replace(policy, "  name: demo\n", `  name: demo
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: |
      {"kind": "ClusterImagePolicy", "spec": {"images": []}}
  creationTimestamp: "2026-01-01T00:00:00Z"
  finalizers: [clusterimagepolicies.policy.sigstore.dev]
  generation: 2
  labels: {a: b}
  managedFields:
  - manager: kubectl
    fieldsV1: {"f:spec": {}}
  namespace: ""
  ownerReferences: []
  resourceVersion: "1234"
  selfLink: /apis/x
  uid: 6d7f5c0e
`, 1) + "status:\n  observedGeneration: 2\n  conditions: [{type: Ready, status: \"True\"}]\n"
	docs, err := spec.Parse("p.yaml", []byte(printed))
	require.NoError(t, err)
	require.Equal(t, "demo", docs[0].Name)

	list := "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: \"\"}\nitems:\n" +
		"- " + strings.TrimSpace(strings.ReplaceAll(printed, "\n", "\n  ")) + "\n"
	docs, err = spec.Parse("p.yaml", []byte(list+list[strings.Index(list, "- api"):]))
	require.NoError(t, err)
	require.Len(t, docs, 2)

	_, err = spec.Parse("p.yaml", []byte("apiVersion: v1\nkind: List\nmore: 1\nitems: [1, {kind: List, apiVersion: v1}]\n"))
	require.ErrorContains(t, err, "unknown field more")
	require.ErrorContains(t, err, "items must be policy documents")
}

// TestRefused: what a person writes in error, and what an attacker writes so
// that two parsers read two things.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown field deep down", "predicateType: vuln", "predicateType: vuln\n      predicatetype: x", "p.yaml:18: unknown field spec.authorities.attestations.predicatetype"},
		{"key twice", "subject: someone", "subject: someone\n        subject: mallory", "p.yaml:15: spec.authorities.keyless.identities.subject is given twice"},
		{"key twice where nobody looks", "  name: demo\n", "  name: demo\n  managedFields: {a: 1, a: 2}\n", "metadata.managedFields.a is given twice"},
		{"key twice, once quoted", "subject: someone", "subject: someone\n        \"subject\": mallory", "given twice"},
		{"key that is a number", "subject: someone", "subject: someone\n        1: mallory", "a key must be a plain string"},
		{"key that is a list", "subject: someone", "subject: someone\n        ? [a]\n        : b", "a key must be a plain string"},
		{"alias", "subject: someone", "subject: &s someone\n      - {issuer: x, subject: *s}", "p.yaml:14: spec.authorities.keyless.identities.subject: anchors and aliases"},
		{"merge", "subject: someone", "<<: {subject: someone}", "a key must be a plain string"},
		{"tag", "subject: someone", "subject: !!str 42", "tags such as !!str"},
		{"own tag", "subject: someone", "subject: !include /etc/passwd", "tags such as !include"},
		{"binary", "subject: someone", "subject: !!binary c29tZW9uZQ==", "tags such as !!binary"},
		{"number", "subject: someone", "subject: 42", "spec.authorities.keyless.identities.subject must be a string"},
		{"truth", "subject: someone", "subject: true", "must be a string"},
		{"date", "subject: someone", "subject: 2026-01-01", `must be a string: write "2026-01-01", with the quotes`},
		{"null", "subject: someone", "subject: ~", "must be a string"},
		{"nothing", "subject: someone", "subject:", "must be a string"},
		{"text for truth", "insecureIgnoreSCT: true", "insecureIgnoreSCT: \"true\"", "insecureIgnoreSCT must be true or false"},
		{"yes for truth", "insecureIgnoreSCT: true", "insecureIgnoreSCT: yes", "insecureIgnoreSCT must be true or false"},
		{"object for list", "identities:\n      - issuer", "identities:\n        issuer", "identities must be a list"},
		{"list for object", "policy:\n        type: cue\n        data: \"x: 1\"", "policy: []", "attestations.policy must be an object"},
		{"null for object", "policy:\n        type: cue\n        data: \"x: 1\"", "policy: null", "attestations.policy must be an object"},
		{"empty", "predicateType: vuln", "predicateType: \"\"", "spec.authorities.attestations.predicateType is missing or empty"},
		{"missing", "    - name: a\n      predicateType", "    - predicateType", "spec.authorities.attestations.name is missing or empty"},
		{"empty list", "images:\n  - glob: \"**\"\n", "images: []\n", "spec.images is missing or empty"},
		{"none of the words", "type: cue", "type: lua", `spec.authorities.attestations.policy.type is "lua", want cue or rego`},
		{"empty word", "    attestations:", "    signatureFormat: \"\"\n    attestations:", `signatureFormat is "", want legacy or bundle`},
		{"field of another kind", "    attestations:", "    notation: {}\n    attestations:", "spec.authorities.notation is a field of ImagePolicy, not of ClusterImagePolicy"},
		{"refused by name", "data: \"x: 1\"", "remote: {url: \"https://x\"}", "spec.authorities.attestations.policy.remote is not supported"},
		{"no name", "  name: demo\n", "  labels: {}\n", "metadata.name is missing"},
		{"label that is a number", "  name: demo\n", "  name: demo\n  labels: {a: 1}\n", "metadata.labels.a must be a string"},
		{"no kind", "kind: ClusterImagePolicy\n", "", `kind ""`},
		{"kind that is a list", "kind: ClusterImagePolicy", "kind: [ClusterImagePolicy]", `kind ""`},
		{"no YAML", "spec:", "spec: [", "invalid policy: p.yaml:6: did not find expected node content"},
		{"tab", "    attestations:", "\tattestations:", "p.yaml:15: found a tab character that violates indentation: indent with spaces"},
		{"name with a letter too few", "authorities:", "authoritis:", "p.yaml:8: unknown field spec.authoritis: did you mean authorities?"},
		{"name in another case", "predicateType: vuln", "predicatetype: vuln", "unknown field spec.authorities.attestations.predicatetype: did you mean predicateType?"},
		{"element that is no object", "  - glob: \"**\"\n", "  - glob: \"**\"\n  - \"*\"\n", "p.yaml:8: spec.images[1] must be an object"},
		{"second document", "spec:\n  images", "---\nspec:\n  images", "p.yaml:1: spec is missing"},
		{"list of documents", policy, "- a\n- b\n", "a policy document must be an object"},
		{"text", policy, "hello\n", "a policy document must be an object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, policy, c.old)
			docs, err := spec.Parse("p.yaml", []byte(strings.Replace(policy, c.old, c.new, 1)))
			require.Error(t, err)
			require.Empty(t, docs)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// What a field could have been meant is asked only where it would be welcome.
func TestNothingIsMeantByWhatIsUnlike(t *testing.T) {
	for _, name := range []string{"x", "golang", "remot", "notatio", strings.Repeat("attestations", 20)} {
		_, err := spec.Parse("p.yaml", []byte(strings.Replace(policy, "    attestations:", "    "+name+": {}\n    attestations:", 1)))
		require.ErrorContains(t, err, "unknown field spec.authorities."+name)
		require.NotContains(t, err.Error(), "did you mean", "%s: a field that is refused is no advice", name)
	}
}

// TestLines: a fault in a text has the line of the file, or none.
func TestLines(t *testing.T) {
	const head = "apiVersion: plombproject.github.io/v1\nkind: ImagePolicy\nmetadata: {name: x}\nspec:\n  images: [{glob: \"**\"}]\n  authorities: [{static: {action: pass}}]\n  rules:\n  - name: r\n"
	for name, c := range map[string]struct {
		rule string
		want string
	}{
		"block":          {"    cel: |\n      true\n      && x\n", "p.yaml:11 10"},
		"kept":           {"    cel: |+\n      true\n      && x\n\n", "p.yaml:11 10"},
		"indented":       {"    cel: |1\n      true\n      && x\n", "p.yaml:11 9"},
		"with a comment": {"    cel: | # why\n\n      true\n", "p.yaml:11 10"},
		"CRLF":           {"    rego: |\r\n      true\r\n      && x\r\n", "p.yaml:11 10"},
		"folded":         {"    cel: >\n      true\n      && x\n", ""},
		"quoted":         {"    cel: \"true\\n && x\"\n", ""},
		"plain":          {"    cel: true &&\n      x\n", ""},
		"other breaks":   {"    cel: |\n      true\u2028      && y\n      && x\n", ""},
	} {
		docs, err := spec.Parse("p.yaml", []byte(head+c.rule))
		require.NoError(t, err, name)
		at, column, ok := docs[0].ImagePolicy.Rules[0].Lines.Place(2, 4)
		require.Equal(t, c.want != "", ok, name)
		if ok {
			require.Equal(t, c.want, fmt.Sprint(at, " ", column), name)
		}
		_, _, ok = docs[0].ImagePolicy.Rules[0].Lines.Place(4, 1)
		require.False(t, ok, name)
	}
}

// TestBombs: documents that would grow when they are read.
func TestBombs(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		laughs += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 10) + "]\n"
	}
	for name, text := range map[string]string{
		"a billion laughs":   policy + "status:\n  " + strings.ReplaceAll(strings.TrimSpace(laughs), "\n", "\n  "),
		"a deep nest":        strings.Repeat("[", 100_000),
		"a deep indent":      "a:\n" + strings.Repeat(" ", 100) + "- " + strings.Repeat("- ", 50_000),
		"an alias to itself": "a: &a [*a]",
	} {
		_, err := spec.Parse("p.yaml", []byte(text))
		require.ErrorIs(t, err, spec.ErrInvalid, name)
	}
}

func TestEveryFaultIsReported(t *testing.T) {
	text := strings.NewReplacer("subject: someone", "subject: 1", "type: cue", "type: lua", "glob", "golb").Replace(policy)
	_, err := spec.Parse("p.yaml", []byte(text))
	for _, want := range []string{"p.yaml:7: unknown field spec.images.golb", "p.yaml:14: ", "p.yaml:19: "} {
		require.ErrorContains(t, err, want)
	}
}

// FuzzParse: whatever the bytes, a document that comes out says where it is
// from, and so does each of its parts.
func FuzzParse(f *testing.F) {
	f.Add([]byte(policy))
	f.Add([]byte("---\n---\n" + policy + "...\n"))
	f.Add([]byte(`{"apiVersion":"policy.sigstore.dev/v1alpha1","kind":"TrustRoot","metadata":{"name":"j"},"spec":{"remote":{"root":"e30=","mirror":"https://x"}}}`))
	f.Add([]byte("apiVersion: plombproject.github.io/v1\nkind: ImagePolicy\nmetadata: {name: x}\nspec: {images: [{glob: \"*\"}], authorities: [{static: {action: pass}}], deny: {identities: [{issuer: a, subject: b, from: c}]}}"))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? {a: b}\n: c"))
	f.Add([]byte("!!binary x: y"))
	f.Add([]byte("\xff\xfea\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, err := spec.Parse("f.yaml", data)
		if err != nil {
			require.Empty(t, docs)
			return
		}
		for _, doc := range docs {
			require.NotEmpty(t, doc.Name)
			origins(t, reflect.ValueOf(doc))
		}
	})
}

// origins demands that every struct knows where it was written.
func origins(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			origins(t, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			origins(t, v.Index(i))
		}
	case reflect.Struct:
		if at := v.FieldByName("At"); at.IsValid() {
			require.NotEmpty(t, at.String(), v.Type())
		}
		for i := range v.NumField() {
			origins(t, v.Field(i))
		}
	}
}

// TestFieldsAreDocumented: docs/policy.md has each field by name.
func TestFieldsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "policy.md"))
	require.NoError(t, err)
	for _, path := range append(spec.Refused(), spec.NeedPod()...) {
		require.True(t, strings.Contains(string(doc), "`"+path+"`"), path)
	}
}
