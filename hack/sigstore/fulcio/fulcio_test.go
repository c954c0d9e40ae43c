// SPDX-License-Identifier: Apache-2.0

package fulcio

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/fulcio/pkg/identity"
	"github.com/stretchr/testify/require"
)

// The embedded configuration is that of the Fulcio we link; go generate
// renews it.
func TestConfigurationIsFulcios(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/fulcio").Output()
	require.NoError(t, err)
	want, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "config", "identity", "config.yaml"))
	require.NoError(t, err)
	require.Equal(t, string(want), string(production), "run go generate ./fulcio")
}

func TestIssuerKind(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://token.actions.githubusercontent.com":      "github-workflow",
		"https://token.actions.githubusercontent.com/acme": "github-workflow",
		"https://gitlab.com":                               "gitlab-pipeline",
		"https://accounts.google.com":                      "email",
		"https://oidc.eks.eu-west-1.amazonaws.com/id/0A1B": "kubernetes",
	} {
		kind, err := IssuerKind(issuer)
		require.NoError(t, err)
		require.Equal(t, want, kind, issuer)
	}
	for _, issuer := range []string{"", "https://gitlab.com/", "http://gitlab.com", "https://token.actions.githubusercontent.com/a/b"} {
		_, err := IssuerKind(issuer)
		require.ErrorIs(t, err, ErrUnknownIssuer, issuer)
	}
}

// Code that calls Fulcio's packages without our handler gets no free pass.
func TestNoTokenKeyNoIdentity(t *testing.T) {
	_, err := identity.Authorize(t.Context(), "a.b.c")
	require.ErrorIs(t, err, ErrNoKey)
}
