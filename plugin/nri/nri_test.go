// SPDX-License-Identifier: Apache-2.0

package nri_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/nri"
)

type verdicts = map[digest.Digest]admission.Outcome

func TestCreate(t *testing.T) {
	admitted := func(by admission.By) admission.Outcome {
		out := denied("unsigned")
		out.Admitted, out.By = true, by
		return out
	}
	partOf := allowed(evil, config)
	partOf.Decision.Basis.Manifests = []digest.Digest{target}
	onlyTarget := &api.Image{Digest: target.String()}
	onlyConfig := &api.Image{ConfigDigest: config.String()}
	for name, c := range map[string]struct {
		verdicts  verdicts
		container *api.Container
		refusal   string // empty: created
	}{
		"allowed":                       {verdicts{target: allowed(target, config)}, container(image), ""},
		"allowed unread":                {verdicts{target: allowed(target)}, container(image), ""},
		"allowed as part of an index":   {verdicts{target: partOf}, container(image), ""},
		"target alone":                  {verdicts{target: allowed(target)}, container(onlyTarget), ""},
		"config alone":                  {verdicts{config: allowed(evil, config)}, container(onlyConfig), ""},
		"no verdict":                    {nil, container(image), "there is no verdict yet. Verification was started"},
		"denied":                        {verdicts{target: denied("unsigned")}, container(image), "deny: unsigned"},
		"audit mode":                    {verdicts{target: admitted(admission.ByMode)}, container(image), ""},
		"broken glass":                  {verdicts{target: admitted(admission.ByBreakGlass)}, container(image), ""},
		"snapshot":                      {verdicts{target: admitted(admission.BySnapshot)}, container(image), ""},
		"verdict of another image":      {verdicts{target: allowed(evil)}, container(image), "about another image"},
		"target of another config":      {verdicts{target: allowed(target, evil)}, container(image), "no verdict yet"},
		"config allowed, target is not": {verdicts{config: allowed(evil, config)}, container(image), "no verdict yet"},
		"config in a snapshot, target is not": {
			verdicts{config: admitted(admission.BySnapshot)}, container(image), "no verdict yet"},
		"an allowed name": {verdicts{target: allowed(target)},
			container(&api.Image{Name: image.Name, Digest: evil.String(), ConfigDigest: evil.String()}), "no verdict yet"},
		"no image":           {verdicts{target: allowed(target)}, container(nil), "containerd 2.4.1 or later"},
		"no digests":         {verdicts{target: allowed(target)}, container(&api.Image{Name: image.Name}), "containerd 2.4.1 or later"},
		"no valid digest":    {verdicts{"": allowed("")}, container(&api.Image{Digest: "sha256:x"}), "containerd 2.4.1 or later"},
		"volume allowed":     {verdicts{target: allowed(target), volume: allowed(volume)}, container(image, volumeMount(volume, "")), ""},
		"volume unknown":     {verdicts{target: allowed(target)}, container(image, volumeMount(volume, "")), "image volume " + volume.String()[:19]},
		"path in the volume": {verdicts{target: allowed(target)}, container(image, volumeMount(volume, "/sub/path")), "image volume"},
		"volume by detours": {verdicts{target: allowed(target)},
			container(image, &api.Mount{Source: "/x/image-volumes/../image-volumes//sandbox/./" + volume.Encoded()}), "image volume"},
		"volume as an overlay": {verdicts{target: allowed(target)},
			container(image, &api.Mount{Type: "overlay", Source: "overlay", Options: []string{"lowerdir=/a:/x/image-volumes/s/" + volume.Encoded() + ":/b"}}), "image volume"},
		"host folder": {verdicts{target: allowed(target)}, container(image, &api.Mount{Source: "/srv/image-volumes/a/b"}), ""},
	} {
		for _, version := range versions {
			t.Run(name+"/"+version, func(t *testing.T) {
				n, g := newNode(t), newGate(c.verdicts)
				n.version = version
				n.start(true)
				n.connected(nri.Options{Gate: g})
				err := n.create(c.container)
				if c.refusal == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorContains(t, err, c.refusal)
				if strings.Contains(c.refusal, "no verdict yet") {
					require.NotEmpty(t, (<-g.verified).Digests, "verified in the background")
				}
			})
		}
	}
}

