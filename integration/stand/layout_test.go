// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResolveRefusesDangerousAndLongFolders(t *testing.T) {
	home, err := os.UserHomeDir()
	require.NoError(t, err)
	for _, dir := range []string{"/", "/etc", "/usr", "/tmp", "/tmp/../etc", home} {
		_, err := resolve(dir)
		require.ErrorIs(t, err, ErrDangerousDir, dir)
	}
	link := filepath.Join(t.TempDir(), "innocent")
	require.NoError(t, os.Symlink(home, link))
	_, err = resolve(link)
	require.ErrorIs(t, err, ErrDangerousDir, "a link to the home folder")

	_, err = resolve("/tmp/" + strings.Repeat("x", 200))
	require.ErrorIs(t, err, ErrDirTooLong)
	_, err = resolve("/tmp/it's")
	require.ErrorIs(t, err, ErrOptions)

	l, err := resolve("/tmp/" + strings.Repeat("x", 76))
	require.NoError(t, err)
	require.LessOrEqual(t, len(l.longestSocket()), maxSocketPath)
}

func TestClaimLeavesForeignFoldersAlone(t *testing.T) {
	dir := t.TempDir()
	l := layout{dir}
	st, err := l.claim()
	require.NoError(t, err)
	require.Nil(t, st, "an empty folder is new")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o644))
	_, err = l.claim()
	require.ErrorIs(t, err, ErrNotAStand)
	require.ErrorContains(t, err, "thesis.tex")
	require.ErrorIs(t, l.remove(), ErrNotAStand)
	require.FileExists(t, filepath.Join(dir, "thesis.tex"))
	require.ErrorIs(t, Down(t.Context(), dir, false, nil), ErrNotAStand)
	require.FileExists(t, filepath.Join(dir, "thesis.tex"))
}

func TestMarkerRoundTrip(t *testing.T) {
	l := layout{t.TempDir()}
	want := state{Version: stateVersion, Registry: "127.0.0.1:20000", Daemons: []string{Registry}}
	require.NoError(t, l.save(want))
	got, err := l.load()
	require.NoError(t, err)
	require.Equal(t, want, *got)

	want.Version = stateVersion + 1
	require.NoError(t, l.save(want))
	_, err = l.load()
	require.ErrorIs(t, err, ErrNotAStand)
}

func TestEnvSurvivesTheShell(t *testing.T) {
	env := map[string]string{
		"A": "plain", "B": "two words", "C": `it's "$HOME" \ ` + "`id`", "D": "line\nbreak", "E": "",
	}
	file := filepath.Join(t.TempDir(), "env")
	require.NoError(t, os.WriteFile(file, []byte(formatEnv(env, "/b in")), 0o644))
	script := `. "$1" && printf '%s|' "$A" "$B" "$C" "$D" "$E" "$PATH"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", file)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	want := strings.Join([]string{env["A"], env["B"], env["C"], env["D"], env["E"], "/b in:/usr/bin:/bin", ""}, "|")
	require.Equal(t, want, string(out))
}

func TestMountsBelow(t *testing.T) {
	table := strings.Join([]string{
		"1 0 254:0 / / rw - ext4 /dev/vda rw",
		"2 1 0:1 / /d/stand rw - tmpfs tmpfs rw",
		"3 1 0:1 / /d/stand/a rw - overlay overlay rw",
		`4 1 0:1 / /d/stand/a/with\040blank rw - overlay overlay rw`,
		"5 1 0:1 / /d/stand2/a rw - overlay overlay rw",
		"short line",
	}, "\n")
	require.Equal(t, []string{"/d/stand/a", "/d/stand/a/with blank"}, mountsBelow(table, "/d/stand"))
}

func TestSubnetIsTheStandsOwn(t *testing.T) {
	seen := map[string]bool{}
	for port := firstPort; port <= lastPort; port++ {
		subnet, err := subnetFor(joinPort(port))
		require.NoError(t, err)
		require.False(t, seen[subnet], subnet)
		seen[subnet] = true
	}
	require.True(t, seen["10.128.0.0/24"])
	for _, bad := range []string{"127.0.0.1:80", "127.0.0.1", "127.0.0.1:x"} {
		_, err := subnetFor(bad)
		require.Error(t, err, bad)
	}
}

func TestOptionsAreRejectedEarly(t *testing.T) {
	for name, opts := range map[string]Options{
		"no folder":                     {},
		"snapshotter":                   {Dir: "/tmp/x", Snapshotter: "zfs"},
		"daemon":                        {Dir: "/tmp/x", Only: []string{"dockerd"}},
		"worker":                        {Dir: "/tmp/x", ContainerdWorker: true},
		"worker of a stand without one": {Dir: "/tmp/x", ContainerdWorker: true, Beside: &Stand{names: []string{Buildkitd}}},
	} {
		_, err := opts.complete()
		require.ErrorIs(t, err, ErrOptions, name)
	}
	err := Options{Dir: "/tmp/x", Bin: t.TempDir(), Only: []string{Registry, Sigstore}}.checkPrograms()
	require.ErrorIs(t, err, ErrOptions)
	require.ErrorContains(t, err, "registry")
	require.ErrorContains(t, err, "sigstore")
	require.ErrorContains(t, err, "hack/tools")
}
