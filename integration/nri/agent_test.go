// SPDX-License-Identifier: Apache-2.0

//go:build integration

package nri

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/control"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/verifytest"
)

// agentNode is a node with plomb agent, and a Sigstore to sign with.
type agentNode struct {
	*node
	sigstore *verifytest.Sigstore
}

func newAgentNode(t testing.TB, config ...string) *agentNode {
	t.Helper()
	return newAgentNodeWith(t, append([]string{required}, config...)...)
}

// newAgentNodeWith has no configuration but config.
func newAgentNodeWith(t testing.TB, config ...string) *agentNode {
	t.Helper()
	n := &agentNode{node: newNode(t, config...), sigstore: verifytest.NewSigstore(t)}
	require.NoError(t, os.MkdirAll(filepath.Dir(n.TrustedRoot()), 0o755))
	require.NoError(t, os.WriteFile(n.TrustedRoot(), n.sigstore.TrustedRoot(t, verifytest.RootOptions{}), 0o644))
	n.startAgent()
	return n
}

// startAgent starts the agent and waits until containerd asks it.
func (n *agentNode) startAgent() {
	n.t.Helper()
	require.NoError(n.t, n.StartAgent(n.t.Context()))
	n.t.Cleanup(func() {
		if n.t.Failed() {
			n.t.Logf("the end of the agent's log:\n%s", n.LogTail(stand.Agent, 60))
		}
	})
	n.eventually("the agent is not asked by containerd", func() bool { return n.status().NRI.Connected })
	// Connected is said in Synchronize; containerd lists the plugin after it.
	n.eventually("the plugin is not listed", func() bool {
		_, err := n.create(cri.ContainerOptions{Image: n.PauseImage()})
		return err == nil || !strings.Contains(err.Error(), "not present")
	})
}

func (n *agentNode) status() control.Status {
	n.t.Helper()
	s, err := control.New(filepath.Join(filepath.Dir(n.AgentSocket()), "control.sock")).Status(n.t.Context())
	require.NoError(n.t, err)
	return s
}

// eventually waits for what happens in the background.
func (n *node) eventually(complaint string, done func() bool) {
	n.t.Helper()
	for limit := time.Now().Add(time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		require.True(n.t, time.Now().Before(limit), complaint)
	}
}

// startsSoon creates containers until one is created, as kubelet does.
func (n *agentNode) startsSoon(opts cri.ContainerOptions) {
	n.t.Helper()
	var last error
	defer func() {
		if n.t.Failed() {
			n.t.Log(last)
		}
	}()
	n.eventually("no container is created", func() bool {
		var id string
		if id, last = n.create(opts); last != nil {
			return false
		}
		require.NoError(n.t, n.StartContainer(n.t.Context(), id))
		return true
	})
}

// refusedSoon creates containers until the refusal says reason.
func (n *agentNode) refusedSoon(opts cri.ContainerOptions, reason string) {
	n.t.Helper()
	var last error
	defer func() {
		if n.t.Failed() {
			n.t.Log(last)
		}
	}()
	n.eventually("it is not refused so", func() bool {
		_, last = n.create(opts)
		require.Error(n.t, last)
		return strings.Contains(last.Error(), reason)
	})
}

// sign puts a bundle for the image into its index.
func (n *agentNode) sign(i image) image {
	n.t.Helper()
	store := verifytest.NewStore()
	var manifest ocispec.Manifest
	require.NoError(n.t, json.Unmarshal(i.manifest, &manifest))
	img := store.Image(n.t, verifytest.ImageOptions{
		Platforms: []string{"linux/" + runtime.GOARCH}, NoAttestation: true,
		Manifest: func(m *ocispec.Manifest) { *m = manifest },
		Bundle: func(subjects []provenance.Subject) []byte {
			return n.sigstore.Bundle(n.t, verifytest.Statement(n.t, subjects), verifytest.BundleOptions{})
		},
	})
	i.manifest, i.index = store.Get(img.Manifests[0]), store.Get(img.Index)
	return i
}

