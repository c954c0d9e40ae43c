// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
	"github.com/plombproject/plomb/verify/verifytest"
)

// world is a node with an agent that serves no socket, and a registry.
type world struct {
	*agent
	t        testing.TB
	sigstore *verifytest.Sigstore
	images   *verifytest.Store
	registry string
	clock    time.Time
	settings settings.Settings
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, sigstore: verifytest.NewSigstore(t), images: verifytest.NewStore()}
	w.registry = w.images.Serve(t)
	env := map[string]string{
		"PLOMB_POLICY": filepath.Join(dir, "policy"), "PLOMB_TRUSTED_ROOT": filepath.Join(dir, "trusted_root.json"),
		"PLOMB_HOSTS": filepath.Join(dir, "hosts"), "PLOMB_STATE": filepath.Join(dir, "state"), "PLOMB_NOTATION": filepath.Join(dir, "notation"),
		"PLOMB_SOCKET": filepath.Join(dir, "run", "agent.sock"), "PLOMB_NODE_CONFIG": filepath.Join(dir, "node.yaml"),
		"PLOMB_TRUST": filepath.Join(dir, "trust"), "CONTAINERD_ADDRESS": filepath.Join(dir, "containerd.sock"),
	}
	require.NoError(t, os.Mkdir(env["PLOMB_POLICY"], 0o700))
	s, err := settings.Read(func(name string) string { return env[name] })
	require.NoError(t, err)
	w.settings = s
	w.policy(w.keyless(""))
	require.NoError(t, os.WriteFile(s.TrustedRoot, w.sigstore.TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	w.start()
	return w
}

// start is a fresh agent with what the one before it left on disk.
func (w *world) start() {
	w.t.Helper()
	a, err := compose(w.settings, Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	require.NoError(w.t, err)
	w.t.Cleanup(a.close)
	w.agent = a
	now := func() time.Time { return time.Now().Add(w.ahead()) }
	a.gate.now, a.gate.recorder.Now, a.gate.reloader.now = now, now, now
}

// ahead is how far the clock was put forward.
func (w *world) ahead() time.Duration {
	if w.clock.IsZero() {
		return 0
	}
	return time.Until(w.clock)
}

func (w *world) policy(text string) {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(filepath.Join(w.settings.Policy, "p.yaml"), []byte(text), 0o600))
}

// keyless is a policy that wants the usual signer; more lines go into spec.
func (w *world) keyless(more string) string {
	return `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: keyless}
spec:
  images: [{glob: "**"}]
` + more + `
  authorities:
  - name: release
    keyless:
      identities:
      - issuer: ` + verifytest.Issuer + `
        subject: ` + verifytest.Subject + "\n"
}

// static is a policy that looks at the name alone.
const static1 = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: static}
spec:
  images: [{glob: "**"}]
  authorities: [{name: pass, static: {action: pass}}]
`

// image puts one into the registry.
func (w *world) image(content string, signed bool) verifytest.Image {
	w.t.Helper()
	opts := verifytest.ImageOptions{Content: content, Platforms: []string{platforms.Format(platforms.Normalize(platforms.DefaultSpec()))}}
	if signed {
		opts.Bundle = func(subjects []provenance.Subject) []byte {
			return w.sigstore.Bundle(w.t, verifytest.Statement(w.t, subjects), verifytest.BundleOptions{})
		}
	}
	return w.images.Image(w.t, opts)
}

func (w *world) name(repo string) string { return w.registry + "/" + repo + ":v1" }

func (w *world) question(point receipt.Point, repo string, dgst digest.Digest) Question {
	return Question{Point: point, Name: w.name(repo), Descriptor: ocispec.Descriptor{Digest: dgst}}
}

func (w *world) pull(repo string, dgst digest.Digest) admission.Outcome {
	w.t.Helper()
	return w.gate.Ask(w.t.Context(), w.question(receipt.Pull, repo, dgst))
}

func (w *world) mode(m admission.Mode) {
	w.t.Helper()
	require.NoError(w.t, admission.WriteMode(w.settings.Mode(), admission.State{Mode: m}))
}

// verifications is how many were run.
func (w *world) verifications() int {
	n := 0.0
	for _, v := range []decision.Verdict{decision.Allow, decision.Deny, decision.Undecided} {
		n += testutil.ToFloat64(w.metrics.verifications.WithLabelValues(string(v)))
	}
	return int(n)
}

func count(c prometheus.Collector) int { return int(testutil.ToFloat64(c)) }

// receipts are the lines of the log.
func (w *world) log() []string {
	w.t.Helper()
	var lines []string
	files, err := filepath.Glob(filepath.Join(w.settings.Receipts(), "*.jsonl"))
	require.NoError(w.t, err)
	for _, f := range files {
		data, err := os.ReadFile(f)
		require.NoError(w.t, err)
		lines = append(lines, strings.Split(strings.TrimSpace(string(data)), "\n")...)
	}
	return lines
}

// The whole agent starts, answers, and ends with its sockets.
func TestRun(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.WriteFile(w.settings.Config, []byte("apiVersion: "+settings.Version+"\n"), 0o600))
	w.settings.Node.Metrics, w.settings.Node.NRI.Socket = "off", filepath.Join(t.TempDir(), "nri.sock")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, w.settings, Options{Version: "test", Log: slog.New(slog.DiscardHandler)})
	}()
	require.Eventually(t, func() bool {
		_, err := os.Stat(w.settings.Control())
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	require.NoFileExists(t, w.settings.Socket)
	require.NoFileExists(t, w.settings.Control())
}

func TestBuildTellsProgramsApart(t *testing.T) {
	require.Regexp(t, `^v1 sha256:[0-9a-f]{64}$`, build("v1"))
}

func TestFaults(t *testing.T) {
	f := newFaults(slog.New(slog.DiscardHandler))
	require.Empty(t, f.list())
	f.set("b", fmt.Errorf("two\nlines"))
	f.set("a", fmt.Errorf("one"))
	require.Equal(t, []string{"one", "two; lines"}, f.list())
	f.set("a", nil)
	require.Equal(t, []string{"two; lines"}, f.list())
}
