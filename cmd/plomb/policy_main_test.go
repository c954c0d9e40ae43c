// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// run runs a command of plomb policy.
func run(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = Main(context.Background(), append([]string{"policy"}, args...), Stdio{
		In: strings.NewReader(""), Out: &stdout, Err: &stderr, Getenv: func(string) string { return "" },
	})
	return status, stdout.String(), stderr.String()
}

// The library of policies does what it says.
func TestLibraryOfPolicies(t *testing.T) {
	const library = "../../docs/policies"
	status, out, errs := run(t, "test", library)
	require.Zero(t, status, out+errs)
	require.Contains(t, out, " 0 failed")

	policies, err := filepath.Glob(library + "/*/policy.yaml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(policies), 15)
	for _, file := range policies {
		status, out, errs := run(t, "check", file)
		require.Zero(t, status, file+out+errs)
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(data, []byte("# ")), "%s does not begin by saying what it is for", file)
		for _, verdict := range []string{"allow", "deny"} {
			cases, err := filepath.Glob(filepath.Dir(file) + "/cases/*/expected.yaml")
			require.NoError(t, err)
			found := false
			for _, c := range cases {
				data, err := os.ReadFile(c)
				require.NoError(t, err)
				found = found || strings.Contains(string(data), "verdict: "+verdict)
			}
			// A policy that only warns refuses nothing.
			require.True(t, found || strings.Contains(file, "warn-rollout"), "%s has no case with verdict %s", file, verdict)
		}
	}
}

func TestPolicyTestReportsDifferences(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "suite/policy.yaml", static("pass"))
	write(t, dir, "suite/cases/good/input.yaml", "image: registry.example/app:v1\nnow: 2026-01-01T00:00:00Z\n")
	write(t, dir, "suite/cases/good/expected.yaml", "verdict: allow\n")
	write(t, dir, "suite/cases/bad/input.yaml", "image: registry.example/app:v1\nnow: 2026-01-01T00:00:00Z\n")
	write(t, dir, "suite/cases/bad/expected.yaml", "verdict: deny\ncode: identity\n")
	write(t, dir, "suite/cases/broken/input.yaml", "image: registry.example/app:v1\nnow: 2026-01-01T00:00:00Z\nclaim: []\n")
	write(t, dir, "suite/cases/broken/expected.yaml", "verdict: allow\n")

	status, out, _ := run(t, "test", dir)
	require.Equal(t, exitDeny, status)
	require.Regexp(t, `(?m)^FAIL  .*suite/bad$`, out)
	require.Contains(t, out, "verdict is allow")
	require.Regexp(t, `(?m)^FAIL  .*suite/broken$`, out)
	require.Contains(t, out, "input.yaml:3: unknown field claim")
	require.Regexp(t, `(?m)^ok    .*suite/good$`, out)
	require.Contains(t, out, "1 ok, 2 failed")

	status, out, _ = run(t, "test", "--run", "good$", dir)
	require.Zero(t, status)
	require.Contains(t, out, "1 ok, 0 failed")

	status, out, _ = run(t, "test", "--output", "json", dir)
	require.Equal(t, exitDeny, status)
	var report testReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, 2, report.Failed)

	// A test that tests nothing is no success.
	status, _, errs := run(t, "test", "--run", "no-such-case", dir)
	require.Equal(t, exitUsage, status, errs)
	for _, args := range [][]string{{"test"}, {"test", "--run", "(", dir}, {"test", t.TempDir()}, {"test", dir + "/none"}} {
		status, _, _ := run(t, args...)
		require.Equal(t, exitUsage, status, args)
	}
}

