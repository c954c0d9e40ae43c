// SPDX-License-Identifier: Apache-2.0

//go:build integration

// Package reproduce tests plomb reproduce on real daemons: signed images are
// built again, from folders and from Git, and attackers try what they can.
package reproduce

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/stand"
	"github.com/plombproject/plomb/integration/tamper"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify/reproduce"
)

const commandLimit = 3 * time.Minute

// on is the stand of all tests in this package; base is its busybox image.
var (
	on   *stand.Stand
	base string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("/tmp", "plomb-re-")
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

// sources writes a build context. ${BASE} in a Dockerfile is the base image.
func sources(t *testing.T, dockerfile string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "Dockerfile", "# syntax="+on.Frontend+"\n"+strings.ReplaceAll(dockerfile, "${BASE}", base))
	for name, text := range files {
		write(t, dir, name, text)
	}
	return dir
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// signed builds, signs and pushes an image, and returns its reference.
func signed(t *testing.T, context string, args ...string) string {
	t.Helper()
	ref := on.Registry + "/re/" + strings.Trim(notInName.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-") + ":v1"
	token, err := last(hack(t.Context(), "token"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
	output := "type=image,push=true,name=" + ref
	for i, a := range args {
		if more, ok := strings.CutPrefix(a, "output:"); ok {
			output += "," + more
			args = append(args[:i:i], args[i+1:]...)
			break
		}
	}
	args = append([]string{"build", "--progress=plain", "--output", output, "--build-context", "plomb=" + on.Sigstore}, args...)
	// The test's name may hold commas, which end a field of --secret.
	out, _, err := command(t, nil, filepath.Join(on.Bin, "buildx"), append(args, "--secret", "id=plomb-id-token,src="+linked(t, file), context)...)
	require.NoError(t, err, out)
	return ref
}

func linked(t *testing.T, file string) string {
	dir, err := os.MkdirTemp("", "plomb-token-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Symlink(file, filepath.Join(dir, "token")))
	return filepath.Join(dir, "token")
}

func command(t *testing.T, env []string, name string, args ...string) (all, stdout string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(on.Environ(), env...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	return out.String() + log.String(), out.String(), err
}

// An outcome is what plomb reproduce said.
type outcome struct {
	status int
	report reproduce.Report
	log    string
}

// again runs plomb reproduce.
func again(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	all, out, err := command(t, env, filepath.Join(on.Bin, "plomb"), append([]string{"reproduce", "--output", "json"}, args...)...)
	o := outcome{log: all}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		o.status = exit.ExitCode()
	} else {
		require.NoError(t, err, all)
	}
	require.NoError(t, json.Unmarshal([]byte(out), &o.report), all)
	require.Equal(t, reproduce.Schema, o.report.Schema)
	return o
}

func (o outcome) identical(t *testing.T) {
	t.Helper()
	require.Equal(t, reproduce.Identical, o.report.Verdict, o.log)
	require.Equal(t, 0, o.status)
	require.True(t, o.report.SameManifest, o.log)
	require.True(t, o.report.Verified)
}

// undecided demands that nothing was built.
func (o outcome) undecided(t *testing.T, says ...string) {
	t.Helper()
	require.Equal(t, reproduce.Undecided, o.report.Verdict, o.log)
	require.Equal(t, 2, o.status)
	for _, s := range says {
		require.Contains(t, o.report.Reason, s)
	}
	require.NotContains(t, o.log, "building it again")
}

// statement is the signed one of an image, and its raw bytes.
func statement(t *testing.T, ref string) (*slsa.Provenance, string) {
	t.Helper()
	repo, tag, err := tamper.Parse(ref)
	require.NoError(t, err)
	data, err := repo.Manifest(t.Context(), tag)
	require.NoError(t, err)
	var index ocispecs.Index
	require.NoError(t, json.Unmarshal(data, &index))
	bundle, err := base64.StdEncoding.DecodeString(index.Manifests[0].Annotations[provenance.BundleAnnotation])
	require.NoError(t, err)
	var b struct {
		DSSE struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	require.NoError(t, json.Unmarshal(bundle, &b))
	s, err := provenance.ParseStatement(b.DSSE.Payload)
	require.NoError(t, err)
	var p slsa.Provenance
	require.NoError(t, json.Unmarshal(s.Predicate, &p))
	return &p, string(b.DSSE.Payload)
}
