// SPDX-License-Identifier: Apache-2.0

//go:build integration

package notation

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/tamper"
)

// A trust policy in which one repository needs signatures and all others do
// not means the same here.
func TestImportedScopes(t *testing.T) {
	t.Parallel()
	s := newScene(t, on.Registry)
	s.sign(t, s.signer(t), s.ref())
	unsigned := pushTo(t, s.repo, "unsigned")
	elsewhere := pushTo(t, tamper.Repository{Host: s.repo.Host, Name: s.repo.Name + "/below"}, "elsewhere")

	one := strict()
	one.Scopes = []string{s.repo.Host + "/" + s.repo.Name}
	rest := statement{Name: "rest", Scopes: []string{"*"}, Level: verification{Level: "skip"}}
	policy := imported(t, s.trustPolicy(t, one, rest))
	for ref, want := range map[string]int{s.ref(): allowed, unsigned.ref(): denied, elsewhere.ref(): allowed} {
		d, status := s.verified(t, policy, ref)
		require.Equal(t, want, status, d.Reason)
		require.Equal(t, want == allowed, s.accepts(t, ref), "notation, %s", ref)
	}
}

// An image that no statement is about is refused by both.
func TestImportedScopesOutside(t *testing.T) {
	t.Parallel()
	s := newScene(t, on.Registry)
	s.sign(t, s.signer(t), s.ref())
	only := strict()
	only.Scopes = []string{s.repo.Host + "/somebody/else"}
	d, status := s.verified(t, imported(t, s.trustPolicy(t, only)), s.ref())
	require.Equal(t, denied, status, d.Reason)
	require.False(t, s.accepts(t, s.ref()))
}

// What means something else here is refused, and nothing is written.
func TestNotImported(t *testing.T) {
	t.Parallel()
	s := newScene(t, on.Registry)
	plugin := strict()
	plugin.Identities = []string{"acme.plugin: release"}
	weaker := leveled("audit")
	weaker.Scopes = []string{s.repo.Host + "/" + s.repo.Name}
	weaker.Name = "weaker"
	for name, list := range map[string][]statement{"trustedIdentities": {plugin}, "asks for less": {strict(), weaker}} {
		dir := harness.Dir(t)
		p := harness.Command{On: on, Name: "plomb", Args: []string{
			"policy", "import", "--from", "notation", "-o", dir, s.trustPolicy(t, list...)}}.Run(t)
		require.Equal(t, 1, p.Status, "%s: %s", name, p.All)
		require.Contains(t, p.Stderr, name)
		require.NoFileExists(t, dir+"/imported-notation.yaml")
	}
}
