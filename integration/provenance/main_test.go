// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package provenance tests what signed images say of their builds, on real
// daemons: that all of it is there, that what is not known is told, and that
// no secret is.
package provenance

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	slsav1 "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
)

const commandLimit = 3 * time.Minute

// on is the stand of all tests in this package; base is its busybox image.
var (
	on   *stand.Stand
	base string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "plomb-pr-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	on, err = stand.Start(ctx, stand.Options{Dir: filepath.Join(dir, "s"), Log: os.Stderr,
		Only: []string{stand.Registry, stand.Sigstore, stand.Buildkitd}})
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := on.Remove(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the stand:", err)
		}
	}()
	if base, err = hack(ctx, "base", "busybox"); err != nil {
		return fail(err)
	}
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "starting the stand:", err)
	return 1
}

// hack runs a command of the project and returns its last line.
func hack(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join("..", "..", "hack", name), args...)
	cmd.Env, cmd.Stderr = on.Environ(), os.Stderr
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], err
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// command runs a program of the stand and returns its standard output, and
// everything that it printed.
func command(t *testing.T, env []string, name string, args ...string) (stdout, all string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(on.Bin, name), args...)
	cmd.Env = append(on.Environ(), env...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	require.NoError(t, err, out.String()+log.String())
	return out.String(), out.String() + log.String()
}

// build builds, signs and pushes an image named name, and returns what buildx
// printed. The last of args is the context.
func build(t *testing.T, name string, env []string, args ...string) (ref, log string) {
	t.Helper()
	token, err := hack(t.Context(), "token")
	require.NoError(t, err)
	ref = on.Registry + "/pr/" + name + ":v1"
	_, log = command(t, append(env, "PLOMB_TEST_TOKEN="+token), "buildx", append([]string{"build", "--progress=plain",
		"--output", "type=image,push=true,name=" + ref, "--build-context", "plomb=" + on.Sigstore,
		"--secret", "id=plomb-id-token,env=PLOMB_TEST_TOKEN"}, args...)...)
	return ref, log
}

// A bundle is the part of a Sigstore bundle that is looked at here.
type bundle struct {
	VerificationMaterial struct {
		Certificate struct {
			RawBytes []byte `json:"rawBytes"`
		} `json:"certificate"`
	} `json:"verificationMaterial"`
	DSSE struct {
		Payload []byte `json:"payload"`
	} `json:"dsseEnvelope"`
}

func bundleOf(t *testing.T, ref string) bundle {
	t.Helper()
	repo, tag, err := tamper.Parse(ref)
	require.NoError(t, err)
	data, err := repo.Manifest(t.Context(), tag)
	require.NoError(t, err)
	var index ocispecs.Index
	require.NoError(t, json.Unmarshal(data, &index))
	data, err = base64.StdEncoding.DecodeString(index.Manifests[0].Annotations[provenance.BundleAnnotation])
	require.NoError(t, err)
	var b bundle
	require.NoError(t, json.Unmarshal(data, &b))
	return b
}

// signed is the statement of an image, which the in-toto library has found to
// be valid, and its predicate.
func signed(t *testing.T, ref string) (string, *slsa.Provenance) {
	t.Helper()
	b := bundleOf(t, ref)
	requireInToto(t, b.DSSE.Payload)
	s, err := provenance.ParseStatement(b.DSSE.Payload)
	require.NoError(t, err)
	var p slsa.Provenance
	decoder := json.NewDecoder(bytes.NewReader(s.Predicate))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&p))
	return string(b.DSSE.Payload), &p
}

func requireInToto(t *testing.T, statement []byte) {
	t.Helper()
	var st intoto.Statement
	require.NoError(t, protojson.Unmarshal(statement, &st))
	require.NoError(t, st.Validate())
	predicate, err := protojson.Marshal(st.Predicate)
	require.NoError(t, err)
	var p slsav1.Provenance
	require.NoError(t, protojson.Unmarshal(predicate, &p))
	require.NoError(t, p.Validate())
}

// A repository is served over HTTP.
type repository struct {
	url  string // with http://
	work string // a work tree
}

// serveGit makes a repository with files. Everybody may read it, whatever they
// say who they are.
func serveGit(t *testing.T, files map[string]string) repository {
	t.Helper()
	root, work := t.TempDir(), t.TempDir()
	for name, text := range files {
		write(t, work, name, text)
	}
	git(t, work, "init", "-q", "-b", "main")
	git(t, work, "add", ".")
	git(t, work, "commit", "-q", "-m", "one")
	git(t, work, "clone", "-q", "--bare", ".", filepath.Join(root, "repo.git"))
	backend, err := exec.Command("git", "--exec-path").Output()
	require.NoError(t, err)
	server := httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(backend)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	})
	t.Cleanup(server.Close)
	return repository{url: server.URL + "/repo.git", work: work}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "safe.bareRepository=all"}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

// serve answers every path with a text that holds it.
func serve(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "file", r.URL.Path) }))
	t.Cleanup(server.Close)
	return server.URL
}