// versions are of a containerd that asks to validate a container, and of those
// that may not.
var versions = []string{"v2.4.2", "2.1.9", "unknown"}

// TestNameless: a mode that refuses nothing refuses nothing for want of digests.
func TestNameless(t *testing.T) {
	for by, created := range map[admission.By]bool{admission.ByMode: true, admission.ByBreakGlass: true, admission.BySnapshot: false, admission.ByDecision: false} {
		n, g := newNode(t), newGate(nil)
		g.known = func(context.Context, nri.Container) (admission.Outcome, bool) {
			out := allowed("")
			out.By = by
			return out, true
		}
		n.start(true)
		n.connected(nri.Options{Gate: g})
		require.Equal(t, created, n.create(container(nil)) == nil, by)
	}
}

// TestReceiptsAreOnePerImage: Validate does not ask again what Create asked.
func TestReceiptsAreOnePerImage(t *testing.T) {
	for _, version := range versions {
		n, g := newNode(t), newGate(verdicts{target: allowed(target, config), volume: allowed(volume)})
		n.version = version
		n.start(true)
		n.connected(nri.Options{Gate: g})
		c := container(image, volumeMount(volume, "/a"), volumeMount(volume, "/b"))
		require.NoError(t, n.create(c))
		require.Equal(t, 2, g.questions())
		require.NoError(t, n.create(c))
		require.Equal(t, 4, g.questions(), "each creation asks")
	}
}

func TestReasons(t *testing.T) {
	n := newNode(t)
	g := newGate(verdicts{target: denied(strings.Repeat("é", 400) + "\n\x1b[31m")})
	n.start(true)
	n.connected(nri.Options{Gate: g})
	err := n.create(container(&api.Image{Name: "registry.example/" + strings.Repeat("long", 100), Digest: target.String()}))
	_, reason, ok := strings.Cut(err.Error(), "plomb: ")
	require.True(t, ok, err)
	require.LessOrEqual(t, len("plomb: "+reason), nri.MaxReason)
	require.Contains(t, reason, "deny: é")
	require.NotContains(t, reason, "\x1b")
}

// TestFaultsRefuse: what goes wrong in the gate never lets a container through,
// and does not cost the connection.
func TestFaultsRefuse(t *testing.T) {
	for name, known := range map[string]func(context.Context, nri.Container) (admission.Outcome, bool){
		"panic":   func(context.Context, nri.Container) (admission.Outcome, bool) { panic("broken") },
		"stalled": stalled,
		"no decision": func(context.Context, nri.Container) (admission.Outcome, bool) {
			return admission.Outcome{Admitted: true, By: admission.ByDecision}, true
		},
		"nothing": func(context.Context, nri.Container) (admission.Outcome, bool) { return admission.Outcome{}, true },
	} {
		t.Run(name, func(t *testing.T) {
			n, g := newNode(t), newGate(verdicts{target: allowed(target)})
			g.known = known
			n.start(true)
			n.connected(nri.Options{Gate: g})
			require.ErrorContains(t, n.create(container(image)), "plomb: image registry.example/shop:1@sha256:")
			g.mu.Lock()
			g.known = nil
			g.mu.Unlock()
			require.NoError(t, n.create(container(image)), "the next one is decided by its verdict")
		})
	}
}

// meddler is another plugin, which changes containers.
type meddler struct {
	adjust *api.ContainerAdjustment
	listed chan bool
}

func (m meddler) Synchronize(context.Context, []*api.PodSandbox, []*api.Container) ([]*api.ContainerUpdate, error) {
	m.listed <- true
	return nil, nil
}

func (m meddler) CreateContainer(context.Context, *api.PodSandbox, *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	return m.adjust, nil, nil
}

