// SPDX-License-Identifier: Apache-2.0

//go:build integration

package parity

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/harness"
)

// A sample is one case of the corpus: a txtar archive whose files are the
// build context and whose comment has a line `key: value` for each of
//
//	feature   what the case is about (required)
//	args      arguments of `buildx build`, separated by spaces; repeatable
//	context   the context argument; default: the folder with the files
//	stdin     the file that buildx reads from its standard input
//	env       NAME=value in buildx' environment; repeatable
//	fails     the build fails and says this
//	xattr     NAME PATH: an extended attribute that the image has; repeatable
//	layers    why history and number of layers differ, as documented
//	differs   PATH REASON: a documented difference in the file tree; repeatable
//
// A file setup.sh is run in the context's folder and is not part of it.
// ${NAME} stands for a fixture (fixtures_test.go), ${DIR} for the folder.
type sample struct {
	feature string
	args    []string
	context string
	stdin   string
	env     []string
	fails   string
	layers  string
	xattrs  []string
	differs map[string]string
	dir     string
}

func TestCorpus(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), 60)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := load(t, path)
			stock := s.build(t, "stock", nil)
			ours := s.build(t, "plomb", signed())
			if s.fails != "" {
				compareFailures(t, s.fails, stock.Printout, ours.Printout)
				return
			}
			require.NoError(t, stock.Err, stock.All)
			require.NoError(t, ours.Err, ours.All)
			require.ElementsMatch(t, lintWarnings(stock.All), lintWarnings(ours.All), "warnings")
			if s.layers == "" {
				require.NotContains(t, ours.All, "[plomb] OneLayer")
			}
			layout := openLayout(t, ours.file)
			compareIndexes(t, s, openLayout(t, stock.file), layout)
			layout.requireSigned(t)
			onlyOurs(t, stock.All, ours.All)
		})
	}
}

// load reads a case and lays out its files.
func load(t *testing.T, path string) *sample {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	s := &sample{dir: harness.Dir(t), differs: map[string]string{}}
	expand := given.replacer(s.dir)
	archive := txtar.Parse(data)
	for line := range strings.Lines(string(archive.Comment)) {
		require.NoError(t, s.set(expand.Replace(strings.TrimSpace(line))), "%s: %s", path, line)
	}
	require.NotEmpty(t, s.feature, "%s names no feature", path)
	for _, f := range archive.Files {
		harness.Write(t, s.dir, f.Name, expand.Replace(string(f.Data)))
	}
	if s.context == "" {
		s.context = s.dir
	}
	setup := filepath.Join(s.dir, "setup.sh")
	if _, err := os.Stat(setup); err == nil {
		harness.Command{On: shared, Name: "/bin/sh", Args: []string{"-eu", setup}, Dir: s.dir}.Must(t)
		require.NoError(t, os.Remove(setup))
	}
	return s
}

func (s *sample) set(line string) error {
	if line == "" {
		return nil
	}
	key, value, ok := strings.Cut(line, ": ")
	if !ok {
		return fmt.Errorf("no `key: value`: %q", line)
	}
	switch key {
	case "feature":
		s.feature = value
	case "args":
		s.args = append(s.args, strings.Fields(value)...)
	case "context":
		s.context = value
	case "stdin":
		s.stdin = value
	case "env":
		s.env = append(s.env, value)
	case "fails":
		s.fails = value
	case "xattr":
		s.xattrs = append(s.xattrs, value)
	case "layers":
		s.layers = value
	case "differs":
		path, reason, _ := strings.Cut(value, " ")
		s.differs[path] = reason
	default:
		return fmt.Errorf("unknown key %q", key)
	}
	return nil
}

// An outcome is a build and the OCI layout it wrote.
type outcome struct {
	harness.Printout
	file string
}

