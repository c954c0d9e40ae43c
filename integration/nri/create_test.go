// SPDX-License-Identifier: Apache-2.0

//go:build integration

package nri

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	nriplugin "github.com/plombproject/plomb/plugin/nri"
)

// TestWaysOntoTheNode: however an image came past the verifiers, no container is
// created from it without a verdict.
func TestWaysOntoTheNode(t *testing.T) {
	n := newNode(t, required, localPull)
	good := newImage(t, "good")
	allowed := good.load(n, "registry.example/good:1")
	p := n.plugin(good.target())
	n.starts(cri.ContainerOptions{Image: allowed})

	for way, bring := range map[string]func(i image, name string) string{
		"imported": func(i image, name string) string { return i.load(n, "registry.example/"+name+":1") },
		"re-tagged": func(i image, name string) string {
			to := "registry.example/good:" + name
			n.ctr("images", "tag", i.load(n, "registry.example/"+name+":1"), to)
			i.arrives(n, to)
			return to
		},
		"ctr images pull --local": func(i image, name string) string {
			ref := i.push(n, name)
			n.ctr("images", "pull", "--local", "--plain-http", ref)
			i.arrives(n, ref)
			return ref
		},
		"CRI pull past the verifiers": func(i image, name string) string {
			ref := i.push(n, name)
			_, err := n.PullImage(t.Context(), ref)
			require.NoError(t, err)
			return ref
		},
	} {
		t.Run(way, func(t *testing.T) {
			i := newImage(t, way)
			ref := bring(i, strings.Map(letters, way))
			reason := n.refused(cri.ContainerOptions{Image: ref}, "there is no verdict yet. Verification was started")
			require.Contains(t, reason, i.target().String()[:19])
			p.expect("verify default/pod-")
			p.allow(i.target())
			n.starts(cri.ContainerOptions{Image: ref})
		})
	}

	// The name of an allowed image comes to name another one.
	other := newImage(t, "other")
	other.load(n, allowed)
	n.refused(cri.ContainerOptions{Image: allowed}, other.target().String()[:19])
}

// TestReasonReachesCRI: the reason is whole in what kubelet gets.
func TestReasonReachesCRI(t *testing.T) {
	n := newNode(t, required)
	n.plugin()
	reason := n.refused(cri.ContainerOptions{Image: newImage(t, "x").load(n, "registry.example/a-name:1")}, "plomb: image registry.example/a-name:1@")
	t.Logf("%d bytes: %s", len(reason), reason)
	require.Contains(t, reason, "try again in a few seconds")
	require.Less(t, len(reason), nriplugin.MaxReason+300)
}

// TestImageVolumes: what a container mounts is checked like what it runs, with
// all of it or a folder of it mounted.
func TestImageVolumes(t *testing.T) {
	n := newNode(t, required)
	app, data := newImage(t, "app"), newImage(t, "data")
	ref, volume := app.load(n, "registry.example/app:1"), data.load(n, "registry.example/data:1")
	p := n.plugin(app.target())
	for _, path := range []string{"", "content"} {
		n.refused(cri.ContainerOptions{Image: ref, Volumes: map[string]string{"/data": volume}, VolumePath: path},
			"image volume "+data.target().String()[:19])
	}
	p.allow(data.target())
	for _, path := range []string{"", "content"} {
		n.starts(cri.ContainerOptions{Image: ref, Volumes: map[string]string{"/data": volume}, VolumePath: path})
	}
}

// TestSynchronize: what runs is told when the plugin connects.
func TestSynchronize(t *testing.T) {
	n := newNode(t)
	i := newImage(t, "before")
	n.starts(cri.ContainerOptions{Image: i.load(n, "registry.example/before:1")})
	p := &plugin{t: t, dir: t.TempDir()}
	require.NoError(t, linkSocket(n, p))
	p.start()
	require.Contains(t, p.expect("found default/pod-1/web-1 false"), i.target().String())
}

// letters makes a repository's name of a sentence.
func letters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}
