// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// signer stands for one signature: which trust it verifies under, and whose.
type signer struct {
	key      string // PEM, for a keyed one
	keyless  bool
	notation bool
	claim.Signer
}

func (s signer) Claims(t policy.Trust) []claim.Claim {
	c := claim.Claim{Kind: claim.Signature, Format: claim.Legacy, Signer: s.Signer, Names: []string{"registry.example/shop/app:v1"}}
	switch {
	case t.Key != nil && s.key != "" && strings.Contains(t.Key.PEM, s.key):
		block, _ := pem.Decode([]byte(s.key))
		c.Signer.Key = digest.FromBytes(block.Bytes)
	case t.Keyless != nil && s.keyless:
	case t.Notation != nil && s.notation:
		c.Format = claim.Notation
	default:
		return nil
	}
	return []claim.Claim{c}
}

func (signer) Config(context.Context) ([]byte, error) { return []byte(`{}`), nil }
func (signer) Byproducts(context.Context, claim.Claim, string) ([][]byte, error) {
	return nil, os.ErrNotExist
}
func (signer) Material(context.Context, string, digest.Digest, string) error {
	return os.ErrNotExist
}

// admits says what the imported policies make of an image.
func admits(t *testing.T, res *Result, name string, e policy.Evidence) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(file, res.Policy, 0o600))
	set, err := policy.Load(file)
	require.NoError(t, err, string(res.Policy))
	dgst := digest.FromString("image")
	if _, d, ok := strings.Cut(name, "@"); ok {
		dgst = digest.Digest(d)
	}
	matching, err := set.Select(name, dgst)
	if err != nil {
		return false
	}
	for i := range matching {
		if !matching[i].Judge(context.Background(), policy.Case{Name: name, Digest: dgst, Manifest: dgst}, e).Satisfied() {
			return false
		}
	}
	return true
}

type verdict struct {
	image string
	by    signer
	want  bool
}

func check(t *testing.T, res *Result, err error, verdicts []verdict) {
	t.Helper()
	require.NoError(t, err)
	for _, v := range verdicts {
		require.Equal(t, v.want, admits(t, res, v.image, v.by), "%s by %+v\n%s", v.image, v.by, res.Policy)
	}
}

func TestContainersPolicyMeansTheSame(t *testing.T) {
	open, closed := signer{}, func(key string) signer { return signer{key: key} }
	ours, theirs := newKey(t), newKey(t)
	pinned := "sha256:" + strings.Repeat("ab", 32)
	signed := func(key string) string {
		return sigstore(t, map[string]any{"keyData": b64(key), "signedIdentity": map[string]any{"type": "matchRepository"}})
	}
	policyOf := func(fallback, docker string) (*Result, error) {
		return ContainersPolicy(Source{Name: "policy.json", Data: []byte(`{"default":[{"type":"` + fallback + `"}],"transports":{"docker":{` + docker + `}}}`)})
	}
	const accept, reject = `[{"type":"insecureAcceptAnything"}]`, `[{"type":"reject"}]`

	res, err := policyOf("reject", `"docker.io/library":`+accept+`,"*.open.example":`+accept+`,"registry.example/shop":[`+signed(ours)+`],
		"registry.example/tagged:v1":`+accept+`,"registry.example/pinned@`+pinned+`":`+accept+`,"registry.example/shop/bad":`+reject)
	check(t, res, err, []verdict{
		{"docker.io/library/busybox:latest", open, true},
		{"busybox", open, true},
		{"docker.io/acme/busybox:latest", open, false},
		{"docker.io/libraryx/busybox:latest", open, false},
		{"a.open.example/x:v1", open, true},
		{"a.b.open.example:5000/x:v1", open, true},
		{"open.example/x:v1", open, false},
		{"evilopen.example/x:v1", open, false},
		{"evil.example/a.open.example/x:v1", open, false},
		{"registry.example/shop/app:v1", open, false},
		{"registry.example/shop/app:v1", closed(ours), true},
		{"registry.example/shop/app:v1", closed(theirs), false},
		{"registry.example/shop/bad:v1", closed(ours), false},
		{"registry.example/shopping/app:v1", closed(ours), false},
		{"registry.example:5000/shop/app:v1", closed(ours), false},
		{"registry.example/tagged:v1", open, true},
		{"registry.example/tagged:v2", open, false},
		{"registry.example/tagged/x:v1", open, false},
		{"registry.example/pinned@" + pinned, open, true},
		{"registry.example/pinned:v1", open, false},
	})

	res, err = policyOf("insecureAcceptAnything", `"registry.example":[`+signed(ours)+`],"registry.example/bad":`+reject+`,"registry.example/both":[`+signed(ours)+`,`+signed(theirs)+`]`)
	check(t, res, err, []verdict{
		{"other.example/x:v1", open, true},
		{"registry.example/shop/app:v1", open, false},
		{"registry.example/shop/app:v1", closed(ours), true},
		{"registry.example/bad:v1", closed(ours), false},
		{"registry.example/both:v1", closed(ours), false},
	})

	res, err = ContainersPolicy(Source{Name: "policy.json", Ignore: []string{"docker-daemon"}, Data: []byte(
		`{"default":[{"type":"reject"}],"transports":{"docker":{"":` + accept + `},"docker-daemon":{"":` + accept + `}}}`)})
	check(t, res, err, []verdict{{"registry.example/x:v1", open, true}})
	require.Contains(t, res.Notes[0], "oci-layout")

	res, err = policyOf("reject", "")
	require.Equal(t, []string{"everything is rejected: no policy is needed where there is no other"}, res.Notes)
	check(t, res, err, []verdict{{"registry.example/x:v1", open, false}})
}

