// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/plugin/nri"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
	"github.com/plombproject/plomb/verify/verifytest"
)

func container(name string, digests ...digest.Digest) nri.Container {
	return nri.Container{Subject: "default/web/app", Name: name, Digests: digests}
}

// A container is created if a verdict admits one of its digests, whatever the
// image is called on the node; from memory, and with a receipt.
func TestKnown(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	require.True(t, w.pull("app", good.Index).Admitted)
	require.False(t, w.pull("app", bad.Index).Admitted)
	asked := len(w.images.Requests())

	for _, dgst := range []digest.Digest{good.Index, good.Manifests[0], good.Configs[0]} {
		out, known := w.containers.Known(t.Context(), container("evil.example/x:v1", dgst))
		require.True(t, known)
		require.True(t, out.Admitted, out.Line())
	}
	out, known := w.containers.Known(t.Context(), container(w.name("app"), bad.Index))
	require.True(t, known, "the deny is remembered")
	require.False(t, out.Admitted)
	out, known = w.containers.Known(t.Context(), container("other.example/x:v1", bad.Index))
	require.False(t, known, "under this name nobody has looked")
	require.False(t, out.Admitted)
	out, known = w.containers.Known(t.Context(), container(w.name("app"), digest.FromString("imported")))
	require.False(t, known)
	require.Contains(t, out.Line(), "verification has been started")
	require.Len(t, w.images.Requests(), asked)
	require.Len(t, w.log(), 8)
	require.Contains(t, w.log()[7], `"subject":"default/web/app"`)
}

// Without a verdict, what admits everything admits it.
func TestKnownWithoutVerdict(t *testing.T) {
	w := newWorld(t)
	image, config := digest.FromString("image"), digest.FromString("config")
	require.NoError(t, admission.WriteSnapshot(w.settings.Snapshot(), admission.Snapshot{
		TakenAt: time.Now(), Images: []admission.Pinned{{Name: "pause", Digests: []digest.Digest{digest.FromString("pinned")}}},
	}))
	out, known := w.containers.Known(t.Context(), container("a", digest.FromString("pinned")))
	require.True(t, known && out.Admitted)
	require.Equal(t, admission.BySnapshot, out.By)
	for mode, admitted := range map[admission.Mode]bool{admission.Enforce: false, admission.Audit: true, admission.Warn: true} {
		w.mode(mode)
		out, known := w.containers.Known(t.Context(), container("a", image, config))
		require.Equal(t, admitted, out.Admitted, mode)
		require.Equal(t, admitted, known, mode)
	}
	w.mode(admission.Enforce)
	out, known = w.containers.Known(t.Context(), container(""))
	require.False(t, out.Admitted || known)
}

// What is verified in the background is asked of the registry of the image's
// name, since there is no containerd here; the next create finds the verdict.
func TestBackground(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go w.containers.run(ctx)
	of := container(w.name("app"), good.Index)
	w.containers.Verify(of)
	w.containers.Verify(of)
	require.Eventually(t, func() bool {
		out, known := w.containers.Known(ctx, of)
		return known && out.Admitted
	}, 30*time.Second, 20*time.Millisecond)

	denied := container(w.name("app"), bad.Index)
	require.Eventually(t, func() bool {
		out, known := w.containers.Known(ctx, denied)
		return known && !out.Admitted && out.Decision.Code == "unsigned"
	}, 30*time.Second, 20*time.Millisecond)

	// Why there is no verdict is told for a while.
	absent := container(w.name("app"), digest.FromString("absent"))
	require.Eventually(t, func() bool {
		out, known := w.containers.Known(ctx, absent)
		return known && strings.Contains(out.Line(), "not found")
	}, 30*time.Second, 20*time.Millisecond)
}

