// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/policy"
)

func selfSigned(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

const trustRoot = `apiVersion: policy.sigstore.dev/v1alpha1
kind: TrustRoot
metadata: {name: mine}
spec:
  sigstoreKeys:
    certificateAuthorities:
    - subject: {organization: o, commonName: c}
      uri: https://fulcio.example
      certChain: |-
        QUJD
        REVG
    tLogs: [{baseURL: "https://rekor.example", hashAlgorithm: sha-256, publicKey: QUJD}]
    ctLogs: [{baseURL: "https://ctfe.example", hashAlgorithm: sha-256, publicKey: QUJD}]
    timestampAuthorities: [{subject: {organization: o, commonName: c}, uri: "https://tsa.example", certChain: QUJD}]
`

func TestTrustRoots(t *testing.T) {
	refers := strings.NewReplacer("url: https://fulcio.sigstore.dev", "trustRootRef: mine").Replace(good)
	set := load(t, trustRoot+"---\n"+refers)
	require.Len(t, set.Policies(), 1)
	require.Equal(t, []string{"mine"}, set.TrustRoots())
	require.Empty(t, set.MissingRoots())
	root, ok := set.TrustRoot("mine")
	require.True(t, ok)
	require.Equal(t, "https://rekor.example", root.SigstoreKeys.TLogs[0].BaseURL)
	chain, err := base64.StdEncoding.DecodeString(root.SigstoreKeys.CertificateAuthorities[0].CertChain)
	require.NoError(t, err)
	require.Equal(t, "ABCDEF", string(chain))
	_, ok = set.TrustRoot("other")
	require.False(t, ok)

	require.Equal(t, []string{"mine"}, load(t, refers).MissingRoots())
	require.Empty(t, load(t, good).MissingRoots(), "the root of the machine is not missing")

	only := load(t, trustRoot)
	_, err = only.Select("registry.example/shop/app:v1", dgst)
	require.ErrorIs(t, err, policy.ErrEmpty, "a trusted root is no policy")
}

func TestTrustRootsWithoutSense(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"none", trustRoot[strings.Index(trustRoot, "  sigstoreKeys"):], "  {}\n", "exactly one of remote, repository and sigstoreKeys"},
		{"two", "  sigstoreKeys:", "  remote: {root: e30=, mirror: \"https://x\"}\n  sigstoreKeys:", "exactly one of"},
		{"nobody", "    certificateAuthorities:\n    - subject: {organization: o, commonName: c}\n      uri: https://fulcio.example\n      certChain: |-\n        QUJD\n        REVG\n", "", ""},
		{"no base64", "REVG", "!!", "p.yaml:7: certificateAuthorities.certChain is not base64"},
		{"no URL", "https://fulcio.example", "fulcio", `certificateAuthorities.uri is "fulcio"`},
		{"no URL of a log", "\"https://ctfe.example\"", "ctfe", `baseURL is "ctfe"`},
		{"no key", "publicKey: QUJD}]\n    ctLogs", "publicKey: \"\"}]\n    ctLogs", "spec.sigstoreKeys.tLogs.publicKey is missing or empty"},
		{"no subject", "    - subject: {organization: o, commonName: c}\n      uri", "    - uri", "certificateAuthorities.subject is missing"},
		{"no common name", "commonName: c}\n      uri", "commonName: \"\"}\n      uri", "subject.commonName is missing"},
		{"unknown field", "    tLogs:", "    tlogs:", "unknown field spec.sigstoreKeys.tlogs"},
		{"another version", "v1alpha1", "v1beta1", `apiVersion "policy.sigstore.dev/v1beta1", kind "TrustRoot"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, trustRoot, c.old)
			_, err := policy.Parse("p.yaml", []byte(strings.Replace(trustRoot, c.old, c.new, 1)))
			if c.want == "" {
				require.NoError(t, err, "timestamp authorities alone will do")
				return
			}
			require.ErrorIs(t, err, policy.ErrInvalid)
			require.ErrorContains(t, err, c.want)
		})
	}
	for body, text := range map[string]string{
		"spec:\n  remote: {root: e30=, mirror: \"https://x\", targets: t, trustedRootTarget: r}\n":         "",
		"spec:\n  remote: {root: \"{}\", mirror: \"https://x\"}\n":                                         "remote.root is not base64",
		"spec:\n  remote: {root: e30=, mirror: x}\n":                                                       "remote.mirror",
		"spec:\n  remote: {root: e30=}\n":                                                                  "spec.remote.mirror is missing",
		"spec:\n  repository: {root: e30=, mirrorFS: QUJD, targets: t, trustedRootTarget: r}\n":            "",
		"spec:\n  repository: {root: e30=, mirrorFS: \"?\"}\n":                                             "mirrorFS is not base64",
		"spec:\n  repository: {root: e30=}\n":                                                              "spec.repository.mirrorFS is missing",
		"spec:\n  sigstoreKeys: {tLogs: [{baseURL: \"https://x\", hashAlgorithm: a, publicKey: QUJD}]}\n":  "",
		"spec:\n  sigstoreKeys: {ctLogs: [{baseURL: \"https://x\", hashAlgorithm: a, publicKey: QUJD}]}\n": "needs certificateAuthorities, timestampAuthorities or tLogs",
	} {
		_, err := policy.Parse("p.yaml", []byte(trustRoot[:strings.Index(trustRoot, "spec:")]+body))
		if text == "" {
			require.NoError(t, err, body)
			continue
		}
		require.ErrorContains(t, err, text)
	}
}

// TestTrustRootsOfOneName: which is believed must not depend on the order of
// files.
func TestTrustRootsOfOneName(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b.yaml"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(trustRoot), 0o600))
	}
	_, err := policy.Load(dir)
	require.ErrorIs(t, err, policy.ErrInvalid)
	require.ErrorContains(t, err, `TrustRoot "mine" is already in `+filepath.Join(dir, "a.yaml")+":1: rename one")

	first, second := load(t, trustRoot), load(t, strings.Replace(trustRoot, "mine", "other", 1))
	both, err := policy.Merge(first, second)
	require.NoError(t, err)
	require.Equal(t, []string{"mine", "other"}, both.TrustRoots())
	require.NotEqual(t, first.Digest(), second.Digest(), "the digest covers trusted roots")
	_, err = policy.Merge(first, first)
	require.ErrorContains(t, err, "rename one")
}
