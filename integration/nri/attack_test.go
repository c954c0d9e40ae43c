// SPDX-License-Identifier: Apache-2.0

//go:build integration

package nri

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
)

// optOut are annotations with which a pod might try to do without the plugin:
// NRI's own for required plugins, and the toleration under a likely key.
var optOut = map[string]string{
	"required-plugins.noderesource.dev":                       "[]",
	"required-plugins.noderesource.dev/pod":                   "[]",
	"required-plugins.noderesource.dev/container.web":         "[]",
	"tolerate-missing-plugins.noderesource.dev":               "true",
	"tolerate-missing-plugins.noderesource.dev/container.web": "true",
	"tolerate-missing-required-plugins.noderesource.dev":      "true",
	"plomb.noderesource.dev":                                  "disable",
	"io.kubernetes.cri.image-name":                            "registry.example/good:1",
	"io.kubernetes.cri.sandbox-image-name":                    "registry.example/good:1",
	"nri.io/plugins":                                          "none",
}

// TestAnnotationsDoNotOptOut: whoever writes a pod writes its annotations.
func TestAnnotationsDoNotOptOut(t *testing.T) {
	n := newNode(t, required)
	ref := newImage(t, "bad").load(n, "registry.example/bad:1")
	p := n.plugin()
	create := func() error {
		_, err := n.CreateContainer(t.Context(), n.pod(optOut), cri.ContainerOptions{Name: "web", Image: ref})
		return err
	}
	require.ErrorContains(t, create(), "no verdict yet")
	p.kill()
	require.Error(t, create())
	require.ErrorContains(t, create(), `required plugin "plomb" not present`)
}

// TestTolerationOpens: with this one setting of containerd a pod can do without
// a plugin that is gone. It is empty by default, install has to leave it so, and
// doctor has to find it. With the plugin in place it changes nothing.
func TestTolerationOpens(t *testing.T) {
	n := newNode(t, required+"  tolerate_missing_plugins_annotation = \"tolerate.example\"\n")
	ref := newImage(t, "bad").load(n, "registry.example/bad:1")
	p := n.plugin()
	create := func() error {
		_, err := n.CreateContainer(t.Context(), n.pod(map[string]string{"tolerate.example": "true"}), cri.ContainerOptions{Name: "web", Image: ref})
		return err
	}
	require.ErrorContains(t, create(), "no verdict yet")
	p.kill()
	if err := create(); err != nil { // the plugin's end was not noticed yet
		t.Log(err)
	}
	require.NoError(t, create())
}

// meddler is another plugin that changes containers.
type meddler struct {
	mount  *api.Mount
	listed chan bool
}

func (m *meddler) Synchronize(context.Context, []*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) {
	m.listed <- true
	return nil, nil
}

func (m *meddler) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	a := &api.ContainerAdjustment{}
	if m.mount != nil {
		a.AddMount(m.mount)
	}
	return a, nil, nil
}

// TestMeddlingPlugin: a plugin that runs after plomb's mounts an image that
// nobody verified, by the path where another pod has it.
func TestMeddlingPlugin(t *testing.T) {
	n := newNode(t)
	app, data := newImage(t, "app"), newImage(t, "data")
	ref, volume := app.load(n, "registry.example/app:1"), data.load(n, "registry.example/data:1")
	// Before the plugin is there, a pod has the volume mounted.
	pod := n.pod(nil)
	_, err := n.CreateContainer(t.Context(), pod, cri.ContainerOptions{Name: "early", Image: ref, Volumes: map[string]string{"/data": volume}})
	require.NoError(t, err)
	source := n.Dir + "/containerd/state/io.containerd.grpc.v1.cri/image-volumes/" + pod.ID + "/" + data.target().Encoded()
	require.FileExists(t, source+"/content/name")

	n.plugin(app.target())
	m := &meddler{listed: make(chan bool, 1)}
	st, err := stub.New(m, stub.WithPluginName("meddler"), stub.WithPluginIdx("99"), stub.WithSocketPath(n.NRISocket()))
	require.NoError(t, err)
	require.NoError(t, st.Start(t.Context()))
	t.Cleanup(st.Stop)
	<-m.listed
	n.starts(cri.ContainerOptions{Image: ref})
	for source, reason := range map[string]string{
		source:              "image volume " + data.target().String()[:19],
		source + "/content": "image volume " + data.target().String()[:19],
	} {
		m.mount = &api.Mount{Destination: "/data", Type: "bind", Source: source, Options: []string{"bind", "ro"}}
		n.refused(cri.ContainerOptions{Image: ref}, reason)
	}
	m.mount = &api.Mount{Destination: "/", Type: "bind", Source: "/srv", Options: []string{"rbind"}}
	n.refused(cri.ContainerOptions{Image: ref}, "over its root")
	m.mount = nil
	n.starts(cri.ContainerOptions{Image: ref})
}

// TestNameMovesWhileCreating: CRI looks an image up in its own memory, and then
// takes the root from what the name points to in containerd, which may have come
// to be another image. The digests that a plugin is told are then of two images,
// and one of them is allowed.
func TestNameMovesWhileCreating(t *testing.T) {
	n := newNode(t, required)
	good, evil := newImage(t, "good"), newImage(t, "evil")
	name := good.load(n, "registry.example/app:1")
	evil.load(n, "registry.example/evil:1")
	n.plugin(good.target(), digest.FromBytes(good.config))
	n.starts(cri.ContainerOptions{Image: name})
	c, err := client.New(n.ContainerdAddress, client.WithDefaultNamespace("k8s.io"))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	move := func(to image) {
		_, err := c.ImageService().Update(t.Context(), images.Image{
			Name: name, Target: descriptor(ocispec.MediaTypeImageIndex, to.index),
		}, "target")
		require.NoError(t, err)
	}
	refused := 0
	for range 30 {
		move(evil)
		id, err := n.create(cri.ContainerOptions{Image: name}) // CRI may not know yet
		if err != nil {
			require.ErrorContains(t, err, evil.target().String()[:19])
			refused++
		} else {
			require.NoError(t, n.StartContainer(t.Context(), id))
			root := filepath.Join(n.Dir, "containerd", "state", "io.containerd.runtime.v2.task", "k8s.io", id, "rootfs")
			content, err := os.ReadFile(filepath.Join(root, "content", "name"))
			require.NoError(t, err)
			require.Equal(t, "good", string(content))
		}
		move(good)
		good.arrives(n, name)
	}
	t.Logf("%d of 30 were refused", refused)
}
