// SPDX-License-Identifier: Apache-2.0

package containerd_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/containerd"
)

// These are the sections' names as findings have them.
const (
	images    = `plugins."io.containerd.cri.v1.images".`
	transfer  = `plugins."io.containerd.transfer.v1.local".`
	bindir    = `plugins."io.containerd.image-verifier.v1.bindir".`
	nri       = `plugins."io.containerd.nri.v1.nri".`
	validator = nri + `default_validator.`
)

// found are the findings in short: ! for what turns verification off, * for
// what no drop-in mends.
func found(r []containerd.Finding) []string {
	var out []string
	for _, f := range r {
		s := f.Setting + " = " + f.Value
		if f.Fatal {
			s = "!" + s
		}
		if f.Edit {
			s = "*" + s
		}
		out = append(out, s)
	}
	return out
}

func TestAnalyseNodes(t *testing.T) {
	agent := "!" + validator + "enable = false"
	for node, want := range map[string][]string{
		"default": {
			images + `registry.config_path = ""`,
			transfer + `config_path = ""`,
			agent,
		},
		"eks": {
			"!" + images + "discard_unpacked_layers = true",
			images + `registry.config_path = "/etc/containerd/certs.d:/etc/docker/certs.d"`,
			transfer + `config_path = ""`,
			agent,
		},
		"kind": {
			"!" + images + "discard_unpacked_layers = true",
			"*!" + images + "registry.mirrors = {k8s.gcr.io}",
			transfer + `config_path = ""`,
			agent,
		},
		"talos": {
			"!" + images + "use_local_image_pull = true",
			"!" + images + "discard_unpacked_layers = true",
			transfer + `config_path = ""`,
			"!" + nri + "disable = true",
			agent,
		},
		"legacy": {
			`*!disabled_plugins = "io.containerd.image-verifier.v1.bindir"`,
			`*!disabled_plugins = "io.containerd.nri.v1.nri"`,
			"!" + images + "max_concurrent_downloads = 10",
			"!" + images + "disable_snapshot_annotations = false",
			"!" + images + "image_pull_with_sync_fs = true",
			"*!" + images + "registry.mirrors = {docker.io}",
			"*!" + images + "registry.configs = {cache.example:5000}",
			"*!" + images + "registry.auths = {https://old.example}",
			transfer + `config_path = ""`,
			transfer + `unpack_config = without "stargz"`,
			"!" + bindir + "max_verifiers = 0",
			bindir + `per_verifier_timeout = "1s"`,
		},
	} {
		t.Run(node, func(t *testing.T) {
			r, err := containerd.Analyse(data(t, node, "dump.toml"))
			require.NoError(t, err)
			require.Equal(t, want, found(r.Findings))
			require.True(t, r.Fatal())
			for _, f := range r.Findings {
				require.NotEmpty(t, f.Effect, f.Setting)
				require.NotEmpty(t, f.Remedy, f.Setting)
				require.NotContains(t, f.Value+f.Effect+f.Remedy, "hunter2", "a secret")
				require.Contains(t, []string{containerd.AtPull, containerd.AtCreate}, f.At, f.Setting)
			}
		})
	}
}

// A remedy that is TOML has to be, and to be what the drop-in says.
func TestRemediesAreInTheDropIn(t *testing.T) {
	for _, node := range nodes {
		r, err := containerd.Analyse(data(t, node, "dump.toml"))
		require.NoError(t, err)
		for _, f := range r.Findings {
			if f.Edit {
				continue
			}
			_, err := containerd.Mend([]byte(f.Remedy))
			require.NoError(t, err, f.Remedy)
		}
	}
}

func TestAnalyseRefuses(t *testing.T) {
	for name, dump := range map[string]string{
		"nothing": "", "no TOML": "[[", "another file": "[package]\nname = \"x\"\n", "a list": "plugins = [1]\n",
	} {
		_, err := containerd.Analyse([]byte(dump))
		require.ErrorIs(t, err, containerd.ErrConfig, name)
	}
}

// What an old containerd prints has no transfer service to pull through.
func TestOldContainerd(t *testing.T) {
	r, err := containerd.Analyse([]byte("version = 2\nroot = \"/r\"\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"x\"\n"))
	require.NoError(t, err)
	require.True(t, r.Fatal(containerd.AtPull))
	_, err = containerd.DropIn([]byte("version = 2\nroot = \"/r\"\n"), want)
	require.ErrorIs(t, err, containerd.ErrConfig)
}

func TestVersion(t *testing.T) {
	for version, want := range map[string]int{
		"v2.4.2": 0, "2.4.1": 0, "v2.4.2+unknown": 0, "v3.0.0-rc.1": 0, "2.10.0": 0,
		"v2.4.0": 1, "2.3.1": 1, "2.1.0-beta.0": 1, "v2.0.5": 2, "1.7.27": 2,
	} {
		require.Len(t, containerd.Version(version), want, version)
	}
	for _, version := range []string{"", "unknown", "2", "2.4", "2.4.x", "-1.2.3"} {
		f := containerd.Version(version)
		require.Len(t, f, 1, version)
		require.False(t, f[0].Fatal)
	}
}
