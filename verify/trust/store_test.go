// SPDX-License-Identifier: Apache-2.0

package trust_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/verifytest"
)

func rootJSON(t testing.TB) []byte {
	t.Helper()
	return verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{})
}

// write puts a file into a store.
func write(t *testing.T, s trust.Store, name string, data []byte) {
	t.Helper()
	path := filepath.Join(s.Dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

// mirrored is the state of an instance from a repository.
func mirrored(now time.Time) *trust.State {
	return &trust.State{
		Source:       trust.Source{Mirror: "https://tuf.test", Target: "trusted_root.json", InitialRoot: digest.FromString("root.json")},
		Updated:      now,
		Expires:      now.Add(time.Hour),
		GraceSeconds: 3600,
	}
}

func commit(t *testing.T, s trust.Store, name string, data []byte, state *trust.State) {
	t.Helper()
	unlock, err := s.Lock(name)
	require.NoError(t, err)
	defer unlock()
	require.NoError(t, s.Commit(name, data, state))
}

func TestInstancesStandSideBySide(t *testing.T) {
	s, now := trust.Store{Dir: filepath.Join(t.TempDir(), "trust")}, time.Now()
	names, err := s.Names()
	require.NoError(t, err)
	require.Empty(t, names)

	plain, installed, updated := rootJSON(t), rootJSON(t), rootJSON(t)
	write(t, s, "plain.json", plain)
	_, err = s.Install("installed", "/media/root.json", installed, now)
	require.NoError(t, err)
	commit(t, s, "updated", updated, mirrored(now))
	for _, other := range []string{"README", ".hidden.json", "UPPER.json", "lost+found/x", "x_y.json"} {
		write(t, s, other, []byte("x"))
	}
	names, err = s.Names()
	require.NoError(t, err)
	require.Equal(t, []string{"installed", "plain", "updated"}, names)
	for name, want := range map[string][]byte{"plain": plain, "installed": installed, "updated": updated} {
		l, err := s.Load(name, now)
		require.NoError(t, err)
		require.Equal(t, digest.FromBytes(want), l.Root.Digest())
		require.Equal(t, want, l.Data)
		require.Empty(t, l.Warnings)
	}
	// What nobody renews does not get stale; its owner said so.
	for _, name := range []string{"plain", "installed"} {
		_, err = s.Load(name, now.AddDate(10, 0, 0))
		require.NoError(t, err)
	}
	state, err := s.State("installed")
	require.NoError(t, err)
	require.Equal(t, "/media/root.json", state.Source.File)
	state, err = s.State("plain")
	require.NoError(t, err)
	require.Nil(t, state)
}

// An instance without logs, as GitHub's, is one; NewVerifier knows what it is
// good for.
func TestInstanceWithoutLogs(t *testing.T) {
	s := trust.Store{Dir: t.TempDir()}
	data := verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{Without: "tlogs"})
	_, err := s.Install("github", "/root.json", data, time.Now())
	require.NoError(t, err)
	l, err := s.Load("github", time.Now())
	require.NoError(t, err)
	_, err = trust.NewVerifier(trust.Options{Root: l.Root, Log: &trust.LogRule{}})
	require.ErrorIs(t, err, trust.ErrRoot)
	_, err = trust.NewVerifier(trust.Options{Root: l.Root})
	require.NoError(t, err)
}

func TestStoreRefuses(t *testing.T) {
	s, now := trust.Store{Dir: t.TempDir()}, time.Now()
	for _, name := range []string{"", ".", "..", "../x", "a/b", "-x", "x.", "X", "a_b", "a\x00", "root.json", strings.Repeat("x", 64), "ä"} {
		_, err := s.Load(name, now)
		require.ErrorIs(t, err, trust.ErrName, name)
		require.ErrorIs(t, err, trust.ErrRoot, name)
		_, err = s.Lock(name)
		require.ErrorIs(t, err, trust.ErrName, name)
	}
	_, err := s.Load("absent", now)
	require.ErrorIs(t, err, trust.ErrNoInstance)
	require.ErrorIs(t, err, trust.ErrRoot)

	write(t, s, "both.json", rootJSON(t))
	_, err = s.Lock("both")
	require.ErrorContains(t, err, "remove it first")
	require.NoError(t, os.Mkdir(filepath.Join(s.Dir, "both"), 0o700))
	_, err = s.Load("both", now)
	require.ErrorContains(t, err, "remove one")

	write(t, s, "broken.json", []byte(`{`))
	_, err = s.Load("broken", now)
	require.ErrorIs(t, err, trust.ErrRoot)

	// Somebody puts another root beside the state.
	commit(t, s, "changed", rootJSON(t), mirrored(now))
	write(t, s, "changed/trusted_root.json", rootJSON(t))
	_, err = s.Load("changed", now)
	require.ErrorIs(t, err, trust.ErrRoot)
	require.ErrorContains(t, err, "somebody changed it")

	// Without its state nobody knows how old it is.
	commit(t, s, "stateless", rootJSON(t), mirrored(now))
	require.NoError(t, os.Remove(filepath.Join(s.Dir, "stateless", "state.json")))
	_, err = s.Load("stateless", now)
	require.ErrorIs(t, err, trust.ErrRoot)

	// A root that is none never takes the place of one.
	good := rootJSON(t)
	commit(t, s, "good", good, mirrored(now))
	for _, none := range []string{`{}`, `[]`, ``, `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","ctlogs":[]}`} {
		require.ErrorIs(t, s.Commit("good", []byte(none), mirrored(now)), trust.ErrRoot)
	}
	l, err := s.Load("good", now)
	require.NoError(t, err)
	require.Equal(t, good, l.Data)
}

// A crash at any moment of a commit leaves the old root or the new one.
func TestCrashBetweenTheFiles(t *testing.T) {
	s, now := trust.Store{Dir: t.TempDir()}, time.Now()
	before, after := rootJSON(t), rootJSON(t)
	commit(t, s, "corp", before, mirrored(now))
	state, err := s.State("corp")
	require.NoError(t, err)
	state.Pending = digest.FromBytes(after)
	pending, err := json.Marshal(state)
	require.NoError(t, err)

	write(t, s, "corp/state.json", pending)
	l, err := s.Load("corp", now)
	require.NoError(t, err)
	require.Equal(t, before, l.Data)
	write(t, s, "corp/trusted_root.json", after)
	l, err = s.Load("corp", now)
	require.NoError(t, err)
	require.Equal(t, after, l.Data)
	commit(t, s, "corp", after, mirrored(now))
	l, err = s.Load("corp", now)
	require.NoError(t, err)
	require.Empty(t, l.State.Pending)
}

// A pull that comes while an update writes gets the old root or the new one.
func TestReadersDuringUpdates(t *testing.T) {
	s, now := trust.Store{Dir: t.TempDir()}, time.Now()
	versions := [][]byte{rootJSON(t), rootJSON(t)}
	commit(t, s, "corp", versions[0], mirrored(now))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 40 {
			if err := s.Commit("corp", versions[i%2], mirrored(now)); err != nil {
				t.Error(err)
			}
		}
	}()
	for {
		_, err := s.Load("corp", now)
		require.NoError(t, err)
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestTwoUpdatesAtOnce(t *testing.T) {
	s := trust.Store{Dir: t.TempDir()}
	unlock, err := s.Lock("corp")
	require.NoError(t, err)
	_, err = s.Lock("corp")
	require.ErrorContains(t, err, "being updated by another process")
	unlock()
	unlock, err = s.Lock("corp")
	require.NoError(t, err)
	unlock()
}

func TestDefault(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	s, etc := trust.Store{Dir: filepath.Join(dir, "store")}, filepath.Join(dir, "etc.json")
	_, err := trust.Default("", etc, s, now)
	require.ErrorIs(t, err, trust.ErrRoot)
	require.ErrorContains(t, err, "plomb trust update")

	// The store, with an instance that is too old.
	write(t, s, "plain.json", rootJSON(t))
	commit(t, s, "old", rootJSON(t), mirrored(now.Add(-3*time.Hour)))
	roots, err := trust.Default("", etc, s, now)
	require.ErrorIs(t, err, trust.ErrStale)
	require.Len(t, roots, 1)
	require.Equal(t, "plain", roots[0].Name)
	roots, err = trust.Default("", etc, s, now.Add(-150*time.Minute))
	require.NoError(t, err)
	require.Len(t, roots, 2)

	// The installed file goes before the store, and a broken one is no reason
	// to look further.
	installed := rootJSON(t)
	require.NoError(t, os.WriteFile(etc, installed, 0o600))
	roots, err = trust.Default("", etc, s, now)
	require.NoError(t, err)
	require.Len(t, roots, 1)
	require.Equal(t, installed, roots[0].Data)
	require.NoError(t, os.WriteFile(etc, []byte("{"), 0o600))
	_, err = trust.Default("", etc, s, now)
	require.ErrorIs(t, err, trust.ErrRoot)

	// What was asked for goes before both.
	asked := filepath.Join(dir, "asked.json")
	_, err = trust.Default(asked, etc, s, now)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(asked, installed, 0o600))
	roots, err = trust.Default(asked, etc, s, now)
	require.NoError(t, err)
	require.Equal(t, asked, roots[0].Name)
}

func TestFailedIsNoted(t *testing.T) {
	s, now := trust.Store{Dir: t.TempDir()}, time.Now()
	commit(t, s, "corp", rootJSON(t), mirrored(now))
	require.NoError(t, s.Failed("corp", now, errorString(strings.Repeat("ü\xff\n", 1000))))
	l, err := s.Load("corp", now)
	require.NoError(t, err)
	require.Len(t, l.Warnings, 1)
	require.Less(t, len(l.Warnings[0]), 1200)
	require.ErrorIs(t, s.Failed("absent", now, errorString("x")), trust.ErrNoInstance)
}

type errorString string

func (e errorString) Error() string { return string(e) }

func TestDescribe(t *testing.T) {
	c, err := trust.Describe(rootJSON(t))
	require.NoError(t, err)
	require.Equal(t, verifytest.FulcioURL, c.CertificateAuthorities[0].URI)
	require.Len(t, c.CertificateAuthorities[0].Subjects, 2)
	require.Equal(t, "https://rekor.test", c.TLogs[0].URL)
	require.Len(t, c.TLogs[0].ID, 64)
	now := c.TLogs[0].Until
	require.Len(t, c.Warnings(now.Add(-time.Minute)), 4)
	require.Contains(t, c.Warnings(now.Add(time.Hour))[0], "no certificate authority is in force")
	require.Empty(t, c.Warnings(now.AddDate(0, 0, -40)))
	_, err = trust.Describe([]byte(`{"certificateAuthorities":[{"certChain":{"certificates":[{"rawBytes":"AA=="}]}}]}`))
	require.ErrorIs(t, err, trust.ErrRoot)
}

// FuzzParseState: what is accepted can be written and read again.
func FuzzParseState(f *testing.F) {
	state := mirrored(time.Unix(1700000000, 0).UTC())
	state.Schema, state.TrustedRoot = trust.StateSchema, digest.FromString("x")
	good, err := json.Marshal(state)
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte(strings.Replace(string(good), `"graceSeconds":3600`, `"graceSeconds":-1`, 1)))
	f.Add([]byte(strings.Replace(string(good), `"mirror"`, `"file":"x","mirror"`, 1)))
	f.Add([]byte(strings.Replace(string(good), `sha256:`, `sha512:`, 1)))
	f.Add([]byte(`{"schema":"` + trust.StateSchema + `"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := trust.ParseState(data)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, s.Grace(), time.Duration(0))
		require.LessOrEqual(t, s.Grace(), trust.MaxGrace)
		again, err := json.Marshal(s)
		require.NoError(t, err)
		_, err = trust.ParseState(again)
		require.NoError(t, err)
	})
}
