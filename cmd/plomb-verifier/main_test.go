// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/pkg/imageverifier/bindir"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/verifytest"
)

// actAsVerifier makes the test binary the program under test.
const actAsVerifier = "PLOMB_TEST_ACT_AS_VERIFIER"

func TestMain(m *testing.M) {
	if os.Getenv(actAsVerifier) != "" {
		main()
	}
	os.Exit(m.Run())
}

const policy = `{"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy", "metadata": {"name": "demo"},
"spec": {"images": [{"glob": "**"}], "authorities": [{"keyless": {"identities": [{"issuer": "` + verifytest.Issuer + `", "subject": "` + verifytest.Subject + `"}]}}]}}`

// TestUnderContainerd runs the program the way containerd does, with
// containerd's own code.
func TestUnderContainerd(t *testing.T) {
	dir := t.TempDir()
	store, sigstore := verifytest.NewStore(), verifytest.NewSigstore(t)
	registry := store.Serve(t)
	binDir := filepath.Join(dir, "bin")
	require.NoError(t, os.Mkdir(binDir, 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "policy"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "policy", "p.json"), []byte(policy), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "root.json"), sigstore.TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(binDir, "plomb-verifier")))
	t.Setenv(actAsVerifier, "1")
	t.Setenv("PLOMB_POLICY", filepath.Join(dir, "policy"))
	t.Setenv("PLOMB_TRUSTED_ROOT", filepath.Join(dir, "root.json"))
	t.Setenv("PLOMB_HOSTS", filepath.Join(dir, "hosts"))
	t.Setenv("PLOMB_STATE", filepath.Join(dir, "state"))
	t.Setenv("PLOMB_NODE_CONFIG", filepath.Join(dir, "node.yaml"))
	t.Setenv("PLOMB_SOCKET", filepath.Join(dir, "agent.sock"))

	verifier := bindir.NewImageVerifier(&bindir.Config{
		BinDir: binDir, MaxVerifiers: 10, PerVerifierTimeout: 10e9, /* ns; its type is internal */
	})
	options := verifytest.ImageOptions{Platforms: []string{platforms.Format(platforms.Normalize(platforms.DefaultSpec()))}}
	unsigned := store.Image(t, options).Index
	options.Bundle = func(subjects []provenance.Subject) []byte {
		return sigstore.Bundle(t, verifytest.Statement(t, subjects), verifytest.BundleOptions{})
	}
	signed := store.Image(t, options).Index

	name := registry + "/app:v1"
	judgement, err := verifier.VerifyImage(context.Background(), name, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: signed, Size: 1})
	require.NoError(t, err)
	require.True(t, judgement.OK, judgement.Reason)
	require.Contains(t, judgement.Reason, "allowed: "+name)

	judgement, err = verifier.VerifyImage(context.Background(), name, ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: unsigned, Size: 1})
	require.NoError(t, err)
	require.False(t, judgement.OK, judgement.Reason)
	require.Contains(t, judgement.Reason, "unsigned: no signature bundle in the image index")
}