func TestPolicyCheck(t *testing.T) {
	dir := t.TempDir()
	good := write(t, dir, "good.yaml", static("fail"))
	risky := write(t, dir, "risky.yaml", static("pass"))
	bad := write(t, dir, "bad.yaml", static("pas"))

	status, out, _ := run(t, "check", "--strict", good)
	require.Zero(t, status)
	require.Equal(t, "sound: 1 policy, 0 warnings\n", out)

	status, out, _ = run(t, "check", risky)
	require.Zero(t, status)
	require.Contains(t, out, "warning: "+risky+":9: every image passes")
	status, _, _ = run(t, "check", "--strict", risky)
	require.Equal(t, exitDeny, status)

	status, out, _ = run(t, "check", bad)
	require.Equal(t, exitDeny, status)
	require.Contains(t, out, bad+":10")
	require.Contains(t, out, "1 fault: every image would be refused")
	status, out, _ = run(t, "check", "--output", "json", bad)
	require.Equal(t, exitDeny, status)
	var report checkReport
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Len(t, report.Faults, 1)

	for _, args := range [][]string{{"check"}, {"check", dir + "/none"}, {"check", "--output", "xml", good}} {
		status, _, _ := run(t, args...)
		require.Equal(t, exitUsage, status, args)
	}
}

func TestPolicyImport(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "policy.json", `{"default":[{"type":"reject"}],"transports":{"docker":{"docker.io/library":[{"type":"insecureAcceptAnything"}]}}}`)
	status, out, errs := run(t, "import", "--from", "containers-policy", file)
	require.Zero(t, status, errs)
	require.Contains(t, out, "glob: docker.io/library/**")

	status, out, _ = run(t, "import", "--from", "containers-policy", "-o", dir, file)
	require.Zero(t, status)
	imported := strings.TrimSpace(out)
	status, _, _ = run(t, "check", imported)
	require.Zero(t, status)
	// What is there may have been edited.
	status, _, errs = run(t, "import", "--from", "containers-policy", "-o", dir, file)
	require.Equal(t, exitUndecided, status)
	require.Contains(t, errs, "is there already")

	gpg := write(t, dir, "gpg.json", `{"default":[{"type":"signedBy","keyPath":"/k"}]}`)
	status, out, errs = run(t, "import", "--from", "containers-policy", gpg)
	require.Equal(t, exitDeny, status)
	require.Empty(t, out)
	require.Contains(t, errs, "default[0]: signedBy")

	for _, args := range [][]string{{"import", file}, {"import", "--from", "x", file}, {"import", "--from", "talos"}, {"import", "--from", "talos", "--ignore-transport", "oci", file}} {
		status, _, _ := run(t, args...)
		require.Equal(t, exitUsage, status, args)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func static(action string) string {
	return `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: everything-` + action + `
spec:
  images:
  - glob: "**"
  authorities:
  - static:
      action: ` + action + "\n"
}

// What the command prints is what is published.
func TestPolicySchema(t *testing.T) {
	const published = "../../docs/schema"
	files, err := os.ReadDir(published)
	require.NoError(t, err)
	require.Len(t, files, len(schemaFiles))
	for kind, file := range schemaFiles {
		want, err := os.ReadFile(filepath.Join(published, file))
		require.NoError(t, err)
		status, out, _ := run(t, "schema", kind)
		require.Zero(t, status)
		require.Equal(t, string(want), out, "cp docs/schema/*.json cmd/plomb/policy_schema/")
	}
	status, out, _ := run(t, "schema")
	require.Zero(t, status)
	require.Contains(t, out, "ImagePolicy")
	for _, args := range [][]string{{"schema", "Other"}, {"schema", "TrustRoot", "ImagePolicy"}} {
		status, _, _ := run(t, args...)
		require.Equal(t, exitUsage, status, args)
	}
}

// The index of the library has every policy.
func TestLibraryHasAnIndex(t *testing.T) {
	index, err := os.ReadFile("../../docs/policies/README.md")
	require.NoError(t, err)
	policies, err := filepath.Glob("../../docs/policies/*/policy.yaml")
	require.NoError(t, err)
	for _, file := range policies {
		name := filepath.Base(filepath.Dir(file))
		require.Contains(t, string(index), "| ["+name+"]("+name+"/policy.yaml) |")
	}
}