func TestFound(t *testing.T) {
	w := newWorld(t)
	good := w.image("good", true)
	require.True(t, w.pull("app", good.Index).Admitted)
	stranger := digest.FromString("imported")
	w.containers.Found([]nri.Container{container(w.name("app"), good.Index), container(w.name("stranger"), stranger)})
	s := w.status()
	require.Len(t, s.Running, 1)
	require.Equal(t, stranger, s.Running[0].Digest)
	require.Equal(t, decision.Undecided, s.Running[0].Verdict)
	require.Equal(t, 1, count(w.metrics.unverified))
	require.Len(t, w.log(), 3)
	require.Contains(t, w.log()[2], `"point":"running"`)

	require.Len(t, w.containers.drop(map[string]bool{"default/web/app": true}), 2)
	require.Len(t, w.status().Running, 1)
	require.Empty(t, w.containers.drop(map[string]bool{"default/web/other": true}), "they ended")
	require.Empty(t, w.status().Running)
}

// What a node that does not enforce lets start counts as well, once for each
// container: it is what an administrator has to mend before the node enforces.
func TestCreatedIsWatched(t *testing.T) {
	w := newWorld(t)
	bad := container(w.name("bad"), w.image("bad", false).Index)
	w.pull("bad", bad.Digests[0])
	w.containers.Known(t.Context(), bad)
	require.Empty(t, w.status().Running, "it was refused")
	w.mode(admission.Audit)
	good := container(w.name("app"), w.image("good", true).Index)
	w.pull("app", good.Digests[0])
	for range 2 {
		w.containers.Known(t.Context(), bad)
		w.containers.Known(t.Context(), good)
	}
	s := w.status()
	require.Len(t, s.Running, 1)
	require.Equal(t, bad.Digests[0], s.Running[0].Digest)
	require.Equal(t, decision.Deny, s.Running[0].Verdict)
	require.Contains(t, s.Running[0].Reason, "unsigned")
	w.refresh()
	require.Equal(t, 1, count(w.metrics.unverified))
	require.Empty(t, w.containers.drop(nil), "they ended")
	require.Empty(t, w.status().Running)
}

// The queue is bounded, and what is in it is not put there twice.
func TestQueueIsBounded(t *testing.T) {
	w := newWorld(t)
	for i := range 2 * maxBackground {
		w.containers.Verify(container(fmt.Sprint("a", i/2), digest.FromString("x")))
	}
	require.Len(t, w.containers.queue, maxBackground)
	w.containers.Verify(container("nothing"))
	require.Len(t, w.containers.queue, maxBackground)
}

// The images of a proof of enforcement are judged by its key and nothing else,
// for as long as it runs, and are no part of the memory on disk.
func TestCanary(t *testing.T) {
	w := newWorld(t)
	w.policy(static1)
	w.gate.reloader.reload()
	key := verifytest.NewKey(t, "p256")
	prefix := w.registry + canary.Folder
	name := prefix + "app:v1"
	good, bad := w.image("good", true), w.image("bad", false)
	ask := func(dgst digest.Digest) admission.Outcome {
		q := w.question(receipt.Pull, "", dgst)
		q.Name = name
		return w.gate.Ask(t.Context(), q)
	}
	require.True(t, ask(bad.Index).Admitted, "the policy admits everything")
	require.NoError(t, canary.Write(w.settings.Canary(), canary.Canary{
		Prefix: prefix, Key: string(verifytest.PublicPEM(t, key)), Since: time.Now().Add(-time.Second), Until: time.Now().Add(time.Minute),
	}))
	require.False(t, ask(bad.Index).Admitted, "what was remembered does not count")
	require.False(t, ask(good.Index).Admitted, "signed by somebody else")
	require.True(t, w.pull("app", bad.Index).Admitted, "other names are as before")
	_, known := w.containers.Known(t.Context(), container(name, bad.Index))
	require.True(t, known)
	w.mode(admission.Audit)
	out, _ := w.containers.Known(t.Context(), container(name, bad.Index))
	require.True(t, out.Admitted)
	require.Empty(t, w.status().Running, "a self-test is nothing that runs without a verdict")
	w.mode(admission.Enforce)
	require.Equal(t, 2+2, w.gate.verdicts.Len())
	w.start()
	require.Equal(t, 2, w.gate.verdicts.Len())
}
