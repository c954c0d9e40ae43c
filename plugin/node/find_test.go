// SPDX-License-Identifier: Apache-2.0

package node_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/containerd"
	"github.com/plombproject/plomb/plugin/node"
)

// A file that is imported after the drop-in can undo it. The refusal names the
// line, and changes nothing.
func TestLaterImport(t *testing.T) {
	m := newMachine(t)
	m.write("etc/containerd.d/zz-tuning.toml", "version = 3\n[plugins.\"io.containerd.cri.v1.images\"]\n  max_concurrent_downloads = 10\n", 0o644)
	before := m.read("etc/config.toml")
	_, err := m.install(node.InstallOptions{})
	require.ErrorIs(t, err, containerd.ErrConfig)
	require.ErrorContains(t, err, "max_concurrent_downloads = 10 stays in force")
	require.ErrorContains(t, err, m.path("etc/containerd.d/zz-tuning.toml")+":3 sets it: remove it there")
	require.Equal(t, before, m.read("etc/config.toml"))
	require.NoFileExists(t, m.path("etc/containerd.d/99-plomb.toml"))
	require.Zero(t, m.restarts)
}