// TestMeddlingPlugins: another plugin adds an image that nobody verified, after
// plomb was asked.
func TestMeddlingPlugins(t *testing.T) {
	for name, c := range map[string]struct {
		mount   *api.Mount
		refusal string
	}{
		"unverified image volume": {volumeMount(evil, ""), "image volume " + evil.String()[:19]},
		"verified image volume":   {volumeMount(volume, ""), ""},
		"another root":            {&api.Mount{Destination: "/", Type: "bind", Source: "/srv/evil"}, "mounts /srv/evil over its root"},
		"another root, hidden":    {&api.Mount{Destination: "/x/..", Type: "bind", Source: "/srv/evil"}, "over its root"},
		"a device's library":      {&api.Mount{Destination: "/usr/lib/libgpu.so", Type: "bind", Source: "/usr/lib/libgpu.so"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n, g := newNode(t), newGate(verdicts{target: allowed(target), volume: allowed(volume)})
			n.start(true)
			n.connected(nri.Options{Gate: g})
			m := meddler{&api.ContainerAdjustment{Mounts: []*api.Mount{c.mount}}, make(chan bool, 1)}
			st, err := stub.New(m,
				stub.WithPluginName("meddler"), stub.WithPluginIdx("99"), stub.WithSocketPath(n.socket))
			require.NoError(t, err)
			require.NoError(t, st.Start(t.Context()))
			t.Cleanup(st.Stop)
			<-m.listed
			n.settle()
			err = n.create(container(image))
			if c.refusal == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.refusal)
		})
	}
}

func TestSynchronize(t *testing.T) {
	n, g := newNode(t), newGate(nil)
	n.pods = []*api.PodSandbox{pod}
	n.running = []*api.Container{container(image, volumeMount(volume, "")), container(nil)}
	n.start(true)
	n.connected(nri.Options{Gate: g})
	found := <-g.found
	require.Equal(t, []nri.Container{
		{Subject: "default/shop/web", Name: image.Name, Digests: []digest.Digest{target, config}},
		{Subject: "default/shop/web", Digests: []digest.Digest{volume}, Volume: true},
		{Subject: "default/shop/web"},
	}, found)
}

// TestReconnects: containerd that comes late and that restarts.
func TestReconnects(t *testing.T) {
	n, g := newNode(t), newGate(verdicts{target: allowed(target)})
	states := run(t, n.socket, nri.Options{Gate: g})
	s := <-states
	require.False(t, s.connected)
	require.ErrorIs(t, s.err, nri.ErrLost)
	for range 3 {
		n.start(true)
		s = <-states
		require.True(t, s.connected)
		require.Equal(t, "containerd v2.4.2", s.runtime)
		n.settle()
		require.ErrorContains(t, n.create(container(&api.Image{Digest: evil.String()})), "no verdict yet")
		require.NoError(t, n.create(container(image)))
		n.stop()
		s = <-states
		require.False(t, s.connected)
		require.ErrorIs(t, s.err, nri.ErrLost)
		for len(states) > 0 { // the reasons differ as the socket goes away
			<-states
		}
	}
}

// TestHalfRegistered: containerd dies between the steps of a registration.
func TestHalfRegistered(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "nri.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	run(t, socket, nri.Options{Gate: newGate(nil)})
	for range 3 {
		conn, err := l.Accept()
		require.NoError(t, err)
		buf := make([]byte, 1)
		_, err = conn.Read(buf)
		require.NoError(t, err, "it registers")
		require.NoError(t, conn.Close())
	}
	require.NoError(t, l.Close())
}

func TestOptions(t *testing.T) {
	g := newGate(nil)
	for _, opts := range []nri.Options{
		{Socket: "x"}, {Gate: g}, {Gate: g, Socket: "x", Index: "5"}, {Gate: g, Socket: "x", Name: "a/b"},
	} {
		require.ErrorIs(t, nri.Run(t.Context(), opts), nri.ErrOptions, fmt.Sprint(opts))
	}
}

// BenchmarkCreate is what a creation costs with the plugin (and none in
// between), to be read beside BenchmarkCreateWithout.
func BenchmarkCreate(b *testing.B) {
	n := newNode(b)
	n.start(true)
	n.connected(nri.Options{Gate: newGate(verdicts{target: allowed(target, config)})})
	for b.Loop() {
		require.NoError(b, n.create(container(image)))
	}
}

func BenchmarkCreateWithout(b *testing.B) {
	n := newNode(b)
	n.start(false)
	for b.Loop() {
		require.NoError(b, n.create(container(image)))
	}
}
