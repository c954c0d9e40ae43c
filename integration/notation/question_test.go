// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/verify/decision"
)

// Exit statuses of plomb verify.
const (
	allowed   = 0
	denied    = 1
	undecided = 2
)

// A statement is one of a trustpolicy.json.
type statement struct {
	Name       string       `json:"name"`
	Scopes     []string     `json:"registryScopes"`
	Level      verification `json:"signatureVerification"`
	Stores     []string     `json:"trustStores,omitempty"`
	Identities []string     `json:"trustedIdentities,omitempty"`
}

type verification struct {
	Level     string `json:"level"`
	Timestamp string `json:"verifyTimestamp,omitempty"`
}

// release is who is welcome if nothing else is said.
const release = "x509.subject: C=US, ST=WA, O=Acme, OU=release"

// strict trusts whom the store ca:acme vouches for, and further stores.
func strict(stores ...string) statement {
	return statement{Name: "acme", Scopes: []string{"*"}, Level: verification{Level: "strict"},
		Stores: append([]string{"ca:acme"}, stores...), Identities: []string{release}}
}

// trustPolicy writes notation's trust policy.
func (n notary) trustPolicy(t *testing.T, list ...statement) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"version": "1.0", "trustPolicies": list})
	require.NoError(t, err)
	file := filepath.Join(n.dir, "trustpolicy.json")
	require.NoError(t, os.WriteFile(file, data, 0o600)) // notation asks for it
	return file
}

// byStores is an ImagePolicy that means what the statement means.
func (s statement) byStores(t *testing.T) string {
	t.Helper()
	return s.policy(t, map[string]any{"trustStores": s.Stores})
}

// byCertificates is the same with the certificates themselves, as they are in
// the folder.
func (s statement) byCertificates(t *testing.T, n notary) string {
	t.Helper()
	inline := map[string]any{}
	for _, store := range s.Stores {
		kind, name, _ := strings.Cut(store, ":")
		files, err := filepath.Glob(filepath.Join(n.folder(), "x509", kind, name, "*.pem"))
		require.NoError(t, err)
		field := map[string]string{"ca": "certificates", "tsa": "timestampCertificates"}[kind]
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			text, _ := inline[field].(string)
			inline[field] = text + string(data)
		}
	}
	return s.policy(t, inline)
}

// policy writes an ImagePolicy with the stores and what else its spec has. JSON
// is YAML.
func (s statement) policy(t *testing.T, stores map[string]any, more ...map[string]any) string {
	t.Helper()
	stores["level"], stores["trustedIdentities"] = s.Level.Level, s.Identities
	if s.Level.Timestamp != "" {
		stores["verifyTimestamp"] = s.Level.Timestamp
	}
	spec := map[string]any{
		"images":      []any{map[string]any{"glob": "**"}},
		"authorities": []any{map[string]any{"name": s.Name, "notation": stores}},
	}
	for _, m := range more {
		for k, v := range m {
			spec[k] = v
		}
	}
	data, err := json.Marshal(map[string]any{
		"apiVersion": "plombproject.github.io/v1", "kind": "ImagePolicy", "metadata": map[string]any{"name": s.Name}, "spec": spec,
	})
	require.NoError(t, err)
	return harness.Folder(t, map[string]string{"policy.json": string(data)})
}

// imported is what `plomb policy import` makes of a trust policy.
func imported(t *testing.T, trustPolicy string) string {
	t.Helper()
	dir := harness.Dir(t)
	p := harness.Command{On: on, Name: "plomb", Args: []string{"policy", "import", "--from", "notation", "-o", dir, trustPolicy}}.Run(t)
	require.NoError(t, p.Err, p.All)
	return dir
}

// verified asks plomb about ref. The attestations that nobody asked for are
// left where they are, so that requests are counted which the verdict needs.
func (n notary) verified(t *testing.T, policy, ref string) (*decision.Decision, int) {
	t.Helper()
	args := []string{"verify", "--output", "json", "--attestations=false", "--policy", policy, "--notation-dir", n.folder(), ref}
	p := harness.Command{On: on, Name: "plomb", Args: args}.Run(t)
	var d decision.Decision
	require.NoError(t, json.Unmarshal([]byte(p.Out), &d), p.All)
	t.Logf("plomb: %d %s: %s", p.Status, d.Code, d.Reason)
	return &d, p.Status
}

// accepts asks notation about ref.
func (n notary) accepts(t *testing.T, ref string) bool {
	t.Helper()
	p := n.run(t, "verify", "--insecure-registry", ref)
	t.Logf("notation: %d: %s", p.Status, strings.TrimSpace(p.All))
	return p.Status == 0
}

// ask puts one question about ref to plomb, in three ways that mean the same,
// and to notation. The three have to agree; the decision is that by trust
// stores.
func (n notary) ask(t *testing.T, s statement, ref string) (d *decision.Decision, plomb int, notation bool) {
	t.Helper()
	file := n.trustPolicy(t, s)
	d, plomb = n.verified(t, s.byStores(t), ref)
	for name, policy := range map[string]string{"certificates in the policy": s.byCertificates(t, n), "imported": imported(t, file)} {
		same, status := n.verified(t, policy, ref)
		require.Equal(t, plomb, status, "%s: %s", name, same.Reason)
		require.Equal(t, d.Code, same.Code, name)
	}
	return d, plomb, n.accepts(t, ref)
}
