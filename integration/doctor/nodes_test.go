// SPDX-License-Identifier: Apache-2.0

//go:build integration

package doctor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/plugin/doctor"
)

// testdata is what plugin/containerd's unit tests rest on.
func testdata(t *testing.T, elems ...string) string {
	t.Helper()
	root, err := stand.FindRoot()
	require.NoError(t, err)
	return filepath.Join(append([]string{root, "plugin", "containerd", "testdata"}, elems...)...)
}

// TestNodesLikeThoseOfDistributions: the configurations run as the main one; the
// stand's own comes after, as a drop-in, for what has a place there.
func TestNodesLikeThoseOfDistributions(t *testing.T) {
	for name, setting := range map[string]string{
		"eks":   images + ".discard_unpacked_layers",
		"kind":  images + ".registry.mirrors",
		"talos": images + ".use_local_image_pull",
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(testdata(t, name, "config.toml"))
			require.NoError(t, err)
			own := string(mainConfig)
			own = strings.Replace(own, "  use_local_image_pull = false\n", "", 1)
			if name == "kind" {
				head, rest, found := strings.Cut(own, "["+images+".registry]\n")
				require.True(t, found)
				_, rest, _ = strings.Cut(rest, "\n")
				own = head + rest
			}
			// There is no such file here, and systemd does not run.
			own = strings.Replace(own, `runtime_type = "io.containerd.runc.v2"`, "runtime_type = \"io.containerd.runc.v2\"\n  base_runtime_spec = \"\"", 1)
			own += "\n[plugins.\"io.containerd.cri.v1.runtime\".containerd.runtimes.runc.options]\n  SystemdCgroup = false\n  BinaryName = \"\"\n"
			first := filepath.Join(on.ContainerdDropIns(), "00-stand.toml")
			require.NoError(t, os.WriteFile(first, []byte(own), 0o644))
			t.Cleanup(func() { _ = os.Remove(first) })
			version, rest, found := strings.Cut(string(data), "version = ")
			require.True(t, found)
			number, rest, _ := strings.Cut(rest, "\n")
			config := version + "version = " + number + "\nimports = [\"" + filepath.Join(on.ContainerdDropIns(), "*.toml") + "\"]\n" + rest
			attack(t, config, func(t *testing.T) { sick(t, doctor.CheckConfig, setting) })
		})
	}
}

// TestDumps: the unit tests' dumps are what the real containerd prints.
func TestDumps(t *testing.T) {
	nodes, err := os.ReadDir(testdata(t))
	require.NoError(t, err)
	for _, node := range nodes {
		if node.Name() == "fuzz" {
			continue
		}
		t.Run(node.Name(), func(t *testing.T) {
			dump := func(config string) string {
				out, err := exec.Command(filepath.Join(on.Bin, "containerd"), "--config", config, "config", "dump").Output()
				require.NoError(t, err)
				return string(out)
			}
			read := func(file string) string {
				data, err := os.ReadFile(testdata(t, node.Name(), file))
				require.NoError(t, err)
				return string(data)
			}
			require.Equal(t, read("dump.toml"), dump(testdata(t, node.Name(), "config.toml")))
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "conf.d"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "conf.d", "plomb.toml"), []byte(read("dropin.toml")), 0o644))
			head, rest, found := strings.Cut(read("mended.toml"), "version =")
			require.True(t, found)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "config.toml"), []byte(head+"imports = [\"conf.d/*.toml\"]\nversion ="+rest), 0o644))
			require.Equal(t, read("after.toml"), dump(filepath.Join(dir, "config.toml")))
		})
	}
}
