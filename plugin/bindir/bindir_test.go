// SPDX-License-Identifier: Apache-2.0

package bindir_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/verifytest"
)

const policyDocument = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: demo
spec:
  images:
  - glob: "**"
  authorities:
  - keyless:
      identities:
      - issuer: ` + verifytest.Issuer + `
        subject: ` + verifytest.Subject + `
`

// node is a machine with a policy and a trusted root, and a registry near it.
type node struct {
	env      map[string]string
	store    *verifytest.Store
	sigstore *verifytest.Sigstore
	registry string
	log      string // of the last call
}

func newNode(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	n := &node{store: verifytest.NewStore(), sigstore: verifytest.NewSigstore(t), env: map[string]string{
		"PLOMB_POLICY":       filepath.Join(dir, "policy"),
		"PLOMB_TRUSTED_ROOT": filepath.Join(dir, "trusted_root.json"),
		"PLOMB_HOSTS":        filepath.Join(dir, "hosts"),
		"PLOMB_STATE":        filepath.Join(dir, "state"),
		"PLOMB_NODE_CONFIG":  filepath.Join(dir, "node.yaml"),
	}}
	n.registry = n.store.Serve(t)
	require.NoError(t, os.Mkdir(n.env["PLOMB_POLICY"], 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(n.env["PLOMB_POLICY"], "demo.yaml"), []byte(policyDocument), 0o600))
	require.NoError(t, os.WriteFile(n.env["PLOMB_TRUSTED_ROOT"], n.sigstore.TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	return n
}

func (n *node) image(t *testing.T, opts *verifytest.BundleOptions) digest.Digest {
	t.Helper()
	io := verifytest.ImageOptions{Platforms: []string{platforms.Format(platforms.Normalize(platforms.DefaultSpec()))}}
	if opts != nil {
		io.Bundle = func(subjects []provenance.Subject) []byte {
			return n.sigstore.Bundle(t, verifytest.Statement(t, subjects), *opts)
		}
	}
	return n.store.Image(t, io).Index
}

// call runs the verifier as containerd does.
func (n *node) call(t *testing.T, name string, dgst digest.Digest) (status int, reason string) {
	t.Helper()
	desc, err := json.Marshal(ocispec.Descriptor{MediaType: ocispec.MediaTypeImageIndex, Digest: dgst, Size: 1})
	require.NoError(t, err)
	return n.raw(t, []string{"-name", name, "-digest", dgst.String(), "-stdin-media-type", ocispec.MediaTypeDescriptor}, bytes.NewReader(desc))
}

func (n *node) raw(t *testing.T, args []string, stdin io.Reader) (status int, reason string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = bindir.Main(context.Background(), bindir.Process{
		Args: args, Getenv: func(k string) string { return n.env[k] }, Stdin: stdin, Stdout: &stdout, Stderr: &stderr,
	})
	requireReason(t, stdout.String())
	for line := range strings.Lines(stderr.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
	require.Contains(t, stderr.String(), `"msg":"decision"`, "the debug log has the decision")
	n.log = stderr.String()
	return status, stdout.String()
}

func requireReason(t *testing.T, out string) {
	t.Helper()
	require.Equal(t, 1, strings.Count(out, "\n"), "one line: %q", out)
	require.LessOrEqual(t, len(out), bindir.MaxReason+1)
	require.Greater(t, len(out), 10)
	require.True(t, utf8.ValidString(out))
}

func TestVerdicts(t *testing.T) {
	n := newNode(t)
	name := n.registry + "/app:v1"

	status, reason := n.call(t, name, n.image(t, &verifytest.BundleOptions{}))
	require.Equal(t, 0, status, reason)
	require.Contains(t, reason, "allowed: "+name+"@sha256:")
	require.Contains(t, reason, "signed by "+verifytest.Subject)

	status, reason = n.call(t, name, n.image(t, nil))
	require.Equal(t, 1, status)
	require.Contains(t, reason, "denied: "+name+"@sha256:")
	require.Contains(t, reason, "unsigned: no signature bundle in the image index")
	require.Contains(t, reason, "demo.yaml:1")

	status, reason = n.call(t, name, n.image(t, &verifytest.BundleOptions{Subject: "https://mallory.example/x"}))
	require.Equal(t, 1, status)
	require.Contains(t, reason, "signed by somebody else: https://mallory.example/x, wanted "+verifytest.Subject)
}

func TestRefusesWhatItCannotCheck(t *testing.T) {
	good := newNode(t)
	dgst := good.image(t, &verifytest.BundleOptions{})
	name := good.registry + "/app:v1"
	for _, c := range []struct {
		name   string
		spoil  func(t *testing.T, n *node)
		reason string
	}{
		{"no policy folder", func(t *testing.T, n *node) { n.env["PLOMB_POLICY"] += "x" }, "invalid policy"},
		{"empty policy folder", func(t *testing.T, n *node) {
			require.NoError(t, os.Remove(filepath.Join(n.env["PLOMB_POLICY"], "demo.yaml")))
		}, "no policy"},
		{"broken policy", func(t *testing.T, n *node) {
			require.NoError(t, os.WriteFile(filepath.Join(n.env["PLOMB_POLICY"], "b.yaml"), []byte("a: ["), 0o600))
		}, "invalid policy"},
		{"unsupported policy", func(t *testing.T, n *node) {
			doc := policyDocument + "  policy: {type: cue, configMapRef: {name: x}}\n"
			require.NoError(t, os.WriteFile(filepath.Join(n.env["PLOMB_POLICY"], "demo.yaml"), []byte(doc), 0o600))
		}, "spec.policy.configMapRef"},
		{"no trusted root", func(t *testing.T, n *node) { n.env["PLOMB_TRUSTED_ROOT"] += "x" }, "trusted root"},
		{"bad timeout", func(t *testing.T, n *node) { n.env["PLOMB_TIMEOUT"] = "soon" }, "PLOMB_TIMEOUT"},
		{"no time", func(t *testing.T, n *node) { n.env["PLOMB_TIMEOUT"] = "1ns" }, "undecided"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t)
			n.store, n.registry = good.store, good.registry
			c.spoil(t, n)
			status, reason := n.call(t, name, dgst)
			require.Equal(t, 1, status)
			require.Contains(t, reason, c.reason)
		})
	}
}

func TestAbsentAndHungRegistries(t *testing.T) {
	n := newNode(t)
	status, reason := n.call(t, "127.0.0.1:1/app:v1", digest.FromString("x"))
	require.Equal(t, 1, status)
	require.Contains(t, reason, "undecided: 127.0.0.1:1/app:v1@sha256:")
	require.Contains(t, reason, "registry unreachable")

	n.env["PLOMB_TIMEOUT"] = "300ms"
	dgst := n.image(t, &verifytest.BundleOptions{})
	n.store.Delay(time.Minute)
	start := time.Now()
	status, reason = n.call(t, n.registry+"/app:v1", dgst)
	require.Equal(t, 1, status)
	require.Less(t, time.Since(start), 3*time.Second)
	require.Contains(t, reason, "undecided")
}

func TestNamesThatContainerdReadsOtherwise(t *testing.T) {
	n := newNode(t)
	status, reason := n.call(t, "acme/app:v1", n.image(t, &verifytest.BundleOptions{}))
	require.Equal(t, 1, status)
	require.Contains(t, reason, "does not name its registry")
}

func TestCallsThatContainerdWouldNotMake(t *testing.T) {
	n := newNode(t)
	dgst := n.image(t, &verifytest.BundleOptions{}).String()
	name := n.registry + "/app:v1"
	desc := `{"digest":"` + dgst + `"}`
	full := []string{"-name", name, "-digest", dgst, "-stdin-media-type", ocispec.MediaTypeDescriptor}
	status, reason := n.raw(t, full, strings.NewReader(desc))
	require.Equal(t, 0, status, reason)

	for _, c := range []struct {
		name  string
		args  []string
		stdin io.Reader
	}{
		{"no arguments", nil, strings.NewReader(desc)},
		{"help", []string{"-h"}, strings.NewReader(desc)},
		{"unknown flag", append([]string{"-allow"}, full...), strings.NewReader(desc)},
		{"stray argument", append(full[:6:6], "x"), strings.NewReader(desc)},
		{"no media type", full[:4], strings.NewReader(desc)},
		{"no descriptor", full, strings.NewReader("")},
		{"broken descriptor", full, strings.NewReader("{")},
		{"two digests", full, strings.NewReader(`{"digest":"` + digest.FromString("x").String() + `"}`)},
		{"digest twice", full, strings.NewReader(`{"digest":"x","digest":"` + dgst + `"}`)},
		{"endless descriptor", full, io.MultiReader(strings.NewReader(desc), endless{})},
		{"unreadable descriptor", full, failing{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, reason := n.raw(t, c.args, c.stdin)
			require.Equal(t, 1, status, reason)
			require.Contains(t, reason, "not called as an image verifier")
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken pipe") }

// decide is a gate that enforces what it decides.
type decide func(context.Context, string, ocispec.Descriptor) *decision.Decision

func (f decide) Judge(ctx context.Context, name string, desc ocispec.Descriptor) bindir.Judgement {
	return bindir.Judgement{Decision: f(ctx, name, desc)}
}

func (decide) Admit(_ context.Context, j bindir.Judgement) admission.Outcome {
	return admission.Rules{}.Admit(j.Decision, time.Now())
}

// serve runs the edge around a decider of the test's.
func serve(t *testing.T, timeout time.Duration, gate bindir.Gate, stdin io.Reader) (int, string) {
	t.Helper()
	args := []string{"-name", "reg.example/app:v1", "-digest", "sha256:x", "-stdin-media-type", ocispec.MediaTypeDescriptor}
	status, stdout, _ := bindir.Answer(context.Background(), timeout, gate, args, stdin)
	requireReason(t, string(stdout))
	return status, string(stdout)
}

func TestPanicsRefuse(t *testing.T) {
	status, reason := serve(t, time.Second, decide(func(context.Context, string, ocispec.Descriptor) *decision.Decision {
		panic("index out of range")
	}), strings.NewReader(`{"digest":"sha256:x"}`))
	require.Equal(t, 1, status)
	require.Contains(t, reason, "undecided: reg.example/app:v1")
	require.Contains(t, reason, "the verifier failed: index out of range")
}

func TestNoDecisionRefuses(t *testing.T) {
	status, reason := serve(t, time.Second, decide(func(context.Context, string, ocispec.Descriptor) *decision.Decision { return nil }),
		strings.NewReader(`{"digest":"sha256:x"}`))
	require.Equal(t, 1, status)
	require.Contains(t, reason, "it gave no decision")
}

func TestADeciderThatIgnoresTheDeadlineIsNotWaitedFor(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	start := time.Now()
	status, reason := serve(t, 50*time.Millisecond, decide(func(context.Context, string, ocispec.Descriptor) *decision.Decision {
		<-release
		return &decision.Decision{Verdict: decision.Allow}
	}), strings.NewReader(`{"digest":"sha256:x"}`))
	require.Equal(t, 1, status)
	require.Less(t, time.Since(start), 2*time.Second)
	require.Contains(t, reason, "undecided: reg.example/app:v1@sha256:x: context deadline exceeded after 50ms")

	r, w := io.Pipe()
	defer w.Close()
	status, _ = serve(t, 50*time.Millisecond, decide(nil), r)
	require.Equal(t, 1, status, "nor is standard input")
}

func TestOnlyAllowAllows(t *testing.T) {
	for _, v := range []decision.Verdict{"", "Allow", "allow ", decision.Deny, decision.Undecided} {
		status, _ := serve(t, time.Second, decide(func(context.Context, string, ocispec.Descriptor) *decision.Decision {
			return &decision.Decision{Verdict: v, Reason: "because", Image: decision.Image{Name: "a"}}
		}), strings.NewReader(`{"digest":"sha256:x"}`))
		require.Equal(t, 1, status, "%q", v)
	}
}

func TestReasonsAreShortAndHarmless(t *testing.T) {
	d := &decision.Decision{
		Verdict: decision.Deny,
		Image:   decision.Image{Name: "reg.example/app:v1", Digest: digest.FromString("x")},
		Reason:  "line\nbreak \x1b[31mred\u202e " + strings.Repeat("é", 400),
	}
	r := bindir.Reason(admission.Outcome{Decision: d, By: admission.ByDecision})
	requireReason(t, r+"\n")
	require.NotContains(t, r, "\x1b")
	require.NotContains(t, r, "\u202e")
	require.Contains(t, r, "line; break")
	require.Contains(t, r, "@"+d.Image.Digest.String()[:19]+"…: ")
}
