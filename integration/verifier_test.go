// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
)

// call runs plomb-verifier as containerd does and returns what it says.
func call(t *testing.T, ref string, img dissect.Image, env ...string) (reason string, exit int) {
	t.Helper()
	desc, err := json.Marshal(ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageIndex, Digest: img.Digest, Size: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(shared.Bin, "plomb-verifier"),
		"-name", ref, "-digest", img.Digest.String(), "-stdin-media-type", ocispecs.MediaTypeDescriptor)
	cmd.Stdin = bytes.NewReader(desc)
	cmd.Env = append(shared.Environ(), env...)
	out, err := cmd.Output()
	var failed *exec.ExitError
	if err != nil {
		require.True(t, errors.As(err, &failed), err)
		exit = failed.ExitCode()
	}
	return string(out), exit
}

// Whatever is missing on the node, the verifier says no, in one line.
func TestVerifierFailsClosed(t *testing.T) {
	ref := signedImage(t, "app")
	img := dissect.Pull(t, ref)
	reason, exit := call(t, ref, img)
	require.Zero(t, exit, reason)

	empty, broken := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(broken, "policy.yaml"),
		[]byte("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: x}\nspec: {imagse: []}\n"), 0o600))
	brokenRoot := filepath.Join(broken, "trusted_root.json")
	require.NoError(t, os.WriteFile(brokenRoot, []byte("{"), 0o600))
	gone := absentRegistry(t) + "/app:latest"

	tests := map[string]struct {
		ref    string
		env    string
		reason string
	}{
		"registry gone":       {ref: gone, env: "PLOMB_POLICY=" + policyFor(t, "**"), reason: "connection refused"},
		"no policy folder":    {ref: ref, env: "PLOMB_POLICY=" + filepath.Join(empty, "none"), reason: filepath.Join(empty, "none")},
		"empty policy folder": {ref: ref, env: "PLOMB_POLICY=" + empty, reason: empty},
		"broken policy":       {ref: ref, env: "PLOMB_POLICY=" + broken, reason: "imagse"},
		"no policy for it":    {ref: ref, env: "PLOMB_POLICY=" + policyFor(t, "registry.example.com/**"), reason: "no policy"},
		"no trusted root":     {ref: ref, env: "PLOMB_TRUSTED_ROOT=" + filepath.Join(empty, "none.json"), reason: "none.json"},
		"broken trusted root": {ref: ref, env: "PLOMB_TRUSTED_ROOT=" + brokenRoot, reason: "trusted_root.json"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			reason, exit := call(t, tc.ref, img, tc.env)
			require.Equal(t, 1, exit, reason)
			require.Contains(t, reason, tc.reason)
			line := strings.TrimSuffix(reason, "\n")
			require.LessOrEqual(t, len(line), 300)
			require.NotContains(t, line, "\n")
		})
	}
}

// policyFor is the stand's policy with other images in it.
func policyFor(t *testing.T, glob string) string {
	t.Helper()
	entries, err := os.ReadDir(shared.Policy)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	data, err := os.ReadFile(filepath.Join(shared.Policy, entries[0].Name()))
	require.NoError(t, err)
	dir := t.TempDir()
	changed := strings.ReplaceAll(string(data), shared.Registry+"/**", glob)
	require.NotEqual(t, string(data), changed)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(changed), 0o600))
	return dir
}
