// SPDX-License-Identifier: Apache-2.0

//go:build integration

package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
)

// commandLimit bounds one command; the slowest installs Debian packages.
const commandLimit = 5 * time.Minute

// A build is one `buildx build` and what it takes.
type build struct {
	on         *stand.Stand // whose buildkitd; default: shared
	dockerfile string       // without the syntax line; ${BUSYBOX} is the base image
	files      map[string]string
	output     string // default: an image pushed as repo
	repo, tag  string // default: a name made of the test's, latest
	token      string // file with the identity token; "" for none
	settings   string // folder of the named context plomb; default: the local Sigstore's, with a token
	args       []string
}

// An outcome is what a build printed and, where it pushed an image, its reference.
type outcome struct {
	ref string
	log string
	err error
}

// run writes the context and runs buildx.
func (b build) run(t testing.TB) outcome {
	t.Helper()
	if b.on == nil {
		b.on = shared
	}
	if b.repo == "" {
		b.repo = repoName(t)
	}
	if b.tag == "" {
		b.tag = "latest"
	}
	ref := shared.Registry + "/" + b.repo + ":" + b.tag
	if b.output == "" {
		b.output = "type=image,push=true"
	}
	if strings.HasPrefix(b.output, "type=image") {
		b.output += ",name=" + ref
	}
	dir := b.context(t)
	args := append([]string{"build", "--progress=plain", "--output", b.output}, b.args...)
	if b.token != "" {
		args = append(args, "--secret", "id=plomb-id-token,src="+b.token)
		if b.settings == "" {
			b.settings = shared.Sigstore
		}
	}
	if b.settings != "" {
		args = append(args, "--build-context", "plomb="+b.settings)
	}
	log, err := in(t, b.on, "buildx", append(args, dir)...)
	return outcome{ref: ref, log: log, err: err}
}

// must is run for builds that have to work.
func (b build) must(t testing.TB) outcome {
	t.Helper()
	o := b.run(t)
	require.NoError(t, o.err, o.log)
	return o
}

func (b build) context(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	dockerfile := strings.ReplaceAll(b.dockerfile, "${BUSYBOX}", busybox(t))
	files := map[string]string{"Dockerfile": "# syntax=" + shared.Frontend + "\n" + dockerfile}
	for name, content := range b.files {
		files[name] = content
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return dir
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

func repoName(t testing.TB) string {
	return "it/" + strings.Trim(notInName.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
}

// in runs a program with the stand's environment and returns all it printed.
func in(t testing.TB, s *stand.Stand, name string, args ...string) (string, error) {
	t.Helper()
	out, _, err := split(t, s, name, args...)
	return out, err
}

// split is in with standard output on its own.
func split(t testing.TB, s *stand.Stand, name string, args ...string) (all, stdout string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	if !strings.Contains(name, "/") {
		name = filepath.Join(s.Bin, name)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = s.Environ()
	var both, out bytes.Buffer
	var mu sync.Mutex
	cmd.Stdout = locked{&mu, []*bytes.Buffer{&both, &out}}
	cmd.Stderr = locked{&mu, []*bytes.Buffer{&both}}
	err = cmd.Run()
	return both.String(), out.String(), err
}

type locked struct {
	mu  *sync.Mutex
	out []*bytes.Buffer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.out {
		b.Write(p)
	}
	return len(p), nil
}

// hack runs a developer's command and returns the last line it printed.
func hack(t testing.TB, name string, args ...string) string {
	t.Helper()
	all, out, err := split(t, shared, filepath.Join("..", "hack", name), args...)
	require.NoError(t, err, all)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return lines[len(lines)-1]
}

var busyboxOnce = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("../hack/base", "busybox")
	cmd.Env = shared.Environ()
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], err
})

// busybox is the base image of most tests.
func busybox(t testing.TB) string {
	t.Helper()
	ref, err := busyboxOnce()
	require.NoError(t, err, "hack/base busybox")
	return ref
}

// token writes a fresh identity token to a file and returns the file's name.
func token(t testing.TB, flags ...string) string {
	t.Helper()
	// Not t.TempDir: it takes the test's name, which may have commas, and they
	// end a field of buildx's --secret.
	dir, err := os.MkdirTemp("", "plomb-token-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(path, []byte(hack(t, "token", flags...)), 0o600))
	return path
}