func (s *sample) build(t *testing.T, name string, extra []string) outcome {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".tar")
	c := harness.Command{On: shared, Dir: s.dir, Env: s.env}
	c.Args = slices.Concat([]string{"build", "--progress=plain", "--provenance=false", "--output", "type=oci,dest=" + file}, s.args, extra, []string{s.context})
	if s.stdin != "" {
		f, err := os.Open(filepath.Join(s.dir, s.stdin))
		require.NoError(t, err)
		defer f.Close()
		c.Stdin = f
	}
	return outcome{Printout: c.Run(t), file: file}
}

// compareIndexes compares two images, platform by platform.
func compareIndexes(t *testing.T, s *sample, stock, ours layout) {
	t.Helper()
	require.Equal(t, stock.Index(t).Annotations, ours.Index(t).Annotations, "annotations of the index")
	theirs, mine := stock.images(t), ours.images(t)
	require.Equal(t, slices.Sorted(maps.Keys(theirs)), slices.Sorted(maps.Keys(mine)), "platforms")
	for platform, want := range theirs {
		compareImages(t, s, platform, want, mine[platform])
	}
}

func compareImages(t *testing.T, s *sample, platform string, stock, ours image) {
	t.Helper()
	require.Equal(t, len(ours.layers), ours.settled()["layers"], "%s: layers of the config", platform)
	theirs, mine := stock.settled(), ours.settled()
	if s.layers != "" {
		require.NotEqual(t, theirs["history"], mine["history"], "%s: the difference is gone: %s", platform, s.layers)
		for _, config := range []map[string]any{theirs, mine} {
			delete(config, "history")
			delete(config, "layers")
		}
	}
	if diff := cmp.Diff(theirs, mine); diff != "" {
		t.Errorf("%s: image config (- stock, + plomb):\n%s", platform, diff)
	}
	require.Equal(t, stock.annotations, ours.annotations, "%s: annotations of the manifest", platform)
	require.Equal(t, stock.descriptor, ours.descriptor, "%s: annotations of the descriptor", platform)
	base := commonLayers(stock, ours)
	want, got := stock.tree(), ours.tree()
	for _, attribute := range s.xattrs {
		name, path, _ := strings.Cut(attribute, " ")
		require.NotEmpty(t, got[path].Xattrs[name], "%s: %s has no %s", platform, path, name)
	}
	for _, path := range slices.Sorted(maps.Keys(union(want, got))) {
		diff := cmp.Diff(want[path], got[path])
		_, expected := s.differs[path]
		switch {
		case diff != "" && !expected:
			t.Errorf("%s: %s (- stock, + plomb):\n%s", platform, path, diff)
		case diff == "" && expected:
			t.Errorf("%s: %s: the difference is gone: %s", platform, path, s.differs[path])
		}
	}
	for _, l := range ours.layers[base:] {
		for _, e := range l.entries {
			require.False(t, e.time.After(ours.created()), "%s: %s has the time %s, after T", platform, e.name, e.time)
		}
	}
}

// isBase finds images that builds start from. They go by the name of whichever
// build asked for them first, and those that are named contexts have the digest
// in it that plomb pins them to.
func isBase(name string) bool {
	return strings.HasPrefix(what(name), "FROM ") || pinnedContext.MatchString(name)
}

var pinnedContext = regexp.MustCompile(`^\[context [^]]+\] (load metadata for )?\S+@sha256:[0-9a-f]{64}$`)

// onlyOurs requires that what plomb does besides has a name that says so.
func onlyOurs(t *testing.T, stock, ours string) {
	t.Helper()
	theirs := map[string]bool{}
	for _, name := range steps(stock) {
		theirs[what(name)] = true
	}
	for _, name := range steps(ours) {
		if !theirs[what(name)] && !isBase(name) && !strings.Contains(name, shared.Frontend) {
			require.Contains(t, name, "plomb] ", "a step without our name")
		}
	}
}

// what is the name of a step without its place in brackets: what two platforms
// share has the name of either.
func what(name string) string {
	if _, rest, ok := strings.Cut(name, "] "); ok && strings.HasPrefix(name, "[") {
		return rest
	}
	return name
}

func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
