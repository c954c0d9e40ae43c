// SPDX-License-Identifier: Apache-2.0

//go:build integration

package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
)

// The node image is built by plomb's own frontend and signed in the build, so
// that the policy which the chart writes for it admits it, and no other image.
func TestNodeImageIsAdmittedByItsOwnPolicy(t *testing.T) {
	on, err := stand.Start(t.Context(), stand.Options{Dir: filepath.Join(harness.Dir(t), "s"), Log: os.Stderr,
		Only: []string{stand.Registry, stand.Sigstore, stand.Buildkitd}})
	require.NoError(t, err)
	defer func() { require.NoError(t, on.Remove(t.Context())) }()

	out := filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.Mkdir(out, 0o755))
	for _, name := range []string{"plomb", "plomb-verifier"} {
		require.NoError(t, os.Link(filepath.Join(on.Bin, name), filepath.Join(out, name)))
	}
	repo := on.Registry + "/plomb/node"
	build := func(name string, args ...string) string {
		harness.Command{On: on, Args: slices.Concat(harness.Push(name), args, []string{
			"--build-arg", "BUILDKIT_SYNTAX=" + on.Frontend, "--build-context", "build=" + filepath.Dir(out),
			"-f", repository + "/docs/kubernetes/Dockerfile", t.TempDir()})}.Must(t)
		return name
	}
	signed := build(repo+":v1", harness.Signed(t, on)...)
	unsigned := build(repo+":v2", "--build-arg", "PLOMB_SIGN=off")

	// The identity is the one that the stand's tokens have.
	inspected := harness.Command{On: on, Name: "plomb", Args: []string{"inspect", "--output", "json", signed}}.Must(t)
	_, rest, found := strings.Cut(inspected.Out, `"subject": "`)
	require.True(t, found, inspected.Out)
	subject, _, _ := strings.Cut(rest, `"`)
	_, rest, found = strings.Cut(inspected.Out, `"issuer": "`)
	require.True(t, found, inspected.Out)
	issuer, _, _ := strings.Cut(rest, `"`)

	rendered, err := helm(ci("plain"), "--set", "image.repository="+repo, "--set", "self.identity.issuer="+issuer, "--set", "self.identity.subject="+subject)
	require.NoError(t, err)
	policies := t.TempDir()
	for _, c := range ofKind(objects(t, rendered), "ConfigMap") {
		for name, text := range c.Data {
			require.NoError(t, os.WriteFile(filepath.Join(policies, name), []byte(text), 0o600))
		}
	}
	verify := func(image string) harness.Printout {
		return harness.Command{On: on, Name: "plomb", Args: []string{"verify", "--policy", policies, image}}.Run(t)
	}
	p := verify(signed)
	require.Zero(t, p.Status, p.All)
	require.Equal(t, 1, verify(unsigned).Status)
}
