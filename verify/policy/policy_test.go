// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
)

var dgst = digest.FromString("image")

const good = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: demo
  labels: {team: shop}
  annotations: {note: any}
spec:
  images:
  - glob: "registry.example/shop/**"
  mode: enforce
  authorities:
  - keyless:
      url: https://fulcio.sigstore.dev
      identities:
      - issuer: https://issuer.example
        subjectRegExp: ^https://github\.com/shop/
`

func TestGoodDocument(t *testing.T) {
	policies, err := policy.Parse("p.yaml", []byte(good))
	require.NoError(t, err)
	require.Len(t, policies, 1)
	p := policies[0]
	require.Equal(t, "demo", p.Name)
	require.Equal(t, "p.yaml:1", p.Origin)
	require.Equal(t, policy.Enforce, p.Mode)
	require.Equal(t, "authority-0", p.Authorities[0].Name, "the name policy-controller gives")
	require.Equal(t, "p.yaml:12", p.Authorities[0].Origin)
	require.True(t, p.NeedsEvidence())
}

// TestRefusedDocuments changes the good document in one place, and wants the
// fault named with its line.
func TestRefusedDocuments(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		kind           error
		want           string
	}{
		{"unknown field", "  mode: enforce", "  mod: enforce", policy.ErrInvalid, "p.yaml:10: unknown field spec.mod"},
		{"unknown field at the top", "kind:", "kid: x\nkind:", policy.ErrInvalid, "p.yaml:2: unknown field kid"},
		{"case matters", "    subjectRegExp", "    subjectRegexp", policy.ErrInvalid, "unknown field spec.authorities.keyless.identities.subjectRegexp"},
		{"twice a field", "  mode: enforce", "  mode: enforce\n  mode: warn", policy.ErrInvalid, "p.yaml:11: spec.mode is given twice"},
		{"wrong mode", "mode: enforce", "mode: audit", policy.ErrInvalid, `spec.mode is "audit"`},
		{"other kind", "kind: ClusterImagePolicy", "kind: Pod", policy.ErrInvalid, `kind "Pod"`},
		{"trust root", "kind: ClusterImagePolicy", "kind: TrustRoot", policy.ErrInvalid, "TrustRoot (policy.sigstore.dev/v1alpha1)"},
		{"other version", "v1beta1", "v1", policy.ErrInvalid, "policy.sigstore.dev/v1"},
		{"no name", "  name: demo\n", "", policy.ErrInvalid, "metadata.name is missing"},
		{"a policy that is going", "  name: demo", "  name: demo\n  deletionTimestamp: x", policy.ErrInvalid, "unknown field metadata.deletionTimestamp"},
		{"no globs", `  images:
  - glob: "registry.example/shop/**"
`, "", policy.ErrInvalid, "spec.images is missing"},
		{"no glob", `glob: "registry.example/shop/**"`, `glob: ""`, policy.ErrInvalid, "spec.images.glob is missing"},
		{"glob with brackets", "registry.example/shop/**", "registry.example/[a-z]", policy.ErrInvalid, `invalid policy: p.yaml:9: glob "registry.example/[a-z]": only letters`},
		{"bad regexp", `^https://github\.com/shop/`, `(`, policy.ErrInvalid, "subjectRegExp: error parsing"},
		{"no subject", `        subjectRegExp: ^https://github\.com/shop/
`, "", policy.ErrInvalid, "needs subject or subjectRegExp"},
		{"both subjects", "      - issuer:", "      - subject: x\n        issuer:", policy.ErrInvalid, "both subject and subjectRegExp"},
		{"no issuer", "      - issuer: https://issuer.example\n        subjectRegExp", "      - subjectRegExp", policy.ErrInvalid, "needs issuer or issuerRegExp"},
		{"number as text", "issuer: https://issuer.example", "issuer: 42", policy.ErrInvalid, "issuer must be a string"},
		{"list as text", "issuer: https://issuer.example", "issuer: [a]", policy.ErrInvalid, "issuer must be a string"},
		{"anchor", "issuer: https://issuer.example", "issuer: &a https://issuer.example", policy.ErrInvalid, "p.yaml:15: spec.authorities.keyless.identities.issuer: anchors"},
		{"no identities", `      identities:
      - issuer: https://issuer.example
        subjectRegExp: ^https://github\.com/shop/
`, "", policy.ErrInvalid, "keyless.identities is missing"},
		{"static and keyless", "  - keyless:", "  - static: {action: pass}\n    keyless:", policy.ErrInvalid, "exactly one of key, keyless, static"},
		{"merge", "spec:\n", "spec:\n  <<: {mode: warn}\n", policy.ErrInvalid, "p.yaml:8"},
		{"not YAML", "spec:", "spec: [", policy.ErrInvalid, "p.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, good, c.old)
			_, err := policy.Parse("p.yaml", []byte(strings.Replace(good, c.old, c.new, 1)))
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "p.yaml")
		})
	}
}

