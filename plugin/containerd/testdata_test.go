// SPDX-License-Identifier: Apache-2.0

package containerd_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/containerd"
)

// Each folder of testdata is a node: config.toml is what somebody wrote,
// dump.toml what containerd 2.4.2 makes of it (containerd --config config.toml
// config dump), mended.toml what Mend makes of config.toml, dropin.toml what
// DropIn makes of dump.toml, and after.toml what containerd makes of those two.
// integration/doctor makes them anew with the real containerd and compares.
var update = flag.Bool("update", false, "write dropin.toml and mended.toml anew")

var nodes = []string{"default", "eks", "kind", "talos", "legacy"}

var want = containerd.Want{BinDir: "/opt/plomb/verifiers", RequireNRI: "plomb"}

func data(t testing.TB, node, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", node, file))
	require.NoError(t, err)
	return b
}

func golden(t *testing.T, node, file string, got []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", node, file), got, 0o644))
	}
	require.Equal(t, string(data(t, node, file)), string(got))
}

func TestDropIn(t *testing.T) {
	for _, node := range nodes {
		t.Run(node, func(t *testing.T) {
			got, err := containerd.DropIn(data(t, node, "dump.toml"), want)
			require.NoError(t, err)
			golden(t, node, "dropin.toml", got)
			if *update {
				return
			}
			again, err := containerd.DropIn(data(t, node, "after.toml"), want)
			require.NoError(t, err)
			require.Equal(t, string(got), string(again), "the same text once it is there")
		})
	}
}

func TestMend(t *testing.T) {
	for _, node := range nodes {
		t.Run(node, func(t *testing.T) {
			got, err := containerd.Mend(data(t, node, "config.toml"))
			require.NoError(t, err)
			golden(t, node, "mended.toml", got)
			again, err := containerd.Mend(got)
			require.NoError(t, err)
			require.Equal(t, string(got), string(again))
		})
	}
}

func TestNothingIsLeftAfterMending(t *testing.T) {
	if *update {
		t.Skip("after.toml is older")
	}
	for _, node := range nodes {
		t.Run(node, func(t *testing.T) {
			r, err := containerd.Analyse(data(t, node, "after.toml"))
			require.NoError(t, err)
			require.Empty(t, r.Findings)
			require.Equal(t, want.BinDir, r.Facts.BinDir)
			require.Contains(t, r.Facts.RequiredNRI, "plomb")
			require.True(t, r.Facts.NRI)
		})
	}
}
