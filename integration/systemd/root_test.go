// SPDX-License-Identifier: Apache-2.0

//go:build integration

package systemd

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
)

// makeRoot makes a root file system in the folder $1 and packs it into $2. In a
// mount namespace of its own, so that an interrupted run leaves no mounts.
const makeRoot = `set -eu
mount --make-rprivate /
debootstrap --variant=minbase --include=systemd,systemd-sysv,runc bookworm "$1" http://deb.debian.org/debian
rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/var/log/* "$1"/usr/share/doc "$1"/usr/share/locale "$1"/dev/* "$1"/run/*
: >"$1/etc/machine-id"
tar --create --numeric-owner --file "$2.new" --directory "$1" .
mv "$2.new" "$2"
`

// containerdUnit is containerd's own unit (containerd.service in its repository)
// without modprobe.
const containerdUnit = `[Unit]
Description=containerd container runtime
After=network.target local-fs.target

[Service]
ExecStart=/usr/local/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
`

// containerdConfig is what a distribution would ship, with what this machine
// cannot do turned off: %s is the image of pods.
const containerdConfig = `version = 3
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "%s"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  use_internal_loopback = true
`

// masked are units that would change the machine around, or wait for hardware.
var masked = []string{
	"systemd-sysctl.service", "systemd-modules-load.service", "getty.target", "console-getty.service", "systemd-remount-fs.service",
	"dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
}

// makeFolder unpacks a root file system with the programs of .build/bin.
func makeFolder(t *testing.T) string {
	t.Helper()
	checkout, err := stand.FindRoot()
	require.NoError(t, err)
	root := t.TempDir()
	require.NoError(t, os.Chmod(root, 0o755))
	out, err := exec.Command("tar", "--extract", "--numeric-owner", "--same-permissions", "--file", archive(t, checkout), "--directory", root).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, name := range []string{"containerd", "containerd-shim-runc-v2", "ctr", "plomb", "plomb-verifier"} {
		copyProgram(t, filepath.Join(checkout, ".build", "bin", name), filepath.Join(root, "usr/local/bin", name))
	}
	copyProgram(t, "/usr/lib/cni/loopback", filepath.Join(root, "opt/cni/bin/loopback"))
	for path, text := range map[string]string{
		"etc/hosts":                             "127.0.0.1 localhost\n",
		"etc/resolv.conf":                       "",
		"etc/systemd/system/containerd.service": containerdUnit,
		// kubelet wants a network before it calls a node ready; no pod here has one.
		"etc/cni/net.d/lo.conflist": `{"cniVersion": "1.0.0", "name": "lo", "plugins": [{"type": "loopback"}]}`,
	} {
		write(t, filepath.Join(root, path), text, 0o644)
	}
	units := filepath.Join(root, "etc/systemd/system")
	require.NoError(t, os.MkdirAll(filepath.Join(units, "multi-user.target.wants"), 0o755))
	require.NoError(t, os.Symlink("../containerd.service", filepath.Join(units, "multi-user.target.wants/containerd.service")))
	for _, name := range masked {
		require.NoError(t, os.RemoveAll(filepath.Join(units, name)))
		require.NoError(t, os.Symlink("/dev/null", filepath.Join(units, name)))
	}
	return root
}

// archive is the root file system, made once for each recipe.
func archive(t *testing.T, checkout string) string {
	t.Helper()
	dir := filepath.Join(checkout, ".build", "base")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	lock, err := os.OpenFile(filepath.Join(dir, ".systemd.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, syscall.Flock(int(lock.Fd()), syscall.LOCK_EX))

	tar, recipe := filepath.Join(dir, "systemd-bookworm.tar"), digest.FromString(makeRoot).String()
	if data, err := os.ReadFile(tar + ".recipe"); err == nil && string(data) == recipe {
		if _, err := os.Stat(tar); err == nil {
			return tar
		}
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-c", makeRoot, "make-root", t.TempDir(), tar)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out[max(0, len(out)-4096):])
	write(t, tar+".recipe", recipe, 0o644)
	return tar
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	src, err := os.Open(from)
	require.NoError(t, err, "run hack/tools")
	defer src.Close()
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	require.NoError(t, err)
	_, err = io.Copy(dst, src)
	require.NoError(t, err)
	require.NoError(t, dst.Close())
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
}
