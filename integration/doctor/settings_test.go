// SPDX-License-Identifier: Apache-2.0

//go:build integration

package doctor

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/containerd"
	"github.com/plombproject/plomb/plugin/doctor"
)

// images is the section that the eight settings are in.
const images = `plugins."io.containerd.cri.v1.images"`

// settings are the eight with which CRI pulls by itself. Each takes the place of
// the stand's use_local_image_pull = false, or is added at the end.
var settings = []struct {
	setting string
	line    string // in the section
	table   string // at the end
	// alone: config_path would keep CRI from loading beside it.
	alone bool
}{
	{setting: "use_local_image_pull", line: "use_local_image_pull = true"},
	{setting: "max_concurrent_downloads", line: "max_concurrent_downloads = 10"},
	{setting: "discard_unpacked_layers", line: "discard_unpacked_layers = true"},
	{setting: "disable_snapshot_annotations", line: "disable_snapshot_annotations = false"},
	{setting: "image_pull_with_sync_fs", line: "image_pull_with_sync_fs = true"},
	{setting: "registry.mirrors", table: "[" + images + `.registry.mirrors."docker.io"]` + "\n" + `  endpoint = ["https://cache.example"] # in the rack`, alone: true},
	{setting: "registry.configs", table: "[" + images + `.registry.configs."cache.example".tls]` + "\n  insecure_skip_verify = true"},
	{setting: "registry.auths", table: "[" + images + `.registry.auths."https://cache.example"]` + "\n  username = \"u\"\n  password = \"hunter2\""},
}

func TestEachSettingThatTurnsVerificationOff(t *testing.T) {
	for _, s := range settings {
		t.Run(s.setting, func(t *testing.T) {
			config := string(mainConfig)
			if s.line != "" {
				config = strings.Replace(config, "use_local_image_pull = false", s.line, 1)
				require.NotEqual(t, string(mainConfig), config)
			}
			if s.alone {
				head, rest, found := strings.Cut(config, "["+images+".registry]\n")
				require.True(t, found)
				_, rest, _ = strings.Cut(rest, "\n")
				config = head + rest
			}
			config += s.table + "\n"
			attack(t, config, func(t *testing.T) {
				d := sick(t, doctor.CheckConfig, images+"."+s.setting)
				for _, c := range d.find(doctor.CheckConfig) {
					if c.Setting != images+"."+s.setting {
						continue
					}
					require.NotEmpty(t, c.Remedy)
					require.Len(t, c.Places, 1, d.text)
					require.Equal(t, on.ContainerdConfig(), c.Places[0].File)
					lines := strings.Split(config, "\n")
					first, _, _ := strings.Cut(s.line+s.table, "\n")
					require.Contains(t, lines[c.Places[0].Line-1], first)
				}
				require.NotContains(t, d.text, "hunter2")
			})
		})
	}
}

// attack runs a configuration without plomb's drop-in: an unsigned image gets
// in and the doctor says why. Then it is mended as plomb node install does,
// and the image stays out.
func attack(t *testing.T, config string, says func(t *testing.T)) {
	t.Helper()
	t.Cleanup(func() {
		require.NoError(t, os.WriteFile(on.ContainerdConfig(), mainConfig, 0o644))
		require.NoError(t, dropIn(context.Background()))
	})
	require.NoError(t, os.WriteFile(on.ContainerdConfig(), []byte(config), 0o644))
	require.NoError(t, os.Remove(dropInFile()))
	restarted(t)
	getsIn(t)
	cri := kubeletUnsigned(t)
	require.Equal(t, doctor.Fail, cri.Status, cri.Detail)
	says(t)

	mend(t)
	restarted(t)
	staysOut(t)
	healthy(t)
}

// kubeletUnsigned is the doctor's own attempt.
func kubeletUnsigned(t *testing.T) doctor.Check {
	t.Helper()
	d := diagnose(t, "--pull-only")
	require.Equal(t, 1, d.status, d.text)
	found := d.find(doctor.CheckCRIUnsigned)
	require.Len(t, found, 1, d.text)
	return found[0]
}

// mend does to all files what plomb node install does.
func mend(t *testing.T) {
	t.Helper()
	files, err := containerd.Sources(on.ContainerdConfig())
	require.NoError(t, err)
	for _, file := range files {
		old, err := os.ReadFile(file)
		require.NoError(t, err)
		changed, err := containerd.Mend(old)
		require.NoError(t, err, file)
		if !bytes.Equal(old, changed) {
			require.NoError(t, os.WriteFile(file, changed, 0o644))
		}
	}
	require.NoError(t, dropIn(t.Context()))
}
