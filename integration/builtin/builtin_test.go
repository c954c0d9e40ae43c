// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package builtin pulls through a containerd that has plomb's verifier built in
// (hack/builtin), with nothing in the folder for verifiers.
package builtin

import (
	"archive/tar"
	"bytes"
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/receipt"
	"github.com/plombproject/plomb/verify/verifytest"
)

// programs is a folder with the programs of a stand, and the custom containerd.
func programs(t *testing.T) string {
	t.Helper()
	root, err := stand.FindRoot()
	require.NoError(t, err)
	bin := t.TempDir()
	for _, name := range []string{"containerd-shim-runc-v2", "ctr", "registry", "plomb", "plomb-verifier"} {
		require.NoError(t, os.Symlink(filepath.Join(root, ".build", "bin", name), filepath.Join(bin, name)))
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags=netgo,osusergo", "-o", filepath.Join(bin, "containerd"), ".")
	cmd.Dir = filepath.Join(root, "hack", "builtin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOTOOLCHAIN=local")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return bin
}

// registry serves images that containerd can unpack.
type registry struct {
	*verifytest.Store
	sigstore *verifytest.Sigstore
	host     string
}

// image stores one, signed with key unless it is nil, and returns its name.
func (r registry) image(t *testing.T, name string, key crypto.Signer) string {
	t.Helper()
	layer := layerOf(t, name)
	platform := platforms.Normalize(platforms.DefaultSpec())
	opts := verifytest.ImageOptions{
		Platforms: []string{platforms.Format(platform)},
		Manifest: func(m *ocispec.Manifest) {
			m.Layers = []ocispec.Descriptor{r.Add(layer, ocispec.MediaTypeImageLayer)}
			m.Config = r.AddJSON(t, ocispec.Image{
				Platform: platform, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
			}, ocispec.MediaTypeImageConfig)
		},
	}
	if key != nil {
		opts.Bundle = func(subjects []provenance.Subject) []byte {
			return r.sigstore.Bundle(t, verifytest.Statement(t, subjects), verifytest.BundleOptions{Key: key, NoLogEntry: true, NoTimestamp: true})
		}
	}
	r.Tag(name, r.Image(t, opts).Index)
	return r.host + "/app:" + name
}

func layerOf(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "greeting", Mode: 0o644, Size: int64(len(text))}))
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// keyed is a policy that wants a signature by key.
func keyed(t *testing.T, host string, key crypto.Signer) []byte {
	t.Helper()
	pem := strings.ReplaceAll(strings.TrimSpace(string(verifytest.PublicPEM(t, key))), "\n", "\n        ")
	return fmt.Appendf(nil, `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: keyed
spec:
  images:
  - glob: "%s/**"
  authorities:
  - key:
      data: |
        %s
`, host, pem)
}

func TestContainerdWithTheVerifierBuiltIn(t *testing.T) {
	s := standtest.Start(t, stand.Options{Only: []string{stand.Registry, stand.Containerd}, Bin: programs(t)})
	// Without it, containerd's own plugin asks nobody.
	require.NoError(t, os.Remove(filepath.Join(s.Verifiers(), "plomb-verifier")))
	out, err := harness.Output(t, s, "ctr", "--address", s.ContainerdAddress, "plugins", "ls")
	require.NoError(t, err, out)
	require.Regexp(t, `io\.containerd\.image-verifier\.v1 +plomb +- +ok`, out)

	store := verifytest.NewStore()
	r := registry{Store: store, sigstore: verifytest.NewSigstore(t), host: store.Serve(t)}
	key, stranger := verifytest.NewKey(t, "p256"), verifytest.NewKey(t, "p256")
	require.NoError(t, os.WriteFile(filepath.Join(s.Policy, "keyed.yaml"), keyed(t, r.host, key), 0o644))
	client, err := cri.Dial(s.ContainerdAddress)
	require.NoError(t, err)
	defer client.Close()

	for name, test := range map[string]struct {
		signer crypto.Signer
		reason string
	}{
		"signed":   {signer: key},
		"unsigned": {reason: "unsigned"},
		"stranger": {signer: stranger, reason: "denied"},
	} {
		ref := r.image(t, name, test.signer)
		pull := func() (string, error) {
			return harness.Output(t, s, "ctr", "--address", s.ContainerdAddress, "--namespace", "pull", "images", "pull", "--plain-http", ref)
		}
		_, err := client.PullImage(t.Context(), ref)
		out, ctrErr := pull()
		if test.reason == "" {
			require.NoError(t, err, name)
			require.NoError(t, ctrErr, out)
			continue
		}
		require.ErrorContains(t, err, "image verifier plomb blocked pull", name)
		require.ErrorContains(t, err, test.reason, name)
		require.Error(t, ctrErr, name)
		require.Contains(t, out, "image verifier plomb blocked pull", name)
		_, err = client.ImageStatus(t.Context(), ref)
		require.ErrorIs(t, err, cri.ErrNoImage, name)
	}

	log, err := receipt.CheckLog(filepath.Join(s.NodeState(), "receipts"))
	require.NoError(t, err)
	require.True(t, log.Sound())
	require.Equal(t, 6, log.Receipts)
}
