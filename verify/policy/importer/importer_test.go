// SPDX-License-Identifier: Apache-2.0

package importer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newKey is a fresh public key, in PEM.
func newKey(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// newAuthority is a root certificate and an intermediate one, in PEM.
func newAuthority(t testing.TB) (root, intermediate string) {
	t.Helper()
	make := func(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, string) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{"shop"}},
			NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
		if parent == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		require.NoError(t, err)
		cert, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	rootCert, rootKey, root := make("root", nil, nil)
	_, _, intermediate = make("intermediate", rootCert, rootKey)
	return root, intermediate
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// object writes JSON, so that cases need not quote PEM.
func object(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

// sigstore is a sigstoreSigned requirement with these members.
func sigstore(t testing.TB, members map[string]any) string {
	t.Helper()
	members["type"] = "sigstoreSigned"
	return object(t, members)
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"**", "registry.example/**", true},
		{"registry.example/**", "registry.example/shop", true},
		{"registry.example/**", "other.example/**", false},
		{"registry.example/shop", "registry.example/shops", false},
		{"registry.example/shop/**", "registry.example/shop", false},
		{"*.example/**", "registry.example/shop", true},
		{"*.example/**", "registry/evil.example/shop", false},
		{"**b", "a**", true},
		{"a*c", "ab*", true},
		{"a*c", "ab*/d", false},
		{"a**d", "ab*/d", true},
		{"*a*b*", "*b*a*", true},
		{"", "", true},
		{"", "**", true},
		{"a", "", false},
	} {
		require.Equal(t, c.want, overlap(c.a, c.b), "%s %s", c.a, c.b)
		require.Equal(t, c.want, overlap(c.b, c.a), "%s %s", c.b, c.a)
	}
}

