// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package evidence tests on real daemons what an image says of itself: SBOM and
// provenance, as plomb, buildx and cosign read them.
package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/tamper"
)

const commandLimit = 3 * time.Minute

// on is the stand of all tests in this package; base is its busybox image.
var (
	on   *stand.Stand
	base string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "plomb-ev-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	on, err = stand.Start(ctx, stand.Options{Dir: filepath.Join(dir, "s"), Log: os.Stderr})
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := on.Remove(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the stand:", err)
		}
	}()
	if base, err = last(hack(ctx, "base", "busybox")); err != nil {
		return fail(err)
	}
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "starting the stand:", err)
	return 1
}

func hack(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join("..", "..", "hack", name), args...)
	cmd.Env, cmd.Stderr = on.Environ(), os.Stderr
	return cmd.Output()
}

func last(out []byte, err error) (string, error) {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], err
}

// dockerfile installs packages without a network: what dpkg would write.
// ${BASE} is the base image.
const dockerfile = `FROM scratch AS plain
COPY os-release status /

FROM ${BASE}
COPY os-release /etc/os-release
COPY status /var/lib/dpkg/status
RUN printf 'Package: %s\nStatus: install ok installed\nVersion: %s\nArchitecture: amd64\nMaintainer: A <a@example.com>\nDescription: one\n\n' \
    hello ${HELLO} >> /var/lib/dpkg/status
`

const status = `Package: base-files
Status: install ok installed
Version: 12.4
Architecture: amd64
Maintainer: Santiago Vila <sanvila@debian.org>
Description: Debian base system miscellaneous files

`

// sources writes a build context whose image has hello in that version.
func sources(t *testing.T, hello string) string {
	t.Helper()
	dir := t.TempDir()
	text := strings.NewReplacer("${BASE}", base, "${HELLO}", hello).Replace(dockerfile)
	for name, text := range map[string]string{
		"Dockerfile": "# syntax=" + on.Frontend + "\n" + text,
		"os-release": "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"status":     status,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

// build builds, signs and pushes name:v1 and returns its reference.
func build(t *testing.T, name, dir string, args ...string) string {
	t.Helper()
	ref := on.Registry + "/ev/" + name + ":v1"
	token, err := last(hack(t.Context(), "token"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
	args = append([]string{
		"build", "--progress=plain", "--output", "type=image,push=true,name=" + ref, "--build-context", "plomb=" + on.Sigstore,
		"--secret", "id=plomb-id-token,src=" + file,
	}, append(args, dir)...)
	out := command(t, nil, filepath.Join(on.Bin, "buildx"), args...)
	require.Zero(t, out.status, out.all())
	return ref
}

// An outcome is what a command said.
type outcome struct {
	status      int
	out, stderr string
}

func (o outcome) all() string { return o.out + o.stderr }

func command(t *testing.T, env []string, name string, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(on.Environ(), env...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	o := outcome{out: out.String(), stderr: log.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		o.status = exit.ExitCode()
		return o
	}
	require.NoError(t, err, "%s %s", name, strings.Join(args, " "))
	return o
}

// plomb runs the command that users run, with the stand's policy and demands an
// exit status.
func plomb(t *testing.T, status int, args ...string) outcome {
	t.Helper()
	o := command(t, nil, filepath.Join(on.Bin, "plomb"), args...)
	require.Equal(t, status, o.status, "plomb %s\n%s", strings.Join(args, " "), o.all())
	return o
}

// index reads the index that ref names.
func index(t *testing.T, ref string) (tamper.Repository, ocispecs.Index) {
	t.Helper()
	repo, tag, err := tamper.Parse(ref)
	require.NoError(t, err)
	data, err := repo.Manifest(t.Context(), tag)
	require.NoError(t, err)
	var idx ocispecs.Index
	require.NoError(t, json.Unmarshal(data, &idx))
	return repo, idx
}

const (
	annotationPredicateType = "in-toto.io/predicate-type"
	predicateSPDX           = "https://spdx.dev/Document"
)

// swap changes the SPDX statement beside the first platform, and everything
// that names it, and pushes the image as tag.
func swap(t *testing.T, ref, tag string, change func(statement []byte) []byte) string {
	t.Helper()
	repo, idx := index(t, ref)
	data, err := repo.Manifest(t.Context(), idx.Manifests[1].Digest.String())
	require.NoError(t, err)
	var m ocispecs.Manifest
	require.NoError(t, json.Unmarshal(data, &m))
	swapped := 0
	for i, l := range m.Layers {
		if l.Annotations[annotationPredicateType] != predicateSPDX {
			continue
		}
		statement, err := repo.Blob(t.Context(), l.Digest)
		require.NoError(t, err)
		statement = change(statement)
		dgst, err := repo.PutBlob(t.Context(), statement)
		require.NoError(t, err)
		m.Layers[i].Digest, m.Layers[i].Size = dgst, int64(len(statement))
		swapped++
	}
	require.Equal(t, 1, swapped)
	data, err = json.Marshal(m)
	require.NoError(t, err)
	_, err = repo.PutManifest(t.Context(), tag+"-attestation", data)
	require.NoError(t, err)
	_, from, err := tamper.Parse(ref)
	require.NoError(t, err)
	require.NoError(t, repo.Index(t.Context(), from, tag, func(idx *ocispecs.Index) error {
		idx.Manifests[1].Digest, idx.Manifests[1].Size = digest.FromBytes(data), int64(len(data))
		return nil
	}))
	return repo.Ref(tag)
}