// The name that was signed counts as it does there.
func TestSignedIdentityIsImported(t *testing.T) {
	key := newKey(t)
	for _, c := range []struct {
		identity map[string]any
		image    string
		want     bool
	}{
		{nil, "registry.example/shop/app:v1", true},
		{nil, "registry.example/shop/app:v2", false},
		{map[string]any{"type": "matchExact"}, "registry.example/shop/app:v1", true},
		{map[string]any{"type": "matchRepository"}, "registry.example/shop/app:v2", true},
		{map[string]any{"type": "matchRepository"}, "registry.example/shop/other:v1", false},
		{map[string]any{"type": "exactReference", "dockerReference": "registry.example/shop/app:v1"}, "registry.example/mirror:v9", true},
		{map[string]any{"type": "exactRepository", "dockerRepository": "registry.example/shop/app"}, "registry.example/mirror:v9", true},
		{map[string]any{"type": "exactRepository", "dockerRepository": "registry.example/shop/other"}, "registry.example/mirror:v9", false},
		{map[string]any{"type": "remapIdentity", "prefix": "registry.example/mirror", "signedPrefix": "registry.example/shop"}, "registry.example/mirror/app:v1", true},
		{map[string]any{"type": "remapIdentity", "prefix": "registry.example/mirror", "signedPrefix": "registry.example/shop"}, "registry.example/mirror/app:v2", false},
	} {
		members := map[string]any{"keyData": b64(key)}
		if c.identity != nil {
			members["signedIdentity"] = c.identity
		}
		res, err := ContainersPolicy(Source{Name: "policy.json", Data: []byte(`{"default":[` + sigstore(t, members) + `]}`)})
		check(t, res, err, []verdict{{c.image, signer{key: key}, c.want}})
	}
}

func TestFulcioAndLogsBecomeATrustRoot(t *testing.T) {
	root, intermediate := newAuthority(t)
	log := newKey(t)
	members := map[string]any{
		"fulcio":              map[string]any{"caData": b64(intermediate + root), "oidcIssuer": "https://issuer.example", "subjectEmail": "a@shop.example"},
		"rekorPublicKeyDatas": []string{b64(log)}, "signedIdentity": map[string]any{"type": "matchRepository"},
	}
	res, err := ContainersPolicy(Source{Name: "policy.json", Data: []byte(`{"default":[` + sigstore(t, members) + `]}`)})
	a := signer{keyless: true, Signer: claim.Signer{Issuer: "https://issuer.example", Subject: "a@shop.example"}}
	b := signer{keyless: true, Signer: claim.Signer{Issuer: "https://issuer.example", Subject: "a@shop.example.evil.example"}}
	check(t, res, err, []verdict{
		{"registry.example/shop/app:v1", a, true},
		{"registry.example/shop/app:v1", b, false},
	})
	text := string(res.Policy)
	require.Contains(t, text, "kind: TrustRoot")
	require.Contains(t, text, "insecureIgnoreSCT: true")
	require.Contains(t, text, b64(intermediate+root), "leaf first, root last")
	require.Contains(t, text, b64(log))
	require.Equal(t, 1, strings.Count(text, "kind: TrustRoot"))
	loads(t, res)
}

