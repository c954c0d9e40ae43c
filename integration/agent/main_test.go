// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package agent pulls through a real containerd with plomb agent behind
// plomb-verifier, and counts what reaches the registry and the agent.
//
// main_test.go is a node with a registry that counts, pull_test.go verdicts and
// their memory, reload_test.go policies that change, fault_test.go an agent that
// dies, receipts that cannot be written, load_test.go many pulls at once, and
// node_test.go the self-test and the way back to audit.
package agent

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/harness"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/verifytest"
)

// A node is a containerd with plomb agent, and a registry in this process.
type node struct {
	*stand.Stand
	cri      *cri.Client
	control  *control.Client
	store    *verifytest.Store
	sigstore *verifytest.Sigstore
	registry string
	key      crypto.Signer
	t        testing.TB
}

// newNode starts one whose policy wants the node's key, with more lines in its
// node.yaml. Self-tests would count among verifications, so by default there are none.
func newNode(t testing.TB, config ...string) *node {
	t.Helper()
	n := &node{
		t: t, Stand: standtest.Start(t, stand.Options{Only: []string{stand.Registry, stand.Containerd}}),
		store: verifytest.NewStore(), sigstore: verifytest.NewSigstore(t), key: verifytest.NewKey(t, "p256"),
	}
	n.registry = n.store.Serve(t)
	client, err := cri.Dial(n.ContainerdAddress)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	n.cri = client
	n.control = control.New(filepath.Join(filepath.Dir(n.AgentSocket()), "control.sock"))
	n.policy(n.keyed(n.key))
	if len(config) == 0 {
		config = []string{"selfTest: 0s"}
	}
	n.configure(config...)
	require.NoError(t, n.StartAgent(t.Context()))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent's log:\n%s", n.LogTail(stand.Agent, 80))
		}
	})
	return n
}

// configure adds lines to node.yaml.
func (n *node) configure(lines ...string) {
	n.t.Helper()
	f, err := os.OpenFile(n.NodeConfig(), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(n.t, err)
	defer f.Close()
	_, err = f.WriteString(strings.Join(append(lines, ""), "\n"))
	require.NoError(n.t, err)
}

// keyed is a policy that wants a signature by key on images of the registry.
func (n *node) keyed(key crypto.Signer) string {
	pem := strings.ReplaceAll(strings.TrimSpace(string(verifytest.PublicPEM(n.t, key))), "\n", "\n        ")
	return fmt.Sprintf(`apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: keyed
spec:
  images:
  - glob: "%s/**"
  authorities:
  - name: key
    key:
      data: |
        %s
`, n.registry, pem)
}

// policy replaces the policy by rename, as an administrator's tools do.
func (n *node) policy(text string) {
	n.t.Helper()
	tmp := filepath.Join(n.Policy, ".new")
	require.NoError(n.t, os.WriteFile(tmp, []byte(text), 0o644))
	require.NoError(n.t, os.Rename(tmp, filepath.Join(n.Policy, "agent.yaml")))
}

// An image is one that containerd can unpack.
type image struct {
	ref   string
	index digest.Digest
}

// image puts an image into the registry, signed with key unless it is nil.
func (n *node) image(name string, key crypto.Signer) image {
	n.t.Helper()
	layer := layerOf(n.t, name)
	platform := platforms.Normalize(platforms.DefaultSpec())
	opts := verifytest.ImageOptions{
		Platforms: []string{platforms.Format(platform)},
		Manifest: func(m *ocispec.Manifest) {
			m.Layers = []ocispec.Descriptor{n.store.Add(layer, ocispec.MediaTypeImageLayer)}
			m.Config = n.store.AddJSON(n.t, ocispec.Image{
				Platform: platform, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
			}, ocispec.MediaTypeImageConfig)
		},
	}
	if key != nil {
		opts.Bundle = func(subjects []provenance.Subject) []byte {
			return n.sigstore.Bundle(n.t, verifytest.Statement(n.t, subjects), verifytest.BundleOptions{Key: key, NoLogEntry: true, NoTimestamp: true})
		}
	}
	index := n.store.Image(n.t, opts).Index
	n.store.Tag(name, index)
	return image{ref: n.registry + "/app:" + name, index: index}
}

func layerOf(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "greeting", Mode: 0o644, Size: int64(len(text))}))
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

// pull pulls through CRI; the reason is empty if it succeeds.
func (n *node) pull(i image) string {
	n.t.Helper()
	_, err := n.cri.PullImage(n.t.Context(), i.ref)
	return cri.Reason(err)
}

// metric reads the sum of a metric of the agent over the labels that contain all
// of parts.
func (n *node) metric(name string, parts ...string) float64 {
	n.t.Helper()
	resp, err := http.Get("http://" + n.Metrics() + "/metrics")
	for limit := time.Now().Add(10 * time.Second); err != nil && time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		resp, err = http.Get("http://" + n.Metrics() + "/metrics") // it begins to listen last
	}
	require.NoError(n.t, err)
	defer resp.Body.Close()
	sum := 0.0
	lines := bufio.NewScanner(resp.Body)
next:
	for lines.Scan() {
		key, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || key != name && !strings.HasPrefix(key, name+"{") {
			continue
		}
		for _, part := range parts {
			if !strings.Contains(key, part) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(value, 64)
		require.NoError(n.t, err)
		sum += v
	}
	require.NoError(n.t, lines.Err())
	return sum
}

// status is the agent's.
func (n *node) status() control.Status {
	n.t.Helper()
	s, err := n.control.Status(n.t.Context())
	require.NoError(n.t, err)
	return s
}

// eventually waits for what the agent does by itself.
func (n *node) eventually(what string, done func() bool) {
	n.t.Helper()
	require.Eventually(n.t, done, 30*time.Second, 50*time.Millisecond, what)
}

// plomb runs the program with the node's settings.
func (n *node) plomb(args ...string) harness.Printout {
	n.t.Helper()
	return harness.Command{On: n.Stand, Name: "plomb", Args: args}.Run(n.t)
}
