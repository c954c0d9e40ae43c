// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/decision"
)

func TestPolicyIsReloaded(t *testing.T) {
	w := newWorld(t)
	bad := w.image("bad", false)
	require.False(t, w.pull("app", bad.Index).Admitted)
	w.policy(static1)
	w.gate.reloader.reload()
	require.True(t, w.pull("app", bad.Index).Admitted)
	w.policy(w.keyless(""))
	w.gate.reloader.reload()
	require.False(t, w.pull("app", bad.Index).Admitted)
}

func TestBrokenPolicyKeepsTheLastGoodOne(t *testing.T) {
	w := newWorld(t)
	good, bad := w.image("good", true), w.image("bad", false)
	for _, breakIt := range []func(){
		func() { w.policy("a: [") },
		func() { require.NoError(t, os.RemoveAll(w.settings.Policy)) },
	} {
		breakIt()
		w.gate.reloader.reload()
		require.True(t, w.pull("app", good.Index).Admitted)
		require.False(t, w.pull("app", bad.Index).Admitted)
		require.NotEmpty(t, w.status().Policy.Error)
		require.NotEmpty(t, w.status().Policy.Digest)
		require.NoError(t, w.gate.reloader.inForce().ready())
	}
	w.start()
	require.Error(t, w.gate.reloader.inForce().ready())
	out := w.pull("app", good.Index)
	require.False(t, out.Admitted)
	require.Equal(t, decision.Undecided, out.Decision.Verdict)

	require.NoError(t, os.Mkdir(w.settings.Policy, 0o700))
	w.policy(w.keyless(""))
	w.gate.reloader.reload()
	require.True(t, w.pull("app", good.Index).Admitted)
}

// Changes are noticed by themselves: a file in place, one by rename, a folder
// behind a link that is turned.
func TestWatch(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	for _, name := range []string{"a", "b"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "p.yaml"), []byte(static1), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b", "p.yaml"), []byte(w.keyless("")), 0o600))
	require.NoError(t, os.Symlink("a", link))
	w.settings.Policy = link
	w.start()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go w.gate.reloader.watch(ctx)
	last := w.gate.reloader.inForce().basis
	for _, c := range []struct {
		what   string
		change func()
	}{
		{"in place", func() {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a", "p.yaml"), []byte(w.keyless("  mode: warn")), 0o600))
		}},
		{"by rename", func() {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), []byte(static1+"# another\n"), 0o600))
			require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(link, "p.yaml")))
		}},
		{"the link", func() {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "b", "p.yaml"), []byte(w.keyless("# b")), 0o600))
			require.NoError(t, os.Symlink("b", filepath.Join(dir, "tmp")))
			require.NoError(t, os.Rename(filepath.Join(dir, "tmp"), link))
		}},
		{"the root", func() { require.NoError(t, os.Remove(w.settings.TrustedRoot)) }},
	} {
		c.change()
		require.Eventually(t, func() bool {
			f := w.gate.reloader.inForce()
			return f.basis != last || c.what == "the root" && f.trustLoaded.Error != ""
		}, 30*time.Second, 10*time.Millisecond, c.what)
		last = w.gate.reloader.inForce().basis
	}
}

// A fingerprint is cheap, and differs for whatever changes what is read.
func TestFingerprint(t *testing.T) {
	w := newWorld(t)
	before := fingerprint(w.settings)
	require.Equal(t, before, fingerprint(w.settings))
	w.policy(static1)
	require.NotEqual(t, before, fingerprint(w.settings))
}
