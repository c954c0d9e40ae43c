// SPDX-License-Identifier: Apache-2.0

package stand

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Names of the daemons, in the order in which a stand stops them: a daemon
// comes before those that it uses.
const (
	Containerd = "containerd"
	Buildkitd  = "buildkitd"
	Sigstore   = "sigstore"
	Registry   = "registry"
)

// Agent is plomb agent. It is no part of a start: see StartAgent.
const Agent = "agent"

var stopOrder = [...]string{Containerd, Buildkitd, Sigstore, Registry}

// ErrOptions reports Options that cannot be met.
var ErrOptions = errors.New("stand options")

// Options say what to start. Dir alone is enough for a whole stand when the
// working directory is inside the checkout.
type Options struct {
	// Dir is the folder of the stand. It is created; if it exists it has to
	// be empty or to hold a stand already.
	Dir string
	// Root is the checkout, for Dockerfile.frontend. Default: the module that
	// the working directory is in.
	Root string
	// Bin is the folder with all programs, as hack/tools fills it.
	// Default: Root/.build/bin.
	Bin string
	// Snapshotter is buildkitd's: overlayfs (default) or native.
	Snapshotter string
	// Only names the daemons to start. Empty means all of them.
	Only []string
	// Beside is a running stand that lends what Only leaves out: its
	// registry, Sigstore, policy and frontend image.
	Beside *Stand
	// ContainerdWorker has buildkitd work in the containerd of Beside and not
	// with runc and snapshots of its own.
	ContainerdWorker bool
	// BuildkitdProgram replaces Bin/buildkitd, for tests against another version.
	BuildkitdProgram string
	// VerifierProgram replaces Bin/plomb-verifier.
	VerifierProgram string
	// SkipFrontend leaves out the build and push of the frontend image, which
	// otherwise happens when both a registry and buildkitd are started.
	SkipFrontend bool
	// Log receives progress, and the end of a daemon's log when it fails.
	// Default: nothing is written.
	Log io.Writer
}

func (o Options) complete() (Options, error) {
	var err error
	if o.Dir == "" {
		return o, fmt.Errorf("%w: no folder given: name the folder the stand is to live in", ErrOptions)
	}
	if o.Root == "" {
		if o.Root, err = FindRoot(); err != nil {
			return o, err
		}
	}
	if o.Bin == "" {
		o.Bin = filepath.Join(o.Root, ".build", "bin")
	}
	if o.Snapshotter == "" {
		o.Snapshotter = "overlayfs"
	}
	if o.Snapshotter != "overlayfs" && o.Snapshotter != "native" {
		return o, fmt.Errorf("%w: snapshotter %q: use overlayfs or native", ErrOptions, o.Snapshotter)
	}
	if len(o.Only) == 0 {
		o.Only = stopOrder[:]
	}
	for _, name := range o.Only {
		if !slices.Contains(stopOrder[:], name) {
			return o, fmt.Errorf("%w: daemon %q: use some of %s", ErrOptions, name, strings.Join(stopOrder[:], ", "))
		}
	}
	if o.ContainerdWorker && (o.Beside == nil || !slices.Contains(o.Beside.names, Containerd)) {
		return o, fmt.Errorf("%w: ContainerdWorker needs a stand with containerd: set Beside to one", ErrOptions)
	}
	if o.BuildkitdProgram == "" {
		o.BuildkitdProgram = filepath.Join(o.Bin, "buildkitd")
	}
	if o.VerifierProgram == "" {
		o.VerifierProgram = filepath.Join(o.Bin, "plomb-verifier")
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if os.Geteuid() != 0 {
		return o, fmt.Errorf("%w: buildkitd and containerd need root: run this as root", ErrOptions)
	}
	return o, nil
}

func (o Options) starts(name string) bool { return slices.Contains(o.Only, name) }

// pushesFrontend reports whether the frontend image is part of this start.
func (o Options) pushesFrontend() bool {
	lent := o.Beside != nil && o.Beside.Frontend != ""
	return !o.SkipFrontend && !lent && o.starts(Registry) && o.starts(Buildkitd)
}

// needs lists the programs that this start runs.
func (o Options) needs() []string {
	in := func(names ...string) (paths []string) {
		for _, name := range names {
			paths = append(paths, filepath.Join(o.Bin, name))
		}
		return paths
	}
	var paths []string
	if o.starts(Registry) {
		paths = append(paths, in("registry")...)
	}
	if o.starts(Sigstore) {
		paths = append(paths, in("sigstore")...)
	}
	if o.starts(Buildkitd) {
		paths = append(paths, o.BuildkitdProgram)
		paths = append(paths, in("buildx")...)
	}
	if o.starts(Containerd) {
		paths = append(paths, in("containerd", "containerd-shim-runc-v2")...)
		paths = append(paths, o.VerifierProgram)
	}
	if o.pushesFrontend() {
		paths = append(paths, in("plomb-frontend")...)
	}
	return paths
}

// checkPrograms fails with everything that is missing, not only the first.
func (o Options) checkPrograms() error {
	var missing []string
	for _, path := range o.needs() {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			missing = append(missing, path)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: not there or not executable: %s: run hack/tools", ErrOptions, strings.Join(missing, ", "))
	}
	return nil
}

// FindRoot walks up from the working directory to the project's go.mod.
func FindRoot() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(data), "module github.com/plombproject/plomb\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%w: %s is not inside the checkout: set Options.Root", ErrOptions, wd)
		}
	}
}
