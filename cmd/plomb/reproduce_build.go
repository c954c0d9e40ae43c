// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/plombproject/plomb/verify/reproduce"
)

// A workplace is the folder where a reproduction happens, and where it tells
// how it goes.
type workplace struct {
	dir  string
	keep bool
	err  io.Writer
}

// workplace makes the folder: that of --keep, or one that ends with the run.
func (f *reproduceFlags) workplace(stdio Stdio) (*workplace, error) {
	if f.keep == "" {
		dir, err := os.MkdirTemp("", "plomb-reproduce-")
		return &workplace{dir: dir, err: stdio.Err}, err
	}
	dir, err := filepath.Abs(f.keep)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		return nil, errors.Join(err, fmt.Errorf("--keep %s: the folder is not empty; name a new one", f.keep))
	}
	return &workplace{dir: dir, keep: true, err: stdio.Err}, nil
}

func (w *workplace) clean() {
	if !w.keep {
		_ = os.RemoveAll(w.dir)
	}
}

func (w *workplace) say(format string, args ...any) {
	fmt.Fprintf(w.err, "plomb: "+format+"\n", args...)
}

// write keeps a document beside the image, if something is kept at all.
func (w *workplace) write(name string, v any) error {
	if !w.keep {
		return nil
	}
	f, err := os.Create(filepath.Join(w.dir, name))
	if err != nil {
		return err
	}
	return errors.Join(printJSON(f, v), f.Close())
}

// program runs a program without a shell; what it prints goes to standard
// error.
func (w *workplace) program(ctx context.Context, env []string, stdin io.Reader, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, w.dir, stdin, w.err, w.err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w (see above)", filepath.Base(name), err)
	}
	return nil
}

// errBuild reports a build that did not come to an end.
var errBuild = errors.New("the image could not be built again")

// findBuildx finds the program, by itself or as a plugin of docker.
func findBuildx() ([]string, error) {
	if path, err := exec.LookPath("buildx"); err == nil {
		return []string{path}, nil
	}
	if path, err := exec.LookPath("docker"); err == nil {
		return []string{path, "buildx"}, nil
	}
	return nil, fmt.Errorf("%w: neither buildx nor docker is in PATH; install buildx", errBuild)
}

// build runs buildx; the result is an OCI layout in the folder layout.
func (f *reproduceFlags) build(ctx context.Context, w *workplace, plan *reproduce.Plan, in *inputs, layout, compression string) error {
	buildx, err := findBuildx()
	if err != nil {
		return err
	}
	policy := filepath.Join(w.dir, "source-policy.json")
	if err := os.WriteFile(policy, plan.Policy, 0o600); err != nil {
		return err
	}
	args := append(buildx[1:], "build", "--progress=plain")
	args = append(args, plan.Flags...)
	output := []string{"type=oci", "tar=false", "dest=" + layout}
	if compression != "" {
		output = append(output, compression)
	}
	args = append(args, "--output="+record(output))
	if f.builder != "" {
		args = append(args, "--builder="+f.builder)
	}
	for _, name := range slices.Sorted(maps.Keys(in.folders)) {
		args = append(args, "--build-context="+name+"="+in.folders[name])
	}
	for flag, list := range map[string][]string{"--secret": f.secrets, "--ssh": f.ssh, "--allow": f.allow} {
		for _, value := range list {
			args = append(args, flag+"="+value)
		}
	}
	var stdin io.Reader
	switch {
	case in.dockerfile != "" && plan.Remote != "":
		file, err := os.Open(in.dockerfile)
		if err != nil {
			return err
		}
		defer file.Close()
		stdin, args = file, append(args, "--file=-")
	case in.dockerfile != "":
		args = append(args, "--file="+in.dockerfile)
	case plan.Dockerfile.Name != "Dockerfile":
		args = append(args, "--file="+plan.Dockerfile.Name)
	}
	args = append(args, "--", in.context)
	if err := w.program(ctx, buildEnv(os.Environ(), policy), stdin, buildx[0], args...); err != nil {
		return fmt.Errorf("%w: %w", errBuild, err)
	}
	return nil
}

// buildEnv is the environment without what changes a build behind the back of
// its arguments.
func buildEnv(env []string, policy string) []string {
	without := []string{"SOURCE_DATE_EPOCH", "BUILDX_GIT_LABELS", "BUILDX_NO_DEFAULT_LOAD", "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"}
	out := slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(without, name)
	})
	return append(out, "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY="+policy)
}

// record is one line of comma-separated values, as buildx's flags take it.
func record(fields []string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(fields) // a strings.Builder takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