// What is refused names the place and the thing: nothing is dropped.
func TestContainersPolicyRefuses(t *testing.T) {
	key := newKey(t)
	signed := sigstore(t, map[string]any{"keyData": b64(key)})
	docker := func(scopes string) string {
		return `{"default":[{"type":"reject"}],"transports":{"docker":{` + scopes + `}}}`
	}
	root, intermediate := newAuthority(t)
	fulcio := func(ca string) map[string]any {
		return map[string]any{"caData": b64(ca), "oidcIssuer": "https://issuer.example", "subjectEmail": "a@shop.example"}
	}
	for name, c := range map[string]struct {
		policy string
		err    error
		words  []string
	}{
		"GPG":                {docker(`"registry.example":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}]`), ErrInexpressible, []string{`transports.docker["registry.example"][0]`, "signedBy"}},
		"base layer":         {docker(`"registry.example":[{"type":"signedBaseLayer"}]`), ErrInexpressible, []string{"signedBaseLayer"}},
		"X.509":              {docker(`"registry.example":[` + sigstore(t, map[string]any{"pki": map[string]any{"caRootsPath": "/r", "subjectEmail": "a@shop.example"}}) + `]`), ErrInexpressible, []string{"[0].pki"}},
		"transport":          {`{"default":[{"type":"reject"}],"transports":{"docker-daemon":{"":[{"type":"insecureAcceptAnything"}]}}}`, ErrInexpressible, []string{`transports["docker-daemon"]`, "--ignore-transport docker-daemon"}},
		"less below":         {docker(`"registry.example":[` + signed + `],"registry.example/open":[{"type":"insecureAcceptAnything"}]`), ErrInexpressible, []string{`transports.docker["registry.example/open"]`, `replaces transports.docker["registry.example"]`}},
		"other key below":    {docker(`"registry.example":[` + signed + `],"registry.example/open":[` + sigstore(t, map[string]any{"keyData": b64(newKey(t))}) + `]`), ErrInexpressible, []string{"asks for less"}},
		"opened again":       {`{"default":[{"type":"insecureAcceptAnything"}],"transports":{"docker":{"registry.example":[{"type":"reject"}],"registry.example/open":[{"type":"insecureAcceptAnything"}]}}}`, ErrInexpressible, []string{"registry.example/open"}},
		"wildcard below":     {docker(`"*.example":[` + signed + `],"registry.example":[{"type":"insecureAcceptAnything"}]`), ErrInexpressible, []string{"registry.example"}},
		"tag beside digest":  {docker(`"registry.example/app:v1":[` + signed + `],"registry.example/app@sha256:` + strings.Repeat("ab", 32) + `":[{"type":"insecureAcceptAnything"}]`), ErrInexpressible, []string{"asks for less"}},
		"several blocks":     {docker(`"registry.example":[` + sigstore(t, map[string]any{"keyData": b64(key + newKey(t))}) + `]`), ErrInexpressible, []string{"[0].keyData", "several PEM blocks"}},
		"chain without root": {docker(`"registry.example":[` + sigstore(t, map[string]any{"fulcio": fulcio(intermediate), "rekorPublicKeyData": b64(key)}) + `]`), ErrInexpressible, []string{"fulcio.caData", "issued it"}},
		"fulcio without log": {docker(`"registry.example":[` + sigstore(t, map[string]any{"fulcio": fulcio(root)}) + `]`), ErrMalformed, []string{"rekorPublicKey"}},
		"key and fulcio":     {docker(`"registry.example":[` + sigstore(t, map[string]any{"keyData": b64(key), "fulcio": fulcio(root), "rekorPublicKeyData": b64(key)}) + `]`), ErrMalformed, []string{"exactly one"}},
		"two spellings":      {docker(`"registry.example":[` + sigstore(t, map[string]any{"keyData": b64(key), "keyDatas": []string{b64(key)}}) + `]`), ErrMalformed, []string{"several of keyPath"}},
		"no key":             {docker(`"registry.example":[{"type":"sigstoreSigned"}]`), ErrMalformed, []string{"exactly one"}},
		"a certificate":      {docker(`"registry.example":[` + sigstore(t, map[string]any{"keyData": b64(root)}) + `]`), ErrMalformed, []string{"no public key"}},
		"empty list":         {docker(`"registry.example":[]`), ErrMalformed, []string{"empty"}},
		"no default":         {`{}`, ErrMalformed, []string{"default"}},
		"unknown type":       {docker(`"registry.example":[{"type":"trustMe"}]`), ErrMalformed, []string{"trustMe"}},
		"unknown member":     {docker(`"registry.example":[{"type":"reject","unless":"friend"}]`), ErrMalformed, []string{"unless"}},
		"unknown top":        {`{"default":[{"type":"reject"}],"defaults":[]}`, ErrMalformed, []string{"defaults"}},
		"given twice":        {`{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}`, ErrMalformed, []string{"default"}},
		"short name":         {docker(`"busybox":[{"type":"insecureAcceptAnything"}]`), ErrInexpressible, []string{"registry"}},
		"index.docker.io":    {docker(`"index.docker.io/library":[{"type":"insecureAcceptAnything"}]`), ErrInexpressible, []string{"docker.io"}},
		"all of Docker":      {docker(`"*.docker.io":[{"type":"insecureAcceptAnything"}]`), ErrInexpressible, []string{"docker.io"}},
		"star inside":        {docker(`"registry.example/*":[{"type":"insecureAcceptAnything"}]`), ErrInexpressible, []string{"expanded form"}},
		"identity":           {docker(`"registry.example":[` + sigstore(t, map[string]any{"keyData": b64(key), "signedIdentity": map[string]any{"type": "matchExact", "prefix": "x"}}) + `]`), ErrMalformed, []string{"signedIdentity"}},
		"file":               {docker(`"registry.example":[` + sigstore(t, map[string]any{"keyPath": "/etc/shadow"}) + `]`), ErrInexpressible, []string{"keyPath", "/etc/shadow"}},
	} {
		_, err := ContainersPolicy(Source{Name: "policy.json", Data: []byte(c.policy)})
		require.ErrorIs(t, err, c.err, name)
		require.ErrorContains(t, err, "policy.json", name)
		for _, w := range c.words {
			require.ErrorContains(t, err, w, name)
		}
	}
}

// Every fault is reported, not the first alone.
func TestAllFaultsAreReported(t *testing.T) {
	_, err := ContainersPolicy(Source{Name: "policy.json", Data: []byte(`{"default":[{"type":"signedBy"}],"transports":{"oci":{},"docker":{"nginx":[{"type":"what"}]}}}`)})
	var many interface{ Unwrap() []error }
	require.True(t, errors.As(err, &many))
	require.Len(t, many.Unwrap(), 3)
}

func TestFilesAreReadByTheCaller(t *testing.T) {
	key := newKey(t)
	policy := `{"default":[{"type":"reject"}],"transports":{"docker":{"registry.example":[{"type":"sigstoreSigned","keyPaths":["/a","/b"]}]}}}`
	read := func(path string) ([]byte, error) {
		if path == "/a" {
			return []byte(key), nil
		}
		return nil, errors.New("no such file")
	}
	_, err := ContainersPolicy(Source{Name: "policy.json", Data: []byte(policy), ReadFile: read})
	require.ErrorContains(t, err, "[0].keyPaths[1]: no such file")
}

