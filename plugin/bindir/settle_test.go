// SPDX-License-Identifier: Apache-2.0

package bindir_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/bindir"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
	"github.com/plombproject/plomb/verify/verifytest"
)

func (n *node) settings(t *testing.T) settings.Settings {
	t.Helper()
	s, err := settings.Read(func(k string) string { return n.env[k] })
	require.NoError(t, err)
	return s
}

// mode sets the node's.
func (n *node) mode(t *testing.T, m admission.Mode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(n.env["PLOMB_STATE"], 0o700))
	require.NoError(t, admission.WriteMode(n.settings(t).Mode(), admission.State{Mode: m}))
}

// receipts are all that the node has.
func (n *node) receipts(t *testing.T) (all []receipt.Receipt) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(n.settings(t).Receipts(), "*.jsonl"))
	require.NoError(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range bytes.Lines(data) {
			var r receipt.Receipt
			require.NoError(t, json.Unmarshal(line, &r))
			all = append(all, r)
		}
	}
	return all
}

func TestReceiptsOfEveryAnswer(t *testing.T) {
	n := newNode(t)
	name := n.registry + "/app:v1"
	good, evil := n.image(t, &verifytest.BundleOptions{}), n.image(t, nil)
	n.call(t, name, good)
	n.call(t, name, evil)
	n.raw(t, []string{"-name", name}, strings.NewReader("")) // no call
	n.env["PLOMB_TIMEOUT"] = "soon"
	n.call(t, name, good)
	n.env["PLOMB_TIMEOUT"] = "8s"
	n.mode(t, admission.Warn)
	n.call(t, name, evil)

	all := n.receipts(t)
	require.Len(t, all, 5)
	for i, want := range []receipt.Receipt{
		{Verdict: decision.Allow, Admitted: true, By: "decision", Mode: "enforce", Digest: good},
		{Verdict: decision.Deny, By: "decision", Mode: "enforce", Digest: evil},
		{Verdict: decision.Undecided, By: "decision", Mode: "enforce"},
		{Verdict: decision.Undecided, By: "decision", Mode: "enforce", Digest: good},
		{Verdict: decision.Deny, Admitted: true, By: "mode", Mode: "warn", Digest: evil},
	} {
		got := all[i]
		require.Equal(t, want, receipt.Receipt{Verdict: got.Verdict, Admitted: got.Admitted, By: got.By, Mode: got.Mode, Digest: got.Digest}, "%+v", got)
		require.Equal(t, receipt.Pull, got.Point)
		require.Equal(t, name, got.Name)
		require.NotEmpty(t, got.Node)
		require.Contains(t, got.Verifier, "plomb-verifier ")
		require.NotEmpty(t, got.Reason)
	}
}

// TestModes: what is refused in one mode is admitted in the others, and says
// that it would not be.
func TestModes(t *testing.T) {
	n := newNode(t)
	name, evil := n.registry+"/app:v1", n.image(t, nil)
	for mode, status := range map[admission.Mode]int{admission.Enforce: 1, admission.Warn: 0, admission.Audit: 0} {
		n.mode(t, mode)
		got, reason := n.call(t, name, evil)
		require.Equal(t, status, got, "%s: %s", mode, reason)
		require.Contains(t, reason, "denied: "+name)
		require.Equal(t, mode == admission.Warn, strings.Contains(n.log, `"WARN"`), n.log)
	}
	n.mode(t, admission.Audit)
	require.NoError(t, os.Remove(filepath.Join(n.env["PLOMB_POLICY"], "demo.yaml")))
	status, reason := n.call(t, name, evil)
	require.Equal(t, 0, status, reason)
	status, reason = n.raw(t, nil, strings.NewReader(""))
	require.Equal(t, 0, status, "a call of a containerd to come: %s", reason)
}

func TestBreakGlassAdmitsAndSaysWhy(t *testing.T) {
	n := newNode(t)
	now := time.Now()
	require.NoError(t, admission.WriteBreakGlass(n.settings(t).BreakGlass(), admission.BreakGlass{
		Reason: "registry \x1b[2Kis down", Since: now.Add(-time.Minute), Until: now.Add(time.Hour),
	}))
	status, reason := n.call(t, n.registry+"/app:v1", n.image(t, nil))
	require.Equal(t, 0, status, reason)
	require.Contains(t, reason, "the glass is broken (registry ?[2Kis down, until ")
	require.Contains(t, n.receipts(t)[0].Note, "is down")
}

// TestSnapshotsAreOfWhatRuns: an index that nobody knows is admitted for its
// one manifest, and not for one beside another.
func TestSnapshotsAreOfWhatRuns(t *testing.T) {
	pinned, evil := digest.FromString("pinned"), digest.FromString("evil")
	d := &decision.Decision{Manifests: []decision.Manifest{{Digest: pinned, Config: pinned}}}
	require.Contains(t, bindir.Digests(d), pinned)
	d.Manifests = append(d.Manifests, decision.Manifest{Digest: evil, Config: evil})
	require.Empty(t, bindir.Digests(d))

	n := newNode(t)
	img := n.image(t, nil)
	require.NoError(t, os.MkdirAll(n.env["PLOMB_STATE"], 0o700))
	require.NoError(t, admission.WriteSnapshot(n.settings(t).Snapshot(), admission.Snapshot{
		TakenAt: time.Now(), Images: []admission.Pinned{{Name: "old", Digests: []digest.Digest{img}}},
	}))
	status, reason := n.call(t, n.registry+"/app:v1", img)
	require.Equal(t, 0, status, reason)
	require.Contains(t, reason, "admitted by the node's snapshot")
}

