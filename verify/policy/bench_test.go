// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/claim"
)

// BenchmarkLoad is what a process pays before it can ask anything: reading,
// checking and compiling policies.
func BenchmarkLoad(b *testing.B) {
	const library = "../../docs/policies"
	for _, c := range []struct{ name, policy string }{
		{"signer", "github-release-workflow"}, {"CEL", "main-branch-only"}, {"CUE", "vulnerability-scan-cue"},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkLoad(b, filepath.Join(library, c.policy, "policy.yaml")) })
	}
	b.Run("library", func(b *testing.B) { benchmarkLoad(b, together(b, library)) })
}

func benchmarkLoad(b *testing.B, path string) {
	b.ReportAllocs()
	for b.Loop() {
		_, err := Load(path)
		require.NoError(b, err)
	}
}

// together copies the policies of the library into one folder.
func together(b *testing.B, library string) string {
	dir := b.TempDir()
	files, err := filepath.Glob(filepath.Join(library, "*", "policy.yaml"))
	require.NoError(b, err)
	require.NotEmpty(b, files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(b, err)
		require.NoError(b, os.WriteFile(filepath.Join(dir, filepath.Base(filepath.Dir(file))+".yaml"), data, 0o600))
	}
	return dir
}

// BenchmarkJudge is one CEL rule as Judge asks it: with the values it looks at
// put together.
func BenchmarkJudge(b *testing.B) {
	p := loadPolicy(b, celRule(`signature.extensions["runnerEnvironment"] == "github-hosted" && provenance.buildDefinition.resolvedDependencies.all(d, d.uri != "x")`))
	claims := []claim.Claim{provenanceClaim(nil)}
	b.ReportAllocs()
	for b.Loop() {
		require.Empty(b, hold(b.Context(), p.conditions, shop(), nil, claims).reasons)
	}
}
