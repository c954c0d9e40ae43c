// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// A notary is a folder with notation's configuration: signing keys, trust
// stores, trust policy. plomb takes the trust stores as they are.
type notary struct{ dir string }

func newNotary(t *testing.T) notary { return notary{harness.Dir(t)} }

// folder is what plomb takes as --notation-dir.
func (n notary) folder() string { return filepath.Join(n.dir, "truststore") }

// program is what hack/tools --oracles builds.
func program(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../.build/tools/notation")
	require.NoError(t, err)
	require.FileExists(t, path, "hack/tools --oracles builds it")
	return path
}

func (n notary) run(t *testing.T, args ...string) harness.Printout {
	t.Helper()
	return harness.Command{On: on, Name: program(t), Args: args, Env: []string{
		"HOME=" + n.dir, "NOTATION_CONFIG=" + n.dir, "NOTATION_CACHE=" + filepath.Join(n.dir, "cache"), "NOTATION_EXPERIMENTAL=1",
	}}.Run(t)
}

// store puts certificates into the trust store KIND:NAME.
func (n notary) store(t *testing.T, kind, name string, certs ...*x509.Certificate) {
	t.Helper()
	for i, cert := range certs {
		harness.Write(t, n.dir, fmt.Sprintf("truststore/x509/%s/%s/%d.pem", kind, name, i), pemOf(cert))
	}
}

// lists has plomb know a revocation list.
func (n notary) lists(t *testing.T, crl []byte) {
	t.Helper()
	harness.Write(t, n.dir, "truststore/crl/list.crl", string(crl))
}

// key makes a signer's key known to notation.
func (n notary) key(t *testing.T, s *signer) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	require.NoError(t, err)
	harness.Write(t, n.dir, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	harness.Write(t, n.dir, "chain.pem", pemOf(s.chain...))
	data, err := json.Marshal(map[string]any{"default": "key", "keys": []map[string]string{{
		"name": "key", "keyPath": filepath.Join(n.dir, "key.pem"), "certPath": filepath.Join(n.dir, "chain.pem"),
	}}})
	require.NoError(t, err)
	harness.Write(t, n.dir, "signingkeys.json", string(data))
}

// sign has notation sign, with more of its flags.
func (n notary) sign(t *testing.T, s *signer, ref string, more ...string) {
	t.Helper()
	n.key(t, s)
	p := n.run(t, append(append([]string{"sign", "--insecure-registry"}, more...), ref)...)
	require.NoError(t, p.Err, p.All)
}

// stamped are the flags for a timestamp of the stand's authority.
func (n notary) stamped(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(n.dir, "tsa.pem")
	require.NoError(t, os.WriteFile(file, []byte(pemOf(stampRoot(t))), 0o644))
	return []string{"--timestamp-url", stampURL, "--timestamp-root-cert", file}
}