// loads makes a trusted root of the imported TrustRoot, as verify does.
func loads(t *testing.T, res *Result) {
	t.Helper()
	set, err := policy.FromFiles("imported", []policy.File{{Name: "policy.yaml", Data: res.Policy}})
	require.NoError(t, err)
	doc, ok := set.TrustRoot("imported-root-1")
	require.True(t, ok)
	plain := func(text string) []byte {
		data, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		return data
	}
	var parts trust.Parts
	for _, ca := range doc.SigstoreKeys.CertificateAuthorities {
		parts.CertificateAuthorities = append(parts.CertificateAuthorities, trust.PartAuthority{
			URI: ca.URI, Organization: ca.Subject.Organization, CommonName: ca.Subject.CommonName, Chain: plain(ca.CertChain)})
	}
	for _, log := range doc.SigstoreKeys.TLogs {
		parts.TLogs = append(parts.TLogs, trust.PartLog{BaseURL: log.BaseURL, HashAlgorithm: log.HashAlgorithm, Key: plain(log.PublicKey)})
	}
	_, err = trust.FromParts(parts)
	require.NoError(t, err)
}

// A key that has to be logged becomes a TrustRoot with nothing but the log.
func TestKeyWithLog(t *testing.T) {
	members := map[string]any{"keyData": b64(newKey(t)), "rekorPublicKeyData": b64(newKey(t))}
	res, err := ContainersPolicy(Source{Name: "policy.json", Data: []byte(`{"default":[` + sigstore(t, members) + `]}`)})
	require.NoError(t, err)
	require.Contains(t, string(res.Policy), "kind: TrustRoot")
	require.Contains(t, string(res.Policy), "ctlog:")
}

func TestNotationMeansTheSame(t *testing.T) {
	acme := signer{notation: true, Signer: claim.Signer{X509: "CN=acme", TrustStore: "ca:acme"}}
	res, err := Notation(Source{Name: "trustpolicy.json", Data: []byte(`{"version":"1.0","trustPolicies":[
		{"name":"Acme images","registryScopes":["registry.example/acme","registry.example/acme/tools"],"signatureVerification":{"level":"strict","verifyTimestamp":"afterCertExpiry"},
		 "trustStores":["ca:acme","tsa:acme"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=acme, CN=acme"]},
		{"name":"rest","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}`)})
	check(t, res, err, []verdict{
		{"registry.example/acme:v1", acme, true},
		{"registry.example/acme:v1", signer{}, false},
		{"registry.example/acme/tools:v1", signer{}, false},
		{"registry.example/acme/tools:v1", acme, true},
		{"registry.example/acme/other:v1", signer{}, true},
		{"registry.example/acmes:v1", signer{}, true},
	})
	require.Len(t, res.Notes, 2)

	res, err = Notation(Source{Name: "trustpolicy.json", Data: []byte(`{"version":"1.0","trustPolicies":[
		{"name":"a","registryScopes":["registry.example/acme"],"signatureVerification":{"level":"strict","override":{"expiry":"log","authenticTimestamp":"log","revocation":"log"}},
		 "trustStores":["ca:acme"],"trustedIdentities":["*"]}]}`)})
	check(t, res, err, []verdict{{"registry.example/acme:v1", acme, true}, {"registry.example/other:v1", acme, false}})
	require.Contains(t, string(res.Policy), "level: permissive")
}

func TestTalosMeansTheSame(t *testing.T) {
	key := newKey(t)
	quoted, err := json.Marshal(key)
	require.NoError(t, err)
	release := signer{keyless: true, Signer: claim.Signer{Issuer: "https://accounts.example", Subject: "krel@release.example"}}
	res, err := Talos(Source{Name: "talos.yaml", Data: []byte(`apiVersion: v1alpha1
kind: ImageVerificationConfig
rules:
- image: registry.k8s.io/*
  keyless: {issuer: https://accounts.example, subject: krel@release.example}
- image: index.docker.io/acme/*
  publicKey:
    certificate: ` + string(quoted) + `
- image: localhost:3000/*
  deny: true
`)})
	check(t, res, err, []verdict{
		{"registry.k8s.io/pause:3.10", release, true},
		{"registry.k8s.io/a/b/c@" + digest.FromString("c").String(), release, true},
		{"registry.k8s.io/pause:3.10", signer{}, false},
		{"acme/app", signer{key: key}, true},
		{"docker.io/acme/app:v1", signer{}, false},
		{"localhost:3000/x:v1", signer{key: key}, false},
		// No rule: admitted, as there.
		{"registry.example/x:v1", signer{}, true},
		{"docker.io/acmes/app:v1", signer{}, true},
	})

	res, err = Talos(Source{Name: "talos.yaml", Data: []byte(`apiVersion: v1alpha1
kind: ImageVerificationConfig
rules:
- {image: registry.example/shop, skip: true}
- {image: "*", deny: true}
`)})
	check(t, res, err, []verdict{
		{"registry.example/shop:v1", signer{}, true},
		{"registry.example/shop/app:v1", signer{}, false},
		{"registry.example/other:v1", signer{}, false},
	})
}
