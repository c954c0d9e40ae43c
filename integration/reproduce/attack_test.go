// SPDX-License-Identifier: Apache-2.0

//go:build integration

package reproduce

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/integration/dissect"
	"github.com/plombproject/plomb/integration/harness"
)

// fakeBuildx is a PATH whose first buildx tells that it was called.
func fakeBuildx(t *testing.T) (env []string, called string) {
	dir := t.TempDir()
	called = filepath.Join(dir, "called")
	harness.Write(t, dir, "buildx", "#!/bin/sh\ntouch "+called+"\nexit 1\n")
	require.NoError(t, os.Chmod(filepath.Join(dir, "buildx"), 0o755))
	return []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, called
}

// Nothing of an image that does not verify is believed, let alone built.
func TestUnverifiedImagesAreNotBuilt(t *testing.T) {
	dir := sources(t, "FROM ${BASE}\nRUN echo a > /a\n", nil)
	ref := signed(t, dir)
	repo, tag := dissect.Registry(t, ref)
	require.NoError(t, repo.Preload(t.Context(), tag, "tampered"))
	require.NoError(t, repo.Index(t.Context(), tag, "stripped", func(index *ocispecs.Index) error {
		index.Manifests = index.Manifests[:1]
		index.Manifests[0].Annotations = nil
		return nil
	}))
	env, called := fakeBuildx(t)
	again(t, env, "--context", dir, repo.Ref("tampered")).undecided(t, "no verified provenance")
	again(t, env, "--context", dir, repo.Ref("stripped")).undecided(t, "no verified provenance", "unsigned")
	again(t, env, "--context", dir, "--certificate-identity", "https://mallory.example", "--certificate-oidc-issuer", "https://token.actions.githubusercontent.com", ref).
		undecided(t, "no verified provenance")
	// A policy that admits without evidence vouches for nothing.
	policy := filepath.Join(t.TempDir(), "pass.yaml")
	require.NoError(t, os.WriteFile(policy, []byte("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata:\n  name: pass\nspec:\n  images:\n  - glob: \"**\"\n  authorities:\n  - static:\n      action: pass\n"), 0o600))
	again(t, env, "--context", dir, "--policy", policy, repo.Ref("stripped")).undecided(t, "no verified provenance")
	require.NoFileExists(t, called)

	// Said dangerously, the signature is not asked for; the provenance must
	// still be about this image.
	o := again(t, nil, "--context", dir, "--insecure-skip-verify", "--certificate-identity", "nobody", "--certificate-oidc-issuer", "none", ref)
	require.Equal(t, 0, o.status, o.log)
	require.False(t, o.report.Verified)
	require.Contains(t, o.log, "WARNING: the provenance is not verified")
	again(t, env, "--context", dir, "--insecure-skip-verify", repo.Ref("tampered")).undecided(t, "signed for another image")
	require.NoFileExists(t, called)
}

// gitServer serves a repository of files over HTTP, the remote of its work
// tree, and returns its URL without the scheme.
func gitServer(t *testing.T, files map[string]string) (host string, repo harness.Repository) {
	t.Helper()
	repo = harness.ServeGit(t, files)
	harness.Git(t, repo.Work, "remote", "add", "origin", repo.URL)
	return strings.TrimPrefix(repo.URL, "http://"), repo
}

func inRepo(t *testing.T) map[string]string {
	return map[string]string{
		"app/Dockerfile": "# syntax=" + on.Frontend + "\nFROM " + base + "\nCOPY . /src\nRUN ls -l /src\n",
		"app/file":       "one\n", "app/.dockerignore": ".git\n", "README": "x",
	}
}

// The branch has moved on; the commit that was built is built again. Once the
// builder fetches the context, once it is a checkout of the client's.
func TestGit(t *testing.T) {
	host, repo := gitServer(t, inRepo(t))
	work := repo.Work
	commit := harness.Git(t, work, "rev-parse", "HEAD")
	remote := signed(t, "http://"+host+"#main:app")
	p, _ := statement(t, remote)
	require.Equal(t, commit, p.BuildDefinition.ExternalParameters.Context.Digest["gitCommit"])

	// As with another umask: git keeps no more than who may execute.
	require.NoError(t, os.Chmod(filepath.Join(work, "app"), 0o775))
	for _, name := range []string{"app/Dockerfile", "app/file", "app/.dockerignore"} {
		require.NoError(t, os.Chmod(filepath.Join(work, name), 0o664))
	}
	var local string
	t.Run("checkout", func(t *testing.T) {
		local = signed(t, filepath.Join(work, "app"))
		p, _ := statement(t, local)
		require.Equal(t, commit, p.BuildDefinition.ExternalParameters.Source.Revision)
	})
	harness.Write(t, work, "app/file", "two\n")
	harness.Git(t, work, "commit", "-q", "-a", "-m", "two")
	harness.Git(t, work, "push", "-q", repo.Bare, "main")

	again(t, nil, remote).identical(t)
	again(t, nil, local).identical(t)
	again(t, nil, "--context", filepath.Join(work, "app"), remote).undecided(t, "leave out --context")
	again(t, nil, "--context", filepath.Join(work, "app"), local).undecided(t, `"file"`)
}

// Secrets do not get into what is signed, wherever they come in.
func TestSecretsAreNeverInTheProvenance(t *testing.T) {
	const secret = "s3cr3t-Passw0rd"
	host, repo := gitServer(t, inRepo(t))
	dir := sources(t, "FROM ${BASE}\nARG NPM_TOKEN\nCOPY --from=other README /\nRUN --mount=type=secret,id=npm_token true\n", nil)
	file := harness.Secret(t, secret)
	for name, build := range map[string]func(t *testing.T) string{
		"arguments and named contexts": func(t *testing.T) string {
			return signed(t, dir, "--secret", "id=npm_token,src="+file,
				"--build-arg", "NPM_TOKEN="+secret, "--build-arg", "HTTP_PROXY=http://u:"+secret+"@"+host, "--build-arg", "no_proxy="+strings.Split(host, ":")[0],
				"--build-arg", "INDEX=https://u:"+secret+"@pypi.example/simple", "--label", "index=https://u:"+secret+"@pypi.example",
				"--build-context", fmt.Sprintf("other=http://user:%s@%s#main", secret, host))
		},
		"the context": func(t *testing.T) string {
			return signed(t, fmt.Sprintf("http://user:%s@%s#main:app", secret, host))
		},
		"the remote of the checkout": func(t *testing.T) string {
			harness.Git(t, repo.Work, "remote", "set-url", "origin", fmt.Sprintf("http://user:%s@%s", secret, host))
			return signed(t, filepath.Join(repo.Work, "app"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, raw := statement(t, build(t))
			require.NotContains(t, raw, secret)
			require.NotContains(t, raw, "u:")
			if name == "arguments and named contexts" {
				require.Equal(t, []string{"args.HTTP_PROXY", "args.INDEX", "args.NPM_TOKEN", "args.no_proxy", "contexts.other", "labels.index"}, p.BuildDefinition.ExternalParameters.Masked)
				require.Equal(t, []string{"npm_token"}, p.BuildDefinition.ExternalParameters.Secrets)
			}
		})
	}
}
