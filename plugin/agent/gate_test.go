// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
	"github.com/plombproject/plomb/verify/verifytest"
)

func TestAsksOnce(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	for range 3 {
		require.True(t, w.pull("app", good.Index).Admitted)
		out := w.pull("app", bad.Index)
		require.False(t, out.Admitted)
		require.Equal(t, "unsigned", out.Decision.Code)
	}
	require.Equal(t, 2, w.verifications())
	require.Len(t, w.log(), 6, "a receipt each")

	// Another name is another question: policies go by it.
	require.True(t, w.pull("other", good.Index).Admitted)
	require.Equal(t, 3, w.verifications())

	// An agent that starts again remembers what it allowed.
	w.start()
	asked := len(w.images.Requests())
	require.True(t, w.pull("app", good.Index).Admitted)
	require.Len(t, w.images.Requests(), asked)
}

// What could not be checked is asked again at once.
func TestUndecidedIsNotRemembered(t *testing.T) {
	w := newWorld(t)
	good := w.image("good", true)
	w.images.Fail(good.Index, 500)
	out := w.pull("app", good.Index)
	require.Equal(t, decision.Undecided, out.Decision.Verdict)
	require.False(t, out.Admitted)
	w.images.Fail(good.Index, 0)
	require.True(t, w.pull("app", good.Index).Admitted)
}

func TestDenyIsShort(t *testing.T) {
	w := newWorld(t)
	bad := w.image("bad", false)
	require.False(t, w.pull("app", bad.Index).Admitted)
	w.clock = time.Now().Add(time.Minute)
	require.False(t, w.pull("app", bad.Index).Admitted)
	require.Equal(t, 2, w.verifications())
}

// A clock that was put back has nothing remembered.
func TestClockPutBack(t *testing.T) {
	w := newWorld(t)
	good := w.image("good", true)
	require.True(t, w.pull("app", good.Index).Admitted)
	w.clock = time.Now().Add(-time.Hour)
	w.pull("app", good.Index)
	require.Equal(t, 2, w.verifications())
}

// Where the policy says so, an outage is passed over for what was allowed before;
// for seconds, and not for what was denied since.
func TestVerifiedBefore(t *testing.T) {
	w := newWorld(t)
	w.policy(strings.NewReplacer("policy.sigstore.dev/v1beta1", "plombproject.github.io/v1", "ClusterImagePolicy", "ImagePolicy").
		Replace(w.keyless("  undecided: allow-if-verified-before")))
	w.gate.reloader.reload()
	good, other := w.image("good", true), w.image("other", true)
	require.True(t, w.pull("app", good.Index).Admitted)

	w.images.Fail(good.Index, 500)
	w.images.Fail(other.Index, 500)
	w.clock = time.Now().Add(25 * time.Hour)
	out := w.pull("app", good.Index)
	require.True(t, out.Admitted, out.Line())
	require.Contains(t, out.Line(), "verified before")
	require.False(t, w.pull("app", other.Index).Admitted)
	require.False(t, w.pull("elsewhere", good.Index).Admitted)

	w.clock = w.clock.Add(time.Minute)
	require.True(t, w.pull("app", good.Index).Admitted)
	require.Equal(t, 5, w.verifications(), "it is asked again soon")
}

// Without a receipt nothing is admitted, unless the node does not enforce.
func TestNoReceipt(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	require.NoError(t, os.WriteFile(w.settings.Receipts(), nil, 0o600))
	out := w.pull("app", good.Index)
	require.False(t, out.Admitted)
	require.Contains(t, out.Line(), "receipts cannot be written")
	require.Positive(t, count(w.metrics.receiptErrors))
	for _, mode := range []admission.Mode{admission.Audit, admission.Warn} {
		w.mode(mode)
		require.True(t, w.pull("app", bad.Index).Admitted)
	}
	w.mode(admission.Enforce)
	require.NoError(t, os.Remove(w.settings.Receipts()))
	require.True(t, w.pull("app", good.Index).Admitted)
}

func TestModeAndBreakGlass(t *testing.T) {
	w := newWorld(t)
	bad := w.image("bad", false)
	require.False(t, w.pull("app", bad.Index).Admitted)
	w.mode(admission.Audit)
	out := w.pull("app", bad.Index)
	require.True(t, out.Admitted)
	require.Equal(t, admission.ByMode, out.By)
	require.Equal(t, decision.Deny, out.Decision.Verdict)
	w.mode(admission.Enforce)
	require.NoError(t, admission.WriteBreakGlass(w.settings.BreakGlass(), admission.BreakGlass{
		Reason: "registry is down", Since: time.Now().Add(-time.Minute), Until: time.Now().Add(time.Hour),
	}))
	require.Equal(t, admission.ByBreakGlass, w.pull("app", bad.Index).By)
	require.NoError(t, os.Remove(w.settings.BreakGlass()))
	require.False(t, w.pull("app", bad.Index).Admitted)
}

