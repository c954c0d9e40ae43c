// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package nri has containers created on a real containerd, from images that came
// to it past every verifier, with plomb's NRI plugin in the way.
//
// plugin_test.go is the plugin, as a process of its own with verdicts in a file,
// so that it can be killed, stopped and kept from answering. create_test.go is
// the ways an image comes to a node, fault_test.go what happens to the plugin,
// attack_test.go who tries to get around it. agent_test.go is plomb agent, and
// cost_test.go what it costs.
package nri

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/cri"
	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/stand/standtest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(pluginEnv); dir != "" {
		pluginMain(dir)
		return
	}
	os.Exit(m.Run())
}

// required makes NRI fail closed, as plomb node install does.
const required = `version = 3
[plugins."io.containerd.nri.v1.nri".default_validator]
  enable = true
  required_plugins = ["plomb"]
`

// localPull makes CRI pull past the verifiers.
const localPull = `version = 3
[plugins."io.containerd.cri.v1.images"]
  use_local_image_pull = true
`

// A node is a containerd with a registry beside it.
type node struct {
	*stand.Stand
	*cri.Client
	t testing.TB
	// home is the pod of containers that need none of their own.
	home             *cri.Pod
	pods, containers int
}

// newNode starts one with more configuration. Each test has its own: they stop
// plugins and restart daemons.
func newNode(t testing.TB, config ...string) *node {
	t.Helper()
	s := standtest.Start(t, stand.Options{Only: []string{stand.Registry, stand.Containerd}})
	n := &node{Stand: s, t: t}
	if len(config) > 0 {
		n.configure(config...)
	}
	client, err := cri.Dial(s.ContainerdAddress)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	n.Client = client
	return n
}

// configure writes drop-ins and restarts containerd.
func (n *node) configure(config ...string) {
	n.t.Helper()
	for i, text := range config {
		require.NoError(n.t, os.WriteFile(filepath.Join(n.ContainerdDropIns(), fmt.Sprintf("%d.toml", i)), []byte(text), 0o644))
	}
	n.restart()
}

func (n *node) restart() {
	n.t.Helper()
	require.NoError(n.t, n.StopDaemon(n.t.Context(), stand.Containerd))
	require.NoError(n.t, n.StartDaemon(n.t.Context(), stand.Containerd))
}

// pod starts a pod for the length of the test.
func (n *node) pod(annotations map[string]string) cri.Pod {
	n.t.Helper()
	n.pods++
	p, err := n.StartPod(n.t.Context(), fmt.Sprintf("pod-%d", n.pods), annotations)
	require.NoError(n.t, err)
	return p
}

// create creates a container, the first one as default/pod-N/web-1.
func (n *node) create(opts cri.ContainerOptions) (string, error) {
	n.t.Helper()
	if n.home == nil {
		p := n.pod(nil)
		n.home = &p
	}
	n.containers++
	opts.Name = fmt.Sprintf("web-%d", n.containers)
	return n.CreateContainer(n.t.Context(), *n.home, opts)
}

// starts creates a container and sees it run.
func (n *node) starts(opts cri.ContainerOptions) string {
	n.t.Helper()
	id, err := n.create(opts)
	require.NoError(n.t, err)
	require.NoError(n.t, n.StartContainer(n.t.Context(), id))
	runs, err := n.Running(n.t.Context(), id)
	require.NoError(n.t, err)
	require.True(n.t, runs)
	return id
}

// refused creates a container and expects the refusal to say reason.
func (n *node) refused(opts cri.ContainerOptions, reason string) string {
	n.t.Helper()
	_, err := n.create(opts)
	require.ErrorContains(n.t, err, reason)
	return cri.Reason(err)
}
