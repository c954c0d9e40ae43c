// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package importer has plomb import bring archives to a real containerd, with
// no registry to ask: a signed one is loaded, any other leaves nothing behind.
package importer

import (
	"archive/tar"
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
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
	"github.com/plombproject/plomb/plugin/importer"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/receipt"
	"github.com/plombproject/plomb/verify/verifytest"
)

// host serves nothing: whoever asked it would fail.
const host = "registry.invalid"

// A node is a containerd whose policy wants the node's key.
type node struct {
	*stand.Stand
	*cri.Client
	t        *testing.T
	sigstore *verifytest.Sigstore
	key      crypto.Signer
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{
		t: t, Stand: standtest.Start(t, stand.Options{Only: []string{stand.Registry, stand.Containerd}}),
		sigstore: verifytest.NewSigstore(t), key: verifytest.NewKey(t, "p256"),
	}
	pem := strings.ReplaceAll(strings.TrimSpace(string(verifytest.PublicPEM(t, n.key))), "\n", "\n        ")
	require.NoError(t, os.WriteFile(filepath.Join(n.Policy, "keyed.yaml"), fmt.Appendf(nil, `apiVersion: policy.sigstore.dev/v1beta1
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
`, host, pem), 0o644))
	client, err := cri.Dial(n.ContainerdAddress)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	n.Client = client
	return n
}

// archive writes an image as docker buildx build --output type=oci does, signed
// with key unless it is nil.
func (n *node) archive(name string, key crypto.Signer) string { return n.signed(name, key, nil) }

// signed is archive with a second key that signs from beside the image.
func (n *node) signed(name string, key, beside crypto.Signer) string {
	n.t.Helper()
	store := verifytest.NewStore()
	layer := pack(n.t, map[string][]byte{"greeting": []byte(name)})
	platform := platforms.Normalize(platforms.DefaultSpec())
	opts := verifytest.ImageOptions{
		Platforms: []string{platforms.Format(platform)},
		Manifest: func(m *ocispec.Manifest) {
			m.Layers = []ocispec.Descriptor{store.Add(layer, ocispec.MediaTypeImageLayer)}
			m.Config = store.AddJSON(n.t, ocispec.Image{
				Platform: platform, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
			}, ocispec.MediaTypeImageConfig)
		},
	}
	if key != nil {
		opts.Bundle = func(subjects []provenance.Subject) []byte {
			return n.sigstore.Bundle(n.t, verifytest.Statement(n.t, subjects), verifytest.BundleOptions{Key: key, NoLogEntry: true, NoTimestamp: true})
		}
	}
	image := store.Image(n.t, opts)
	var referrers []ocispec.Descriptor
	if beside != nil {
		referrers = append(referrers, store.AttachBundle(n.t, image.Manifests[0], n.sigstore.Bundle(n.t, verifytest.Statement(n.t, image.Subjects),
			verifytest.BundleOptions{Key: beside, NoLogEntry: true, NoTimestamp: true})))
		referrers[0].ArtifactType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	}
	dir := n.t.TempDir()
	store.Layout(n.t, dir, name, image.Index)
	files := map[string][]byte{}
	require.NoError(n.t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := filepath.Rel(dir, path)
		if err == nil {
			files[file], err = os.ReadFile(path)
		}
		return err
	}))
	var index ocispec.Index
	require.NoError(n.t, json.Unmarshal(files[ocispec.ImageIndexFile], &index))
	index.Manifests = append(index.Manifests, referrers...)
	var err error
	files[ocispec.ImageIndexFile], err = json.Marshal(index)
	require.NoError(n.t, err)
	path := filepath.Join(n.t.TempDir(), "image.tar")
	require.NoError(n.t, os.WriteFile(path, pack(n.t, files), 0o644))
	return path
}

func pack(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, data := range files {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}))
		_, err := w.Write(data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func (n *node) load(path string, args ...string) (importer.Report, harness.Printout) {
	n.t.Helper()
	p := harness.Command{On: n.Stand, Name: "plomb", Args: append([]string{"import", "--output", "json", path}, args...)}.Run(n.t)
	var r importer.Report
	if p.Out != "" {
		require.NoError(n.t, json.Unmarshal([]byte(p.Out), &r), p.All)
	}
	return r, p
}

// content lists all that containerd has in a namespace.
func (n *node) content(namespace string) string {
	n.t.Helper()
	// containerd's warnings go to standard error, in between.
	return harness.Command{On: n.Stand, Name: "ctr", Args: []string{"--address", n.ContainerdAddress, "--namespace", namespace, "content", "ls", "-q"}}.Must(n.t).Out
}

func (n *node) receipts() int {
	n.t.Helper()
	r, err := receipt.CheckLog(filepath.Join(n.NodeState(), "receipts"))
	require.NoError(n.t, err)
	require.True(n.t, r.Sound())
	return r.Receipts
}

func TestImportWithoutAnAgent(t *testing.T) {
	n := newNode(t)
	before := n.content("k8s.io")
	for name, key := range map[string]crypto.Signer{"unsigned": nil, "stranger": verifytest.NewKey(t, "p256")} {
		ref := host + "/" + name + ":v1"
		r, p := n.load(n.archive(ref, key))
		require.Equal(t, 1, p.Status, p.All)
		require.False(t, r.Loaded)
		_, err := n.ImageStatus(t.Context(), ref)
		require.ErrorIs(t, err, cri.ErrNoImage)
	}
	require.Equal(t, before, n.content("k8s.io"), "not a blob of what was refused")
	require.Equal(t, 2, n.receipts())

	ref := host + "/signed:v1"
	path := n.archive(ref, n.key)
	r, p := n.load(path)
	require.Zero(t, p.Status, p.All)
	require.True(t, r.Loaded)
	require.Equal(t, 3, n.receipts())
	img, err := n.ImageStatus(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, r.Images[0].Decision.Manifests[0].Config.String(), img.GetId())
	out, err := harness.Output(t, n.Stand, "ctr", "--address", n.ContainerdAddress, "--namespace", "k8s.io", "images", "check", "name=="+ref)
	require.NoError(t, err, out)
	require.Contains(t, out, "complete (")

	r, p = n.load(path, "--namespace", "elsewhere") // again, and somewhere else
	require.True(t, r.Loaded, p.All)
	require.Contains(t, n.content("elsewhere"), r.Images[0].Digest.String())
}

// The agent takes the verdict over, from what containerd has now: no registry
// of that name exists.
func TestImportTellsTheAgent(t *testing.T) {
	n := newNode(t)
	require.NoError(t, n.StartAgent(t.Context()))
	r, p := n.load(n.archive(host+"/signed:v1", n.key))
	require.Zero(t, p.Status, p.All)
	require.True(t, r.Loaded)
	require.Empty(t, r.Agent, p.All)
	require.Empty(t, p.Stderr)
	require.Equal(t, 2, n.receipts(), "the command's, and the agent's")

	r, p = n.load(n.signed(host+"/beside:v1", nil, n.key))
	require.Zero(t, p.Status, p.All)
	require.True(t, r.Loaded)
	require.Empty(t, r.Agent, p.All)
}

func TestContainerdThatIsDown(t *testing.T) {
	n := newNode(t)
	r, p := n.load(n.archive(host+"/signed:v1", n.key), "--address", filepath.Join(t.TempDir(), "absent.sock"))
	require.Equal(t, 2, p.Status)
	require.False(t, r.Loaded)
	require.Contains(t, p.Stderr, "containerd did not load the archive")
}