// One caller who gives up does not take the answer from the others.
func TestACallerGivesUp(t *testing.T) {
	w := newWorld(t)
	good := w.image("good", true)
	w.images.Delay(100 * time.Millisecond)
	impatient, cancel := context.WithCancel(t.Context())
	var first, second admission.Outcome
	var all sync.WaitGroup
	all.Go(func() { first = w.gate.Ask(impatient, w.question(receipt.Pull, "app", good.Index)) })
	require.Eventually(t, func() bool { return count(w.metrics.running) == 1 }, 5*time.Second, time.Millisecond)
	all.Go(func() { second = w.pull("app", good.Index) })
	cancel()
	all.Wait()
	require.False(t, first.Admitted)
	require.True(t, second.Admitted, second.Line())
	require.Equal(t, 1, w.verifications())
}

func TestManyCallersOneVerification(t *testing.T) {
	w := newWorld(t)
	good := w.image("good", true)
	w.images.Delay(5 * time.Millisecond)
	var all sync.WaitGroup
	outs := make([]admission.Outcome, 100)
	for i := range outs {
		all.Go(func() { outs[i] = w.pull("app", good.Index) })
	}
	all.Wait()
	for _, out := range outs {
		require.True(t, out.Admitted, out.Line())
	}
	require.Equal(t, 1, w.verifications())
	require.Len(t, w.log(), 100)
}

// A policy that admits by name admits what its registry has, and nothing that
// somebody gave the name to.
func TestNamesProveNothing(t *testing.T) {
	w := newWorld(t)
	w.policy(static1)
	w.gate.reloader.reload()
	absent, served := digest.FromString("imported"), w.image("served", false)
	for _, point := range []receipt.Point{receipt.Create, receipt.Import, receipt.Check} {
		out := w.gate.Ask(t.Context(), w.question(point, "infra", absent))
		require.False(t, out.Admitted)
		require.Contains(t, out.Line(), "the name alone proves nothing")
	}
	w.images.Lie(absent, []byte("something else"))
	require.False(t, w.gate.Ask(t.Context(), w.question(receipt.Create, "infra", absent)).Admitted)
	require.True(t, w.gate.Ask(t.Context(), w.question(receipt.Create, "infra", served.Index)).Admitted)
	require.True(t, w.pull("infra", absent).Admitted, "containerd has the digest from there")
}

// What is on the node is believed if it is signed, without a request.
func TestStored(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	elsewhere := verifytest.NewStore() // a registry that has none of it
	host := elsewhere.Serve(t)
	ask := func(dgst digest.Digest) admission.Outcome {
		stored := w.gate.judgeBy(w.gate.reloader.inForce()).Registry(t.Context(), w.name("app"))
		return w.gate.Ask(t.Context(), Question{Point: receipt.Create, Name: host + "/app:v1", Descriptor: ocispec.Descriptor{Digest: dgst}, Stored: stored})
	}
	require.True(t, ask(good.Index).Admitted)
	require.Empty(t, elsewhere.Requests())
	require.False(t, ask(bad.Index).Admitted)
}

// plomb-verifier's call, as the relay hands it on.
func TestCall(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	call := func(dgst digest.Digest) (int, string) {
		args := []string{"-name", w.name("app"), "-digest", dgst.String(), "-stdin-media-type", ocispec.MediaTypeDescriptor}
		status, out := pulls{w.gate}.answer(t.Context(), args, []byte(`{"digest":"`+dgst.String()+`"}`))
		return status, string(bytes.TrimSpace(out))
	}
	status, reason := call(good.Index)
	require.Zero(t, status, reason)
	status, reason = call(bad.Index)
	require.Equal(t, 1, status)
	require.Contains(t, reason, "unsigned")
	require.LessOrEqual(t, len(reason), bindir.MaxReason)
	status, out := pulls{w.gate}.answer(t.Context(), []string{"--help"}, nil)
	require.Equal(t, 1, status)
	require.Contains(t, string(out), "not called as an image verifier")
}

// A verdict on disk that somebody exchanged admits nothing.
func TestExchangedVerdict(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	require.True(t, w.pull("app", good.Index).Admitted)
	files, err := filepath.Glob(filepath.Join(w.settings.Verdicts(), "*.verdict"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	data, err := os.ReadFile(files[0])
	require.NoError(t, err)
	other := bytes.ReplaceAll(data, []byte(good.Index), []byte(bad.Index))
	require.NoError(t, os.WriteFile(files[0], other, 0o600))
	require.False(t, w.pull("app", bad.Index).Admitted)
	w.start()
	require.False(t, w.pull("app", bad.Index).Admitted)
}
