// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/plombproject/plomb/integration/cri"
)

// containerdConfig is containerd's config.toml.
//   - use_local_image_pull = false: CRI pulls go through the transfer service,
//     the only path on which image verifiers are asked.
//   - restrict_oom_score_adj: machines without CAP_SYS_RESOURCE on the host.
//   - imports: where an administrator would put more, and plomb node install does.
//   - every socket and folder that has a default outside the stand is moved.
const containerdConfig = `version = 3
root = %[1]q
state = %[2]q
imports = [%[16]q]
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = %[3]q
[ttrpc]
  address = "%[3]s.ttrpc"

[plugins."io.containerd.image-verifier.v1.bindir"]
  bin_dir = %[4]q
  max_verifiers = 10
  per_verifier_timeout = "10s"

[plugins."io.containerd.transfer.v1.local"]
  config_path = %[5]q

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  use_local_image_pull = false
[plugins."io.containerd.cri.v1.images".registry]
  config_path = %[5]q
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "%[6]s/base/pause:stand"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  cdi_spec_dirs = []
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [%[7]s]
  conf_dir = %[8]q
  use_internal_loopback = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address = %[9]q
  stream_server_port = %[10]q

[plugins."io.containerd.internal.v1.opt"]
  path = %[11]q
[plugins."io.containerd.nri.v1.nri"]
  socket_path = %[12]q
  plugin_path = %[13]q
  plugin_config_path = %[14]q
[plugins."io.containerd.shim.v1.manager"]
  socket_dir = %[15]q
`

// hostsConfig is containerd's hosts.toml for the registry of the stand.
const hostsConfig = `server = "http://%[1]s"

[host."http://%[1]s"]
  capabilities = ["pull", "resolve", "push"]
`

func (s *Stand) containerd() daemon {
	config := s.layout.config("containerd.toml")
	return daemon{
		name:    Containerd,
		program: s.program("containerd"),
		args:    []string{"--config", config},
		// plomb-verifier inherits these.
		env:     s.verifierEnv(),
		grace:   10 * time.Second,
		prepare: func() error { return s.prepareContainerd(config) },
		probe:   s.probeContainerd,
	}
}

func (s *Stand) prepareContainerd(config string) error {
	if err := installVerifier(s.verifierProgram, s.layout); err != nil {
		return err
	}
	if err := s.writeNetwork(); err != nil {
		return err
	}
	if err := s.writeNode(); err != nil {
		return err
	}
	hosts := fmt.Sprintf(hostsConfig, s.Registry)
	if err := writeFile(filepath.Join(s.layout.hosts(), s.Registry, "hosts.toml"), []byte(hosts), 0o644); err != nil {
		return err
	}
	return writeFile(config, []byte(s.containerdTOML()), 0o644)
}

func (s *Stand) containerdTOML() string {
	at := s.layout.path
	host, port := splitAddr(s.streamAddr)
	return fmt.Sprintf(containerdConfig,
		at("containerd", "root"), at("containerd", "state"), s.ContainerdAddress,
		at("verifiers"), s.layout.hosts(), s.Registry,
		fmt.Sprintf("%q, %q", cniPluginDirs[0], cniPluginDirs[1]), at("etc", "cni"),
		host, port,
		at("containerd", "opt"),
		s.layout.nriSocket(), at("nri", "plugins"), at("nri", "conf.d"),
		filepath.Join(s.layout.outside(), "s"), filepath.Join(s.ContainerdDropIns(), "*.toml"))
}

// installVerifier puts the verifier in its folder by rename: containerd runs
// whatever it finds there, and half a file or a second one would refuse, or
// worse decide, every pull.
func installVerifier(program string, l layout) error {
	src, err := os.Open(program)
	if err != nil {
		return fmt.Errorf("image verifier: %w: run hack/tools", err)
	}
	defer src.Close()
	tmp := l.path("tmp", "plomb-verifier.new")
	dst, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return fmt.Errorf("image verifier: %w", err)
	}
	_, err = io.Copy(dst, src)
	if err = errors.Join(err, dst.Close()); err != nil {
		return fmt.Errorf("image verifier: %w", err)
	}
	if err := os.Rename(tmp, l.path("verifiers", "plomb-verifier")); err != nil {
		return fmt.Errorf("image verifier: %w", err)
	}
	entries, err := os.ReadDir(l.path("verifiers"))
	if err != nil {
		return fmt.Errorf("image verifier: %w", err)
	}
	if len(entries) != 1 {
		return fmt.Errorf("image verifier: %s holds other files too: remove them", l.path("verifiers"))
	}
	return nil
}

func (s *Stand) probeContainerd(ctx context.Context) error {
	if _, err := os.Stat(s.ContainerdAddress); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c, err := cri.Dial(s.ContainerdAddress)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Ready(ctx)
}