func TestNotationRefuses(t *testing.T) {
	const stores = `"trustStores":["ca:acme"],"trustedIdentities":["*"]`
	statement := func(s string) string { return `{"version":"1.0","trustPolicies":[` + s + `]}` }
	for name, c := range map[string]struct {
		policy string
		err    error
		words  string
	}{
		"files":         {statement(`{"name":"f","signatureVerification":{"level":"strict"},` + stores + `}`), ErrInexpressible, "files"},
		"global":        {statement(`{"name":"f","globalPolicy":true,"signatureVerification":{"level":"strict"},` + stores + `}`), ErrInexpressible, "files"},
		"override":      {statement(`{"name":"o","registryScopes":["*"],"signatureVerification":{"level":"strict","override":{"revocation":"skip"}},` + stores + `}`), ErrInexpressible, "override"},
		"integrity":     {statement(`{"name":"o","registryScopes":["*"],"signatureVerification":{"level":"strict","override":{"integrity":"log"}},` + stores + `}`), ErrMalformed, "integrity"},
		"plugin":        {statement(`{"name":"p","registryScopes":["*"],"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":["aws.role:x"]}`), ErrInexpressible, "aws.role"},
		"less below":    {statement(`{"name":"a","registryScopes":["*"],"signatureVerification":{"level":"strict"},` + stores + `},{"name":"b","registryScopes":["registry.example/open"],"signatureVerification":{"level":"skip"}}`), ErrInexpressible, "asks for less"},
		"no registry":   {statement(`{"name":"a","registryScopes":["local/layout"],"signatureVerification":{"level":"skip"}}`), ErrInexpressible, "registry"},
		"twice":         {statement(`{"name":"a","registryScopes":["registry.example/a"],"signatureVerification":{"level":"skip"}},{"name":"b","registryScopes":["registry.example/a"],"signatureVerification":{"level":"skip"}}`), ErrMalformed, "as well"},
		"mixed star":    {statement(`{"name":"a","registryScopes":["*","registry.example/a"],"signatureVerification":{"level":"skip"}}`), ErrMalformed, "not a repository"},
		"store":         {statement(`{"name":"a","registryScopes":["*"],"signatureVerification":{"level":"strict"},"trustStores":["ca:../../etc"],"trustedIdentities":["*"]}`), ErrMalformed, "ca:NAME"},
		"no identities": {statement(`{"name":"a","registryScopes":["*"],"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"]}`), ErrMalformed, "required"},
		"version":       {`{"version":"2.0","trustPolicies":[]}`, ErrInexpressible, "2.0"},
		"unknown":       {`{"version":"1.0","trustPolicies":[],"x":1}`, ErrMalformed, "x"},
	} {
		_, err := Notation(Source{Name: "trustpolicy.json", Data: []byte(c.policy)})
		require.ErrorIs(t, err, c.err, name)
		require.ErrorContains(t, err, c.words, name)
	}
}

func TestTalosRefuses(t *testing.T) {
	rules := func(s string) string { return "apiVersion: v1alpha1\nkind: ImageVerificationConfig\nrules:\n" + s }
	for name, c := range map[string]struct {
		policy string
		err    error
		words  string
	}{
		"kind":          {"apiVersion: v1alpha1\nkind: Other\n", ErrMalformed, "ImageVerificationConfig"},
		"two documents": {rules("") + "---\nkind: x\n", ErrMalformed, "alone"},
		"unknown":       {rules("- image: registry.example/*\n  allow: true\n"), ErrMalformed, "allow"},
		"nothing":       {rules("- image: registry.example/*\n"), ErrMalformed, "exactly one"},
		"skip and deny": {rules("- image: registry.example/*\n  skip: true\n  deny: true\n"), ErrMalformed, "exactly one"},
		"no registry":   {rules("- image: library/nginx*\n  deny: true\n"), ErrInexpressible, "registry"},
		"tag":           {rules("- image: registry.example/app:v1\n  deny: true\n"), ErrInexpressible, "tag"},
		"digest tail":   {rules("- image: registry.example/*256\n  deny: true\n"), ErrInexpressible, "digest"},
		"skip first":    {rules("- image: registry.example/open/*\n  skip: true\n- image: registry.example/*\n  deny: true\n"), ErrInexpressible, "asks for less"},
		"both subjects": {rules("- image: registry.example/*\n  keyless:\n    issuer: https://i.example\n    subject: a\n    subjectRegex: b\n"), ErrMalformed, "one of"},
		"broken regexp": {rules("- image: registry.example/*\n  keyless:\n    issuer: https://i.example\n    subjectRegex: '('\n"), ErrMalformed, "subjectRegex"},
		"certificate":   {rules("- image: registry.example/*\n  publicKey:\n    certificate: x\n"), ErrMalformed, "PEM"},
	} {
		_, err := Talos(Source{Name: "talos.yaml", Data: []byte(c.policy)})
		require.ErrorIs(t, err, c.err, name)
		require.ErrorContains(t, err, c.words, name)
	}
}

func TestSourceIsBounded(t *testing.T) {
	for _, f := range Formats() {
		_, err := f.Import(Source{Name: "big", Data: []byte(strings.Repeat(" ", MaxFile+1))})
		require.ErrorIs(t, err, ErrMalformed, f.Name)
	}
}
