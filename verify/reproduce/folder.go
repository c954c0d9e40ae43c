// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/contents"
	"github.com/plombproject/plomb/provenance/slsa"
)

const (
	maxShown      = 10      // paths in a message
	maxDockerfile = 4 << 20 // bytes; BuildKit's own bound is the size of a message
)

// ErrContext reports a folder that is not the one that was built from.
var ErrContext = errors.New("not the build context of the image")

// A Folder is a local context as the provenance has it.
type Folder struct {
	// Used is false for a context of which the build read nothing.
	Used     bool
	Recorded []Recorded
}

// Recorded is one reading of a folder. A build may read it more than once,
// with other filters.
type Recorded struct {
	Filter  slsa.Filter
	Summary contents.Summary
}

// folder finds the readings of the local context name.
func folder(dependencies []slsa.ResourceDescriptor, name string) (Folder, error) {
	var f Folder
	for _, d := range dependencies {
		if d.URI != "local://"+name {
			continue
		}
		f.Used = true
		var r Recorded
		if err := errors.Join(annotation(d, slsa.AnnotationContents, &r.Summary), annotation(d, slsa.AnnotationFilter, &r.Filter)); err != nil {
			return f, err
		}
		r.Summary.Digest = d.Digest[contents.Algorithm]
		if r.Summary.Digest == "" {
			return f, fmt.Errorf("%w: the digest of local context %q is not recorded", ErrProvenance, name)
		}
		f.Recorded = append(f.Recorded, r)
	}
	return f, nil
}

// annotation reads an object that was parsed as any.
func annotation(d slsa.ResourceDescriptor, name string, to any) error {
	value, ok := d.Annotations[name]
	if !ok {
		return nil
	}
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, to)
	}
	if err != nil {
		return fmt.Errorf("%w: annotation %s of %s: %w", ErrProvenance, name, d.URI, err)
	}
	return nil
}

// Check demands that a builder which reads dir gets what the build got.
func (f Folder) Check(ctx context.Context, dir string) error {
	for _, r := range f.Recorded {
		if err := r.check(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

func (r Recorded) check(ctx context.Context, dir string) error {
	filtered, err := open(dir, r.Filter)
	if err != nil {
		return fmt.Errorf("build context %s: %w", dir, err)
	}
	entries, err := contents.Of(ctx, filtered)
	if err != nil {
		return fmt.Errorf("read build context %s: %w", dir, err)
	}
	got, err := contents.Sum(entries)
	if err != nil {
		return fmt.Errorf("read build context %s: %w", dir, err)
	}
	if got.Digest == r.Summary.Digest {
		return nil
	}
	return fmt.Errorf("%w: %s: %s; check out the sources as they were built", ErrContext, dir, r.difference(entries, got))
}

// difference says as much as the summary can tell.
func (r Recorded) difference(entries []contents.Entry, got *contents.Summary) string {
	said := fmt.Sprintf("it has %d entries with %d bytes, the image was built from %d with %d", got.Entries, got.Bytes, r.Summary.Entries, r.Summary.Bytes)
	paths, missing := contents.Unlike(entries, r.Summary, maxShown)
	if len(paths) > 0 {
		quoted := make([]string, len(paths))
		for i, p := range paths {
			quoted[i] = fmt.Sprintf("%q", p)
		}
		said += "; changed or new here, in content or mode: " + strings.Join(quoted, ", ")
	}
	if missing > 0 {
		said += fmt.Sprintf("; %d of the recorded entries are not here as they were", missing)
	}
	return said
}

// filtered is what a BuildKit client would send of a folder.
type filtered struct {
	fsutil.FS
	root string
}

var _ contents.Folder = filtered{}

func open(dir string, f slsa.Filter) (filtered, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return filtered{}, err
	}
	all, err := fsutil.NewFS(root)
	if err != nil {
		return filtered{}, err
	}
	some, err := fsutil.NewFilterFS(all, &fsutil.FilterOpt{IncludePatterns: f.Include, ExcludePatterns: f.Exclude, FollowPaths: f.Follow})
	return filtered{FS: some, root: root}, err
}

func (f filtered) Walk(ctx context.Context, target string, fn fs.WalkDirFunc) error {
	return f.FS.Walk(ctx, target, fn)
}

func (f filtered) Open(path string) (io.ReadCloser, error) { return f.FS.Open(path) }

// Readlink implements contents.Folder.
func (f filtered) Readlink(path string) (string, error) {
	return os.Readlink(filepath.Join(f.root, path))
}

// CheckDockerfile demands that the file at path is the Dockerfile of the
// build, and that the ignore file, which a builder looks for beside it and in
// dir, leaves out what it left out then.
func (p *Plan) CheckDockerfile(path, dir string) error {
	data, err := limit.ReadFile(path, maxDockerfile)
	if err != nil {
		return fmt.Errorf("%w: Dockerfile: %w; name it with --file", ErrContext, err)
	}
	if got := hexSum(data); got != p.Dockerfile.SHA256 {
		return fmt.Errorf("%w: %s has SHA-256 %s, the Dockerfile of the image had %s; name the right one with --file", ErrContext, path, got, p.Dockerfile.SHA256)
	}
	f := p.Folders[mainContext]
	if len(f.Recorded) == 0 {
		return nil
	}
	ignored, from, err := ignorePatterns(path, dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrContext, err)
	}
	for _, r := range f.Recorded {
		if !slices.Equal(ignored, r.Filter.Exclude) {
			return fmt.Errorf("%w: %s leaves out %q, the build left out %q", ErrContext, from, ignored, r.Filter.Exclude)
		}
	}
	return nil
}

// ignorePatterns reads the ignore file as BuildKit does: the one of this
// Dockerfile, or else that of the context.
func ignorePatterns(dockerfile, dir string) ([]string, string, error) {
	for _, path := range []string{dockerfile + ".dockerignore", filepath.Join(dir, ".dockerignore")} {
		data, err := limit.ReadFile(path, maxDockerfile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, path, err
		}
		patterns, err := ignorefile.ReadAll(bytes.NewReader(data))
		return patterns, path, err
	}
	return nil, "the missing .dockerignore", nil
}
