// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/reproduce"
)

// inputs are what a build is given on this machine.
type inputs struct {
	context    string            // folder or URL
	dockerfile string            // path; "" where the builder fetches it
	folders    map[string]string // of named contexts
}

// errSources reports sources that could not be had.
var errSources = errors.New("cannot get the sources")

// sources finds everything that the plan needs, and checks that it is what was
// built.
func (f *reproduceFlags) sources(ctx context.Context, w *workplace, plan *reproduce.Plan) (*inputs, error) {
	in := &inputs{context: plan.Remote, folders: map[string]string{}}
	given := pairs(f.contexts)
	for _, name := range slices.Sorted(maps.Keys(plan.Folders)) {
		if name == "context" {
			continue
		}
		dir, err := filepath.Abs(given[name])
		if err != nil || given[name] == "" {
			return nil, fmt.Errorf("%w: the build had a local context %q; give its folder with --build-context %s=DIR", errSources, name, name)
		}
		if err := plan.Folders[name].Check(ctx, dir); err != nil {
			return nil, err
		}
		in.folders[name] = dir
	}
	if plan.Remote != "" {
		return in, f.remoteDockerfile(plan, in)
	}
	if f.dir == "" {
		return in, f.checkout(ctx, w, plan, in)
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return nil, err
	}
	in.context, in.dockerfile = dir, filepath.Join(dir, plan.Dockerfile.Name)
	return in, f.checkFolder(ctx, plan, in)
}

// checkFolder compares the main context and the Dockerfile with the recorded
// ones.
func (f *reproduceFlags) checkFolder(ctx context.Context, plan *reproduce.Plan, in *inputs) error {
	if f.file != "" {
		path, err := filepath.Abs(f.file)
		if err != nil {
			return err
		}
		in.dockerfile = path
	}
	if err := plan.CheckDockerfile(in.dockerfile, in.context); err != nil {
		return err
	}
	return plan.Folders["context"].Check(ctx, in.context)
}

// remoteDockerfile is that of a context which the builder fetches.
func (f *reproduceFlags) remoteDockerfile(plan *reproduce.Plan, in *inputs) error {
	if f.dir != "" {
		return fmt.Errorf("%w: the context was %s, which the builder fetches; leave out --context", errSources, plan.Remote)
	}
	if plan.Dockerfile.From != slsa.ContextLocal {
		return nil
	}
	if f.file == "" {
		return fmt.Errorf("%w: the Dockerfile %s came from the client and not from %s; give it with --file", errSources, plan.Dockerfile.Name, plan.Remote)
	}
	path, err := filepath.Abs(f.file)
	if err != nil {
		return err
	}
	in.dockerfile = path
	return plan.CheckDockerfile(path, filepath.Dir(path))
}

var commitID = regexp.MustCompile(`^[0-9a-f]{40}(?:[0-9a-f]{24})?$`)

// checkout gets the sources with git, from where the client said they are.
func (f *reproduceFlags) checkout(ctx context.Context, w *workplace, plan *reproduce.Plan, in *inputs) error {
	s := plan.Source
	if s == nil || s.Repository == "" || s.Revision == "" {
		return fmt.Errorf("%w: the provenance does not tell which repository and commit; check them out yourself and give the folder with --context", errSources)
	}
	if !commitID.MatchString(s.Revision) {
		return fmt.Errorf("%w: %q is not a commit (a checkout with changes is recorded as -dirty); give the folder with --context", errSources, s.Revision)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return fmt.Errorf("%w: git is not installed; check out %s of %s yourself and give the folder with --context", errSources, s.Revision, s.Repository)
	}
	repo := filepath.Join(w.dir, "sources")
	w.say("fetching %s at %s", s.Repository, s.Revision)
	// The commit's own hooks and protocols that run programs stay out.
	env := append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=https:http:ssh:git")
	for _, args := range [][]string{
		{"clone", "--quiet", "--no-checkout", "--", s.Repository, repo},
		{"-C", repo, "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", s.Revision},
	} {
		if err := w.program(ctx, env, nil, git, args...); err != nil {
			return fmt.Errorf("%w: git: %w; check out %s of %s yourself and give the folder with --context", errSources, err, s.Revision, s.Repository)
		}
	}
	dir, file := filepath.Clean(filepath.FromSlash(or(s.Context, "."))), filepath.Join(filepath.FromSlash(or(s.Dockerfile, or(s.Context, "."))), plan.Dockerfile.Name)
	if !filepath.IsLocal(dir) || !filepath.IsLocal(file) {
		return fmt.Errorf("%w: the provenance names folders outside the repository: %q, %q", errSources, s.Context, s.Dockerfile)
	}
	in.context, in.dockerfile = filepath.Join(repo, dir), filepath.Join(repo, file)
	for _, path := range []string{in.context, in.dockerfile} {
		if err := inside(repo, path); err != nil {
			return fmt.Errorf("%w: %w", errSources, err)
		}
	}
	return f.checkModes(ctx, plan, in, repo)
}

// inside refuses a link in the repository that leads out of it: what is there
// would be sent to the builder.
func inside(repo, path string) error {
	root, err := filepath.EvalSymlinks(repo)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, real)
	if err != nil || !filepath.IsLocal(rel) {
		return fmt.Errorf("%s is a link that leads out of the repository", path)
	}
	return nil
}

// checkModes checks the folder as it would be with one umask and another: git
// keeps no more of a mode than whether a file is executable.
func (f *reproduceFlags) checkModes(ctx context.Context, plan *reproduce.Plan, in *inputs, repo string) error {
	var err error
	for _, umask := range []fs.FileMode{0o022, 0o002} {
		if chmodErr := chmod(repo, umask); chmodErr != nil {
			return chmodErr
		}
		if err = f.checkFolder(ctx, plan, in); err == nil {
			return nil
		}
	}
	return err
}

func chmod(root string, umask fs.FileMode) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o666)
		if d.IsDir() || info.Mode()&0o100 != 0 {
			mode = 0o777
		}
		return os.Chmod(path, mode&^umask)
	})
}

func or(a, b string) string {
	if strings.TrimSpace(a) != "" {
		return a
	}
	return b
}
