// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/verifytest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"plomb": main})
}

// TestScripts runs the stories in testdata/script. Each finds a registry at
// $REGISTRY with the images app:signed, app:unsigned, app:stranger,
// app:tampered, those of documented_test.go, and app:foreign and app:single for
// platforms that nobody tests on, a registry with the referrers API at $OTHER
// with app:signed, the folders ./layout and
// ./documented with two of them, the files of artifactFiles, ./root.json, and ./policy for the default
// signer.
func TestScripts(t *testing.T) {
	store, sigstore := verifytest.NewStore(), verifytest.NewSigstore(t)
	registry := store.Serve(t)
	bundle := func(opts verifytest.BundleOptions) func([]provenance.Subject) []byte {
		return func(subjects []provenance.Subject) []byte {
			return sigstore.Bundle(t, verifytest.Statement(t, subjects), opts)
		}
	}
	both := []string{"linux/amd64", "linux/arm64"}
	signed := store.Image(t, verifytest.ImageOptions{Platforms: both, Bundle: bundle(verifytest.BundleOptions{})})
	tampered := store.Image(t, verifytest.ImageOptions{Content: "tampered", Bundle: bundle(verifytest.BundleOptions{})})
	store.Lie(tampered.Manifests[0], []byte(`{}`))
	store.Tag("signed", signed.Index)
	store.Tag("unsigned", store.Image(t, verifytest.ImageOptions{Content: "unsigned"}).Index)
	store.Tag("stranger", store.Image(t, verifytest.ImageOptions{Content: "stranger", Bundle: bundle(verifytest.BundleOptions{Subject: "https://mallory.example/x"})}).Index)
	store.Tag("tampered", tampered.Index)
	documented := storeDocumented(t, store, sigstore)
	for tag, platforms := range map[string][]string{"foreign": {"linux/ppc64le", "linux/s390x"}, "single": {"linux/s390x"}} {
		store.Tag(tag, store.Image(t, verifytest.ImageOptions{Content: tag, Platforms: platforms, Bundle: bundle(verifytest.BundleOptions{})}).Index)
	}
	other := verifytest.NewStore()
	other.WithReferrers()
	other.Tag("signed", other.Image(t, verifytest.ImageOptions{Platforms: both, Bundle: bundle(verifytest.BundleOptions{})}).Index)
	otherRegistry := other.Serve(t)
	root := sigstore.TrustedRoot(t, verifytest.RootOptions{})
	artifacts := artifactFiles(t, sigstore)
	artifacts["root.json"] = root

	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
		Setup: func(env *testscript.Env) error {
			store.Layout(t, filepath.Join(env.WorkDir, "layout"), "v1", signed.Index)
			store.Layout(t, filepath.Join(env.WorkDir, "documented"), "v1", documented)
			env.Setenv("REGISTRY", registry)
			env.Setenv("OTHER", otherRegistry)
			env.Setenv("DIGEST", signed.Index.String())
			env.Setenv("CONFIG", signed.Configs[0].String())
			env.Setenv("ISSUER", verifytest.Issuer)
			env.Setenv("SUBJECT", verifytest.Subject)
			env.Setenv("PLOMB_HOSTS", filepath.Join(env.WorkDir, "hosts"))
			env.Setenv("DOCKER_CONFIG", filepath.Join(env.WorkDir, "docker"))
			env.Setenv("ARTIFACT", digest.FromBytes(artifacts["artifact"]).String())
			for name, data := range artifacts {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o600); err != nil {
					return err
				}
			}
			if err := os.Mkdir(filepath.Join(env.WorkDir, "policy"), 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "policy", "demo.yaml"), fmt.Appendf(nil, `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: demo
spec:
  images:
  - glob: "%s/**"
  authorities:
  - keyless:
      identities:
      - issuer: %s
        subject: %s
`, registry, verifytest.Issuer, verifytest.Subject), 0o600)
		},
	})
}

// artifactFiles are an artifact, bundles over it by a certificate and by a key,
// both as cosign sign-blob makes them, and one with a statement; the key, and
// that of a stranger.
func artifactFiles(t *testing.T, sigstore *verifytest.Sigstore) map[string][]byte {
	t.Helper()
	artifact := []byte("an artifact\n")
	key, stranger := verifytest.NewKey(t, "p256"), verifytest.NewKey(t, "p256")
	subject := provenance.Subject{Name: "artifact", Digest: map[string]string{"sha256": digest.FromBytes(artifact).Encoded()}}
	return map[string][]byte{
		"artifact":                    artifact,
		"artifact.sigstore.json":      sigstore.Bundle(t, artifact, verifytest.BundleOptions{Message: true}),
		"artifact.key.sigstore.json":  sigstore.Bundle(t, artifact, verifytest.BundleOptions{Message: true, Key: key}),
		"artifact.slsa.sigstore.json": sigstore.Bundle(t, verifytest.Statement(t, []provenance.Subject{subject}), verifytest.BundleOptions{}),
		"release.pub":                 verifytest.PublicPEM(t, key),
		"stranger.pub":                verifytest.PublicPEM(t, stranger),
	}
}

// status runs plomb and demands an exit status: `status 64 verify --frob`.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N ARGUMENT...")
	}
	err := ts.Exec("plomb", args[1:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("plomb: %v", err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}