// TestNoReceiptNoAdmission: the folder cannot be made, or the disk is full. An
// administrator in audit mode, or who broke the glass, is not locked out.
func TestNoReceiptNoAdmission(t *testing.T) {
	n := newNode(t)
	name, good := n.registry+"/app:v1", n.image(t, &verifytest.BundleOptions{})
	require.NoError(t, os.MkdirAll(n.env["PLOMB_STATE"], 0o700))
	require.NoError(t, os.WriteFile(n.settings(t).Receipts(), nil, 0o600)) // no folder can be there
	status, reason := n.call(t, name, good)
	require.Equal(t, 1, status, reason)
	require.Contains(t, reason, "undecided: "+name)
	require.Contains(t, reason, "receipts cannot be written")
	require.Contains(t, n.log, "the node is at fault")

	for _, mode := range []admission.Mode{admission.Audit, admission.Warn} {
		n.mode(t, mode)
		status, reason = n.call(t, name, good)
		require.Equal(t, 0, status, reason)
		require.Contains(t, n.log, "the node is at fault")
	}
	n.mode(t, admission.Enforce)
	require.NoError(t, admission.WriteBreakGlass(n.settings(t).BreakGlass(), admission.BreakGlass{
		Reason: "disk", Since: time.Now().Add(-time.Minute), Until: time.Now().Add(time.Hour),
	}))
	for what, image := range map[string]digest.Digest{"unsigned": n.image(t, nil), "allowed": good} {
		status, reason = n.call(t, name, image)
		require.Equal(t, 0, status, what, reason)
		require.Contains(t, reason, "the glass is broken (disk", what)
		require.Contains(t, n.log, "the node is at fault", what)
	}
}

// stuck is a log on a disk that does not answer.
type stuck struct{ release chan struct{} }

func (s stuck) Append(context.Context, ...*receipt.Receipt) (digest.Digest, error) {
	<-s.release
	return "", nil
}

func TestADiskThatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	log := stuck{make(chan struct{})}
	defer close(log.release)
	r := bindir.Recorder{Log: func() (bindir.Log, error) { return log, nil }, Now: time.Now}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	allowed := &decision.Decision{Verdict: decision.Allow, Reason: "signed"}
	out := r.Settle(ctx, receipt.Create, bindir.Judgement{Decision: allowed}, "pod")
	require.False(t, out.Admitted)
	require.Equal(t, bindir.CodeReceipts, out.Decision.Code)
	require.Equal(t, decision.Undecided, out.Decision.Verdict)
	require.ErrorIs(t, out.Faults[0], receipt.ErrLog)
	require.Equal(t, decision.Allow, allowed.Verdict, "the decision is somebody else's too")
}

// gate is one with a settlement of the test's.
type gate struct {
	decide
	admit func() admission.Outcome
}

func (g gate) Admit(context.Context, bindir.Judgement) admission.Outcome { return g.admit() }

// TestGatesThatFailRefuse: with nobody to say what the rules of the node are,
// they are the strictest.
func TestGatesThatFailRefuse(t *testing.T) {
	allow := decide(func(_ context.Context, name string, desc ocispec.Descriptor) *decision.Decision {
		return &decision.Decision{Verdict: decision.Allow, Image: decision.Image{Name: name, Digest: desc.Digest}}
	})
	release := make(chan struct{})
	defer close(release)
	for want, admit := range map[string]func() admission.Outcome{
		"the verifier failed: no": func() admission.Outcome { panic("no") },
		"it gave no outcome":      func() admission.Outcome { return admission.Outcome{Admitted: true} },
		"was not settled in time": func() admission.Outcome { <-release; return admission.Outcome{Admitted: true} },
	} {
		status, reason := serve(t, time.Millisecond, gate{allow, admit}, strings.NewReader(`{"digest":"sha256:x"}`))
		require.Equal(t, 1, status, reason)
		require.Contains(t, reason, want)
	}
}

// TestTheAgentTookTheTime: what is left for the program itself is less, and
// nothing in the end.
func TestTheAgentTookTheTime(t *testing.T) {
	n := newNode(t)
	n.env["PLOMB_TIMEOUT"] = "2s"
	dgst := n.image(t, &verifytest.BundleOptions{})
	desc := `{"digest":"` + dgst.String() + `"}`
	for spent, want := range map[time.Duration]string{
		0:               "allowed: ",
		2 * time.Second: "the agent did not answer within 2s: it is asleep",
		time.Hour:       "the agent did not answer within 2s: it is asleep",
	} {
		var stdout, stderr bytes.Buffer
		bindir.Main(context.Background(), bindir.Process{
			Args:   []string{"-name", n.registry + "/app:v1", "-digest", dgst.String(), "-stdin-media-type", ocispec.MediaTypeDescriptor},
			Getenv: func(k string) string { return n.env[k] }, Stdin: strings.NewReader(desc), Stdout: &stdout, Stderr: &stderr,
			Spent: spent, Agent: "it is asleep",
		})
		require.Contains(t, stdout.String(), want)
		require.Contains(t, stderr.String(), "verifying without the agent")
	}
}
