// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/plugin/judge"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

// instances is a machine with trust instances and no file of its own.
func instances(t *testing.T) settings.Settings {
	t.Helper()
	dir := t.TempDir()
	return settings.Settings{Trust: filepath.Join(dir, "trust"), Notation: filepath.Join(dir, "notation")}
}

// fromMirror installs a root as plomb trust update does.
func fromMirror(t *testing.T, s settings.Settings, name string, root []byte, updated, expires time.Time) {
	t.Helper()
	store := trust.Store{Dir: s.Trust}
	unlock, err := store.Lock(name)
	require.NoError(t, err)
	defer unlock()
	require.NoError(t, store.Commit(name, root, &trust.State{
		Source:  trust.Source{Mirror: "https://tuf.example", Target: "trusted_root.json", InitialRoot: digest.FromString("root")},
		Updated: updated, Expires: expires, GraceSeconds: int64(time.Hour / time.Second),
	}))
}

// The roots that the agent holds say what those on disk would, at each time.
func TestRootsAreThoseOnDisk(t *testing.T) {
	s := instances(t)
	noon := time.Now().Truncate(time.Second)
	sigstore := verifytest.NewSigstore(t)
	fromMirror(t, s, "corp", sigstore.TrustedRoot(t, verifytest.RootOptions{}), noon, noon.Add(24*time.Hour))
	require.NoError(t, os.WriteFile(filepath.Join(s.Trust, "plain.json"), sigstore.TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	r, disk := readRoots(s, nil), judge.Installed(s)
	require.Empty(t, r.fault())
	for _, at := range []time.Duration{0, -time.Hour, 24*time.Hour + time.Minute, 26 * time.Hour} {
		now := noon.Add(at)
		want, wantErr := disk.Own(now)
		got, err := r.Own(now)
		require.Len(t, got, len(want), at)
		for i := range want {
			require.Equal(t, want[i].Name, got[i].Name)
			require.Len(t, got[i].Warnings, len(want[i].Warnings), at)
		}
		require.Equal(t, wantErr == nil, err == nil, at)
		if wantErr != nil {
			require.ErrorIs(t, wantErr, trust.ErrStale)
			require.ErrorIs(t, err, trust.ErrStale)
			require.ErrorIs(t, err, trust.ErrRoot)
		}
		for _, initial := range []string{"", "root", "another"} {
			var document []byte
			if initial != "" {
				document = []byte(initial)
			}
			_, wantErr := disk.Instance("corp", document, "trusted_root.json", now)
			_, err := r.Instance("corp", document, "trusted_root.json", now)
			require.Equal(t, wantErr == nil, err == nil, "%s %s: %v, %v", at, initial, wantErr, err)
		}
	}
	_, err := r.Instance("nobody", nil, "", noon)
	require.ErrorIs(t, err, trust.ErrNoInstance)
}

// What is broken leaves the last good root; what is removed is not trusted any more.
func TestLastGoodRoot(t *testing.T) {
	s := instances(t)
	noon := time.Now()
	require.NoError(t, os.Mkdir(s.Trust, 0o700))
	path := filepath.Join(s.Trust, "corp.json")
	require.NoError(t, os.WriteFile(path, verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	good := readRoots(s, nil)
	require.NoError(t, os.WriteFile(path, []byte("{"), 0o600))

	fresh := readRoots(s, nil)
	require.NotEmpty(t, fresh.fault())
	require.False(t, fresh.good())
	_, err := fresh.Own(noon)
	require.ErrorIs(t, err, trust.ErrRoot)

	kept := readRoots(s, good)
	require.NotEmpty(t, kept.fault())
	own, err := kept.Own(noon)
	require.NoError(t, err)
	require.Len(t, own, 1)
	require.Equal(t, good.digest, kept.digest, "verdicts stay")

	require.NoError(t, os.Remove(path))
	gone := readRoots(s, kept)
	_, err = gone.Own(noon)
	require.ErrorIs(t, err, trust.ErrRoot)
	require.NotEqual(t, good.digest, gone.digest)
}

// Everything that a verdict could rest on changes the digest.
func TestTrustDigest(t *testing.T) {
	s := instances(t)
	seen := map[digest.Digest]string{readRoots(s, nil).digest: "nothing"}
	changes := func(what string) {
		t.Helper()
		d := readRoots(s, nil).digest
		require.NotContains(t, seen, d, what)
		seen[d] = what
	}
	require.NoError(t, os.MkdirAll(s.Trust, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(s.Trust, "a.json"), verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	changes("an instance")
	require.NoError(t, os.Rename(filepath.Join(s.Trust, "a.json"), filepath.Join(s.Trust, "b.json")))
	changes("its name")
	for _, file := range []string{"x509/ca/corp/root.pem", "crl/1"} {
		path := filepath.Join(s.Notation, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("1"), 0o600))
		changes(file)
		require.NoError(t, os.WriteFile(path, []byte("2"), 0o600))
		changes("another " + file)
	}
}

// A root that is taken away, or gets too old, takes its verdicts along.
func TestRootTakenBack(t *testing.T) {
	w := newWorld(t)
	good := w.image("good", true)
	require.True(t, w.pull("app", good.Index).Admitted)
	require.NoError(t, os.WriteFile(w.settings.TrustedRoot, verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{}), 0o600))
	w.gate.reloader.reload()
	out := w.pull("app", good.Index)
	require.False(t, out.Admitted)
	require.Equal(t, decision.Deny, out.Decision.Verdict)
}

func TestStatusTellsOfTrust(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, os.WriteFile(w.settings.TrustedRoot, []byte("{"), 0o600))
	w.gate.reloader.reload()
	s := w.status()
	require.NotEmpty(t, s.Trust.Error)
	require.NotEmpty(t, s.Faults)
	require.NotEmpty(t, s.Trust.Digest)
	_, err := json.Marshal(s)
	require.NoError(t, err)
}
