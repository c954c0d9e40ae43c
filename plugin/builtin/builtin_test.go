// SPDX-License-Identifier: Apache-2.0

package builtin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/plugins"
	"github.com/containerd/plugin"
	"github.com/containerd/plugin/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/verify/receipt"
)

const policyText = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: %[1]s
spec:
  images:
  - glob: "registry.example/%[1]s/**"
  authorities:
  - static:
      action: %[1]s
`

// env is that of a node with policies that admit one repository and refuse
// another, and the folder of its receipts.
func env(t *testing.T, more map[string]string) (func(string) string, string) {
	t.Helper()
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy")
	require.NoError(t, os.Mkdir(policy, 0o700))
	for _, action := range []string{"pass", "fail"} {
		require.NoError(t, os.WriteFile(filepath.Join(policy, action+".yaml"), fmt.Appendf(nil, policyText, action), 0o600))
	}
	values := map[string]string{"PLOMB_POLICY": policy, "PLOMB_STATE": filepath.Join(dir, "state"), "PLOMB_NODE_CONFIG": filepath.Join(dir, "node.yaml")}
	for name, value := range more {
		values[name] = value
	}
	return func(name string) string { return values[name] }, filepath.Join(dir, "state", "receipts")
}

func descriptor(text string) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromString(text), Size: 7}
}

func TestVerifierAnswersAndKeepsReceipts(t *testing.T) {
	getenv, receipts := env(t, nil)
	v := New(getenv)
	for name, ok := range map[string]bool{"registry.example/pass/app:v1": true, "registry.example/fail/app:v1": false, "registry.example/other/app:v1": false, "app": false} {
		j, err := v.VerifyImage(t.Context(), name, descriptor(name))
		require.NoError(t, err)
		require.Equal(t, ok, j.OK, name)
		require.NotEmpty(t, j.Reason)
		require.LessOrEqual(t, len(j.Reason), 300)
	}
	r, err := receipt.CheckLog(receipts)
	require.NoError(t, err)
	require.True(t, r.Sound())
	require.Equal(t, 4, r.Receipts)
	for e, err := range receipt.Entries(receipts) {
		require.NoError(t, err)
		require.Equal(t, receipt.Pull, e.Receipt.Point)
	}
}

// containerd would go on without a plugin that fails to start.
func TestBrokenSettingsRefuse(t *testing.T) {
	getenv, _ := env(t, map[string]string{"PLOMB_TIMEOUT": "soon"})
	j, err := New(getenv).VerifyImage(t.Context(), "registry.example/pass/app:v1", descriptor("x"))
	require.NoError(t, err)
	require.False(t, j.OK)
	require.Contains(t, j.Reason, "PLOMB_TIMEOUT")
}

func TestNothingIsAdmittedWithoutAReceipt(t *testing.T) {
	getenv, receipts := env(t, nil)
	v := New(getenv)
	require.NoError(t, os.MkdirAll(filepath.Dir(receipts), 0o700))
	require.NoError(t, os.Symlink(t.TempDir(), receipts))
	j, err := v.VerifyImage(t.Context(), "registry.example/pass/app:v1", descriptor("x"))
	require.NoError(t, err)
	require.False(t, j.OK)
	require.Contains(t, j.Reason, "receipts cannot be written")

	require.NoError(t, os.Remove(receipts)) // mended: no restart is needed
	j, err = v.VerifyImage(t.Context(), "registry.example/pass/app:v1", descriptor("x"))
	require.NoError(t, err)
	require.True(t, j.OK, j.Reason)
}

func TestEndedCallIsRefused(t *testing.T) {
	getenv, receipts := env(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	j, err := New(getenv).VerifyImage(ctx, "registry.example/pass/app:v1", descriptor("x"))
	require.NoError(t, err)
	require.False(t, j.OK)
	// Nobody waits for the folder that is being made, but the test's has to stay till then.
	require.Eventually(t, func() bool { _, err := os.Stat(receipts); return err == nil }, 10*time.Second, time.Millisecond)
}

func TestDescriptorThatIsNone(t *testing.T) {
	getenv, _ := env(t, nil)
	desc := descriptor("x")
	desc.Data = make([]byte, 2<<20)
	for _, d := range []ocispec.Descriptor{{}, desc, {Digest: "sha256:x"}} {
		j, err := New(getenv).VerifyImage(t.Context(), "registry.example/pass/app:v1", d)
		require.NoError(t, err)
		require.False(t, j.OK)
	}
}

func TestRegistered(t *testing.T) {
	var found []plugin.Registration
	for _, r := range registry.Graph(func(*plugin.Registration) bool { return false }) {
		if r.Type == plugins.ImageVerifierPlugin {
			found = append(found, r)
		}
	}
	require.Len(t, found, 1)
	require.Equal(t, "io.containerd.image-verifier.v1.plomb", found[0].URI())
	data, err := json.Marshal(found[0].Config)
	require.NoError(t, err)
	require.Equal(t, "null", string(data))
}

func TestOnceKeepsWhatWorks(t *testing.T) {
	calls := 0
	open := once(func() (bindir.Log, error) {
		if calls++; calls == 1 {
			return nil, errors.New("full")
		}
		return &receipt.Log{}, nil
	})
	_, err := open()
	require.Error(t, err)
	for range 3 {
		_, err = open()
		require.NoError(t, err)
	}
	require.Equal(t, 2, calls)
}