func TestEveryFaultIsReported(t *testing.T) {
	doc := strings.NewReplacer("mode: enforce", "mode: x", "issuer:", "isuer:").Replace(good)
	_, err := policy.Parse("p.yaml", []byte(doc))
	require.ErrorContains(t, err, "spec.mode")
	require.ErrorContains(t, err, "isuer")
}

func TestSeveralDocumentsAndJSON(t *testing.T) {
	second := strings.Replace(good, "name: demo", "name: second", 1)
	policies, err := policy.Parse("p.yaml", []byte("---\n"+good+"---\n"+second+"---\n"))
	require.NoError(t, err)
	require.Len(t, policies, 2)
	require.Equal(t, "p.yaml:19", policies[1].Origin)

	policies, err = policy.Parse("p.json", []byte(`{"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy",
		"metadata": {"name": "j"}, "spec": {"images": [{"glob": "**"}], "authorities": [{"static": {"action": "fail", "message": "no"}}]}}`))
	require.NoError(t, err)
	require.False(t, policies[0].NeedsEvidence())
	judge(t, &policies[0], nil, policy.ErrStatic, "no")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}

	empty, err := policy.Load(dir)
	require.NoError(t, err)
	_, err = empty.Select("registry.example/shop/app:v1", dgst)
	require.ErrorIs(t, err, policy.ErrEmpty)

	write("a.yaml", good)
	write("notes.txt", "not a policy")
	write(".hidden.yaml", "{")
	set, err := policy.Load(dir)
	require.NoError(t, err)
	require.Len(t, set.Policies(), 1)
	require.NotEqual(t, empty.Digest(), set.Digest())

	before := set.Digest()
	write("a.yaml", good+"\n")
	set, err = policy.Load(dir)
	require.NoError(t, err)
	require.NotEqual(t, before, set.Digest(), "the digest is over the bytes")

	write("b.yml", good)
	_, err = policy.Load(dir)
	require.ErrorContains(t, err, `policy "demo" is already in`)
	write("b.yml", "broken: [")
	_, err = policy.Load(dir)
	require.ErrorIs(t, err, policy.ErrInvalid)
	require.ErrorContains(t, err, "b.yml")
	require.NoError(t, os.Remove(filepath.Join(dir, "b.yml")))

	require.NoError(t, os.Mkdir(filepath.Join(dir, "more"), 0o700))
	_, err = policy.Load(dir)
	require.ErrorContains(t, err, "only files are read")
	require.NoError(t, os.Remove(filepath.Join(dir, "more")))

	require.NoError(t, os.Symlink(filepath.Join(dir, "absent"), filepath.Join(dir, "link.yaml")))
	_, err = policy.Load(dir)
	require.ErrorIs(t, err, policy.ErrInvalid, "a policy that cannot be read must not be skipped")

	_, err = policy.Load(filepath.Join(dir, "nowhere"))
	require.ErrorIs(t, err, policy.ErrInvalid)
	require.ErrorContains(t, err, "--policy")
}

func TestMerge(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	require.NoError(t, os.WriteFile(a, []byte(good), 0o600))
	require.NoError(t, os.WriteFile(b, []byte(strings.Replace(good, "name: demo", "name: b", 1)), 0o600))
	first, err := policy.Load(a)
	require.NoError(t, err)
	second, err := policy.Load(b)
	require.NoError(t, err)
	both, err := policy.Merge(first, second)
	require.NoError(t, err)
	require.Len(t, both.Policies(), 2)
	_, err = policy.Merge(first, first)
	require.ErrorContains(t, err, "rename one")
}

func TestIdentityFlags(t *testing.T) {
	id, err := policy.NewIdentity("https://i", "", "", "^s$")
	require.NoError(t, err)
	set := policy.ForIdentity(id)
	matching, err := set.Select("oci-layout:/some dir", dgst)
	require.NoError(t, err, "flags are about every image")
	judge(t, &matching[0], evidence{claims: []claim.Claim{signature(claim.Signer{Issuer: "https://i", Subject: "s"})}}, nil, "")
	judge(t, &matching[0], evidence{claims: []claim.Claim{signature(claim.Signer{Issuer: "https://i", Subject: "ss"})}}, policy.ErrIdentity, "ss, wanted /^s$/")
	other, err := policy.NewIdentity("https://i", "", "", "^t$")
	require.NoError(t, err)
	require.NotEqual(t, set.Digest(), policy.ForIdentity(other).Digest())
}
