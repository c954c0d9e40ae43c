// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// runcWrapper keeps runc's state below the stand, where containers of two
// stands cannot clash by name, and where a stop finds the containers of a
// daemon that was killed. buildkitd has no setting for it and gives no --root;
// containerd's shims give --root ROOT/NAMESPACE first, with a ROOT that each
// client chooses, so that a setting would not cover `ctr run`.
const runcWrapper = `#!/bin/sh
case "$1" in
  --root) root='%[2]s'/"${2##*/}"; shift 2 ;;
  *) root='%[3]s' ;;
esac
exec %[1]s --root "$root" "$@"
`

// writeRuncWrapper puts it where the PATH of the daemons finds it first.
func (s *Stand) writeRuncWrapper() error {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return errors.New("runc is not in PATH: run hack/tools")
	}
	text := fmt.Appendf(nil, runcWrapper, runc, s.podRuncRoot(), s.buildRuncRoot())
	return writeFile(s.layout.path("bin", "runc"), text, 0o755)
}

func (s *Stand) buildRuncRoot() string { return s.layout.path("run", "runc-build") }
func (s *Stand) podRuncRoot() string   { return s.layout.path("run", "runc-pods") }

// removeContainers has runc kill and forget what it still knows below its
// root, which removes the containers' cgroups too.
func removeContainers(ctx context.Context, runcRoot string) error {
	entries, err := os.ReadDir(runcRoot)
	if err != nil {
		return nil // never used
	}
	var all error
	for _, e := range entries {
		out, err := exec.CommandContext(ctx, "runc", "--root", runcRoot, "delete", "--force", e.Name()).CombinedOutput()
		if err != nil {
			all = errors.Join(all, fmt.Errorf("removing container %s: %w: %s", e.Name(), err, strings.TrimSpace(string(out))))
		}
	}
	return all
}

// removePodContainers does so for every containerd namespace.
func (s *Stand) removePodContainers(ctx context.Context) error {
	var all error
	namespaces, _ := filepath.Glob(filepath.Join(s.podRuncRoot(), "*"))
	for _, ns := range namespaces {
		all = errors.Join(all, removeContainers(ctx, ns))
	}
	return all
}
