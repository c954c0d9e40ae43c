// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/moby/buildkit/client"
)

// buildkitConfig is buildkitd.toml. gc is off: tests compare what two builds
// left, and a collection between them would look like a difference. RUN steps
// share the host's network, which needs no CNI and reaches what the host does.
const buildkitConfig = `root = %[1]q

[grpc]
  address = [ "unix://%[2]s" ]

[otel]
  socketPath = %[3]q

[cdi]
  disabled = true

%[4]s
[registry.%[5]q]
  http = true
`

// runcWorker is buildkitd's own snapshots and runc.
const runcWorker = `[worker.oci]
  enabled = true
  snapshotter = %[1]q
  binary = %[2]q
  networkMode = "host"
  gc = false

[worker.containerd]
  enabled = false
`

// containerdWorker has snapshots, content and containers in a containerd, in a
// namespace of the stand's own. Its CNI, and image verifiers, play no part.
const containerdWorker = `[worker.oci]
  enabled = false

[worker.containerd]
  enabled = true
  address = %[1]q
  namespace = %[2]q
  snapshotter = %[3]q
  networkMode = "host"
  gc = false
`

func (s *Stand) worker() string {
	if s.workerAddress != "" {
		return fmt.Sprintf(containerdWorker, s.workerAddress, s.layout.id(), s.Snapshotter)
	}
	return fmt.Sprintf(runcWorker, s.Snapshotter, s.layout.path("bin", "runc"))
}

func (s *Stand) buildkitd() daemon {
	config := s.layout.config("buildkitd.toml")
	return daemon{
		name:    Buildkitd,
		program: s.buildkitdProgram,
		args:    []string{"--config", config},
		grace:   15 * time.Second,
		prepare: func() error {
			text := fmt.Sprintf(buildkitConfig, s.layout.path("buildkit"), s.layout.buildkitSocket(),
				s.layout.path("run", "buildkit-otel.sock"), s.worker(), s.Registry)
			return writeFile(config, []byte(text), 0o644)
		},
		probe: s.probeBuildkit,
	}
}

func (s *Stand) probeBuildkit(ctx context.Context) error {
	// Without this the client waits for a socket that may never come.
	if _, err := os.Stat(s.layout.buildkitSocket()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c, err := client.New(ctx, s.BuildkitHost)
	if err != nil {
		return err
	}
	defer c.Close()
	workers, err := c.ListWorkers(ctx)
	if err != nil {
		return err
	}
	if len(workers) != 1 {
		return fmt.Errorf("%d workers, want 1", len(workers))
	}
	if got := workers[0].Labels["org.mobyproject.buildkit.worker.snapshotter"]; got != s.Snapshotter {
		return fmt.Errorf("worker uses snapshotter %q, want %q", got, s.Snapshotter)
	}
	return nil
}