// TestAgent: the stories with the agent that nodes have.
func TestAgent(t *testing.T) {
	n := newAgentNode(t, localPull)
	name := func(repository string) string { return n.Registry + "/" + repository + ":1" }
	signed := n.sign(newImage(t, "signed"))
	unsigned := newImage(t, "unsigned")

	t.Run("a signed image that was imported starts, though no registry has it", func(t *testing.T) {
		ref := signed.load(n.node, name("signed"))
		reason := n.refused(cri.ContainerOptions{Image: ref}, "there is no verdict yet")
		require.Contains(t, reason, "started")
		n.startsSoon(cri.ContainerOptions{Image: ref})
	})
	t.Run("an unsigned one never does", func(t *testing.T) {
		ref := unsigned.load(n.node, name("unsigned"))
		n.refused(cri.ContainerOptions{Image: ref}, "there is no verdict yet")
		n.refusedSoon(cri.ContainerOptions{Image: ref}, "unsigned: no signature")
	})
	t.Run("nor under the name of the signed one", func(t *testing.T) {
		n.ctr("images", "tag", name("unsigned"), n.Registry+"/signed:2")
		unsigned.arrives(n.node, n.Registry+"/signed:2")
		n.refused(cri.ContainerOptions{Image: n.Registry + "/signed:2"}, unsigned.target().String()[:19])
	})
	t.Run("nor pulled past the verifiers", func(t *testing.T) {
		i := newImage(t, "pulled")
		ref := i.push(n.node, "pulled")
		_, err := n.PullImage(t.Context(), ref)
		require.NoError(t, err)
		n.refused(cri.ContainerOptions{Image: ref}, i.target().String()[:19])
		n.refusedSoon(cri.ContainerOptions{Image: ref}, "unsigned")
	})
	t.Run("nor as an image volume", func(t *testing.T) {
		volume := cri.ContainerOptions{Image: name("signed"), Volumes: map[string]string{"/data": name("unsigned")}}
		n.refused(volume, "image volume "+unsigned.target().String()[:19])
		more := n.sign(newImage(t, "volume"))
		volume.Volumes["/data"] = more.load(n.node, name("volume"))
		n.startsSoon(volume)
	})
	t.Run("a name that policy admits counts if its registry has the image", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(n.Policy, "static.yaml"), []byte(staticPolicy(n.Registry)), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(n.Policy, "stand.yaml"), []byte(keylessPolicy(n.Registry)), 0o644))
		i := newImage(t, "static")
		ref := i.load(n.node, name("static/app"))
		n.refusedSoon(cri.ContainerOptions{Image: ref}, "the name alone proves nothing")
		i.push(n.node, "static/app")
		n.startsSoon(cri.ContainerOptions{Image: ref})
	})
	t.Run("without the agent nothing starts, and it remembers", func(t *testing.T) {
		n.startsSoon(cri.ContainerOptions{Image: name("signed")})
		require.NoError(t, n.KillDaemon(t.Context(), stand.Agent))
		n.refused(cri.ContainerOptions{Image: name("signed")}, "plomb")
		n.startAgent()
		n.starts(cri.ContainerOptions{Image: name("signed")})
		n.refused(cri.ContainerOptions{Image: name("unsigned")}, unsigned.target().String()[:19])
	})
	t.Run("in audit mode everything starts", func(t *testing.T) {
		mode := settings.Settings{State: n.NodeState()}.Mode()
		require.NoError(t, admission.WriteMode(mode, admission.State{Mode: admission.Audit, Since: time.Now()}))
		n.starts(cri.ContainerOptions{Image: name("unsigned")})
		n.starts(cri.ContainerOptions{Image: newImage(t, "new").load(n.node, name("new"))})
		require.NoError(t, admission.WriteMode(mode, admission.State{Mode: admission.Enforce, Since: time.Now()}))
		n.refused(cri.ContainerOptions{Image: name("unsigned")}, unsigned.target().String()[:19])
	})
}

// TestAgentFindsWhatRuns: containers from before the agent are told by its status.
func TestAgentFindsWhatRuns(t *testing.T) {
	n := &agentNode{node: newNode(t), sigstore: verifytest.NewSigstore(t)}
	i := newImage(t, "before")
	n.starts(cri.ContainerOptions{Image: i.load(n.node, n.Registry+"/before:1")})
	n.startAgent()
	n.eventually("the status does not tell it", func() bool {
		for _, r := range n.status().Running {
			if r.Subject == "default/pod-1/web-1" && r.Digest == i.target() {
				return true
			}
		}
		return false
	})
}

func staticPolicy(host string) string {
	return `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: static
spec:
  images:
  - glob: "` + host + `/static/**"
  authorities:
  - name: pass
    static:
      action: pass
`
}

// keylessPolicy is the stand's, without what staticPolicy is about.
func keylessPolicy(host string) string {
	return `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: stand
spec:
  images:
  - glob: "` + host + `/*"
  authorities:
  - name: release
    keyless:
      identities:
      - issuer: ` + verifytest.Issuer + `
        subject: ` + verifytest.Subject + `
`
}
