// SPDX-License-Identifier: Apache-2.0

//go:build integration

package nri

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
)

// faults are what can happen to the plugin.
var faults = map[string]func(p *plugin){
	"killed":  func(p *plugin) { p.kill() },
	"stopped": func(p *plugin) { p.signal(syscall.SIGSTOP) },
}

// TestFailsClosed: with required_plugins, a plugin that is gone or stands still
// costs every creation, of allowed images too, and none gets through.
func TestFailsClosed(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, required)
			i := newImage(t, "allowed")
			ref := i.load(n, "registry.example/allowed:1")
			p := n.plugin(i.target())
			n.starts(cri.ContainerOptions{Image: ref})
			fault(p)
			for range 3 {
				_, err := n.create(cri.ContainerOptions{Image: ref})
				require.Error(t, err)
				t.Log(cri.Reason(err))
			}
			n.refused(cri.ContainerOptions{Image: ref}, `required plugin "plomb" not present`)
			if name == "stopped" {
				p.signal(syscall.SIGCONT)
			} else {
				p.start()
			}
			p.expect("synchronised")
			n.starts(cri.ContainerOptions{Image: ref})
			n.refused(cri.ContainerOptions{Image: newImage(t, "bad").load(n, "registry.example/bad:1")}, "no verdict yet")
		})
	}
}

// TestFailsOpenWithoutTheSetting: it is required_plugins that closes NRI, and
// plomb node doctor has to look for it.
func TestFailsOpenWithoutTheSetting(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			ref := newImage(t, "bad").load(n, "registry.example/bad:1")
			p := n.plugin()
			n.refused(cri.ContainerOptions{Image: ref}, "no verdict yet")
			fault(p)
			for range 2 { // at most the first is refused: containerd then forgets the plugin
				_, err := n.create(cri.ContainerOptions{Image: ref})
				t.Log(cri.Reason(err))
			}
			n.starts(cri.ContainerOptions{Image: ref})
		})
	}
}

// TestSlow: a gate that does not answer is a refusal within containerd's time,
// and the plugin stays connected.
func TestSlow(t *testing.T) {
	n := newNode(t, required)
	i := newImage(t, "allowed")
	ref := i.load(n, "registry.example/allowed:1")
	p := n.plugin(i.target())
	p.slow(true)
	for range 3 {
		n.refused(cri.ContainerOptions{Image: ref}, "the agent did not answer in time")
	}
	p.slow(false)
	n.starts(cri.ContainerOptions{Image: ref})
}

// TestContainerdRestarts: the plugin comes back, and pods stay.
func TestContainerdRestarts(t *testing.T) {
	n := newNode(t, required)
	i := newImage(t, "allowed")
	ref := i.load(n, "registry.example/allowed:1")
	p := n.plugin(i.target())
	n.starts(cri.ContainerOptions{Image: ref})
	for range 2 {
		n.restart()
		p.expect("connected true")
		require.Contains(t, p.expect("found default/pod-1/web-1"), i.target().String())
		p.expect("synchronised")
		n.starts(cri.ContainerOptions{Image: ref})
		n.refused(cri.ContainerOptions{Image: newImage(t, "bad").load(n, "registry.example/bad:1")}, "no verdict yet")
	}
}
