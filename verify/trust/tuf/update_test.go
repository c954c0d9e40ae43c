// SPDX-License-Identifier: Apache-2.0

package tuf_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/trust"
	"github.com/plombproject/plomb/verify/trust/tuf"
	"github.com/plombproject/plomb/verify/trust/tuf/tuftest"
	"github.com/plombproject/plomb/verify/verifytest"
)

// world is a repository with a mirror, and a store to update from it.
type world struct {
	*tuftest.Repository
	instance tuf.Instance
	store    trust.Store
}

func trustedRoot(t testing.TB) []byte {
	t.Helper()
	return verifytest.NewSigstore(t).TrustedRoot(t, verifytest.RootOptions{})
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Repository: tuftest.New(t), store: trust.Store{Dir: t.TempDir()}}
	w.instance = tuf.Instance{Store: w.store, Name: "corp", Mirror: w.Serve(), Root: w.Root(1)}
	return w
}

func (w *world) update(t *testing.T) (*tuf.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return tuf.Update(ctx, w.instance, time.Now())
}

// good is a world that has been updated once.
func good(t *testing.T) (*world, []byte) {
	t.Helper()
	w, root := newWorld(t), trustedRoot(t)
	w.Publish(root)
	_, err := w.update(t)
	require.NoError(t, err)
	return w, root
}

func (w *world) requireRoot(t *testing.T, want []byte, at time.Time) *trust.Loaded {
	t.Helper()
	l, err := w.store.Load("corp", at)
	require.NoError(t, err)
	require.Equal(t, string(want), string(l.Data))
	return l
}

func TestUpdate(t *testing.T) {
	for _, plain := range []bool{false, true} {
		w, first := newWorld(t), trustedRoot(t)
		w.Plain = plain
		w.Rotate("targets") // the first root has been superseded when we come
		var asked []string
		w.instance.Progress = func(url string) { asked = append(asked, url) }
		w.Publish(first)
		r, err := w.update(t)
		require.NoError(t, err)
		require.True(t, r.Changed)
		require.Equal(t, len(asked), r.Requests)
		require.EqualValues(t, 2, r.State.Metadata["root"].Version)
		require.EqualValues(t, 1, r.State.Metadata["targets"].Version)
		require.WithinDuration(t, time.Now().Add(time.Hour), r.State.Expires, time.Minute)
		require.Equal(t, trust.DefaultGrace, r.State.Grace())
		require.Empty(t, w.requireRoot(t, first, time.Now()).Warnings)

		// Nothing new: from then on neither mirror nor root have to be named.
		w.instance.Root, w.instance.Mirror = nil, ""
		r, err = w.update(t)
		require.NoError(t, err)
		require.False(t, r.Changed)

		second := trustedRoot(t)
		w.Rotate("root")
		w.Rotate("timestamp")
		w.Publish(second)
		r, err = w.update(t)
		require.NoError(t, err)
		require.True(t, r.Changed)
		require.EqualValues(t, 4, r.State.Metadata["root"].Version)
		w.requireRoot(t, second, time.Now())
		left, err := filepath.Glob(filepath.Join(w.store.Dir, "corp", ".*"))
		require.NoError(t, err)
		require.Equal(t, []string{filepath.Join(w.store.Dir, "corp", ".lock")}, left)
	}
}

// TestAttacks: whatever the mirror does, the last good root stays, the reason
// is kept, and an honest mirror is believed afterwards.
func TestAttacks(t *testing.T) {
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}
	for name, attack := range map[string]struct {
		do   func(t *testing.T, w *world)
		want error
	}{
		"expired timestamp": {func(t *testing.T, w *world) {
			w.Expires["timestamp"] = time.Now().Add(-time.Hour)
			w.Publish(trustedRoot(t))
		}, tuf.ErrExpired},
		"expired snapshot": {func(t *testing.T, w *world) {
			w.Expires["snapshot"] = time.Now().Add(-time.Hour)
			w.Publish(trustedRoot(t))
		}, tuf.ErrExpired},
		"expired targets": {func(t *testing.T, w *world) {
			w.Expires["targets"] = time.Now().Add(-time.Hour)
			w.Publish(trustedRoot(t))
		}, tuf.ErrExpired},
		"expired root": {func(_ *testing.T, w *world) {
			w.Expires["root"] = time.Now().Add(-time.Hour)
			w.Rotate("root")
		}, tuf.ErrExpired},
		"rollback of the snapshot in a new timestamp": {func(t *testing.T, w *world) {
			old := w.Get("2.snapshot.json")
			w.Publish(trustedRoot(t))
			w.Set("3.snapshot.json", old)
		}, tuf.ErrRollback},
		"keys of a stranger": {func(t *testing.T, w *world) {
			mallory := tuftest.New(t)
			for range 3 {
				mallory.Publish(trustedRoot(t))
			}
			w.Set("timestamp.json", mallory.Get("timestamp.json"))
		}, tuf.ErrUnsigned},
		"root of a stranger": {func(t *testing.T, w *world) {
			mallory := tuftest.New(t)
			mallory.Rotate("root")
			w.Set("2.root.json", mallory.Root(2))
		}, tuf.ErrUnsigned},
		"timestamp by the targets key": {func(t *testing.T, w *world) {
			w.Publish(trustedRoot(t))
			w.Set("timestamp.json", w.Get("3.targets.json"))
		}, tuf.ErrRepository},
		"another target under the name": {func(t *testing.T, w *world) {
			root := trustedRoot(t)
			w.Publish(root)
			w.Set(targetPath(root), append(root[:len(root)-1:len(root)-1], ' '))
		}, tuf.ErrRepository},
		"longer target under the name": {func(t *testing.T, w *world) {
			root := trustedRoot(t)
			w.Publish(root)
			w.Set(targetPath(root), append(root, ' '))
		}, limit.ErrTooLarge},
		"endless timestamp": {func(_ *testing.T, w *world) { w.Handle("timestamp.json", endless) }, limit.ErrTooLarge},
		"endless root":      {func(_ *testing.T, w *world) { w.Handle("2.root.json", endless) }, limit.ErrTooLarge},
		"dripping timestamp": {func(_ *testing.T, w *world) {
			w.Handle("timestamp.json", func(rw http.ResponseWriter, req *http.Request) {
				for req.Context().Err() == nil {
					_, _ = rw.Write([]byte(" "))
					rw.(http.Flusher).Flush()
					time.Sleep(10 * time.Millisecond)
				}
			})
		}, context.DeadlineExceeded},
		"mute mirror": {func(_ *testing.T, w *world) {
			w.Handle("timestamp.json", func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
		}, context.DeadlineExceeded},
		"endless header": {func(_ *testing.T, w *world) {
			w.Handle("timestamp.json", func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("X", strings.Repeat("x", 1<<20)) })
		}, tuf.ErrMirror},
		"redirects in circles": {func(_ *testing.T, w *world) {
			w.Handle("timestamp.json", func(rw http.ResponseWriter, req *http.Request) {
				http.Redirect(rw, req, "/timestamp.json", http.StatusFound)
			})
		}, tuf.ErrMirror},
		"failing mirror": {func(_ *testing.T, w *world) {
			w.Handle("timestamp.json", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
		}, tuf.ErrMirror},
		"no timestamp": {func(_ *testing.T, w *world) { w.Set("timestamp.json", nil) }, tuf.ErrMirror},
		"garbage": {func(_ *testing.T, w *world) {
			w.Set("timestamp.json", []byte(`{"signed":{"_type":"timestamp"},"signatures":[{}]}`))
		}, tuf.ErrUnsigned},
		"no JSON":                               {func(_ *testing.T, w *world) { w.Set("timestamp.json", []byte("<html>")) }, tuf.ErrRepository},
		"signed target that is no trusted root": {func(_ *testing.T, w *world) { w.Publish([]byte(`{}`)) }, trust.ErrRoot},
		"signed target that is too large":       {func(_ *testing.T, w *world) { w.Publish(make([]byte, trust.MaxRoot+1)) }, tuf.ErrRepository},
		"unreachable":                           {func(_ *testing.T, w *world) { w.instance.Mirror = "http://127.0.0.1:1" }, tuf.ErrMirror},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := good(t)
			root := trustedRoot(t)
			w.Publish(root)
			_, err := w.update(t)
			require.NoError(t, err)
			honest := map[string][]byte{}
			for _, file := range w.Names() {
				honest[file] = w.Get(file)
			}
			mirror := w.instance.Mirror

			attack.do(t, w)
			patience := time.Minute // the machine may be busy
			if errors.Is(attack.want, context.DeadlineExceeded) {
				patience = 300 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err = tuf.Update(ctx, w.instance, time.Now())
			require.ErrorIs(t, err, attack.want)
			l := w.requireRoot(t, root, time.Now())
			require.Contains(t, strings.Join(l.Warnings, "\n"), "failed: update corp from")
			require.NotNil(t, l.State.Failure)
			require.WithinDuration(t, time.Now(), l.State.Updated, time.Minute)

			if name == "expired root" || name == "root of a stranger" {
				return // there is no way back from a root that counts
			}
			for _, file := range append(w.Names(), "2.root.json") {
				w.Handle(file, nil)
				w.Set(file, honest[file])
			}
			w.instance.Mirror = mirror
			clear(w.Expires)
			for range 3 {
				w.Publish(root)
			}
			_, err = w.update(t)
			require.NoError(t, err)
			require.Empty(t, w.requireRoot(t, root, time.Now()).Warnings)
		})
	}
}

// targetPath is where a target is.
func targetPath(target []byte) string {
	return fmt.Sprintf("targets/%x.%s", sha256.Sum256(target), tuftest.Target)
}

// A mirror that brings back what it had before is refused, also after the
// attempt before it failed half-way.
func TestRollback(t *testing.T) {
	w, root := good(t)
	old := w.Get("timestamp.json")
	w.Publish(root)
	w.Set("2.snapshot.json", []byte("{}")) // the timestamp was good, the rest is not
	_, err := w.update(t)
	require.ErrorIs(t, err, tuf.ErrRepository)

	w.Set("timestamp.json", old)
	_, err = w.update(t)
	require.ErrorIs(t, err, tuf.ErrRollback)
	w.requireRoot(t, root, time.Now())
}

// Keys that a new root revoked sign nothing any more, even if the mirror hides
// the new root afterwards.
func TestRevokedKeyStaysRevoked(t *testing.T) {
	w, root := good(t)
	w.Publish(root)
	signedByOld := w.Get("timestamp.json")
	w.Rotate("timestamp")
	_, err := w.update(t) // the mirror still has the old timestamp
	require.ErrorIs(t, err, tuf.ErrUnsigned)
	w.Set("2.root.json", nil)
	w.Set("timestamp.json", signedByOld)
	_, err = w.update(t)
	require.ErrorIs(t, err, tuf.ErrUnsigned)
	w.requireRoot(t, root, time.Now())
}

func TestFirstUpdateThatFailsLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.Publish([]byte(`{}`))
	_, err := w.update(t)
	require.ErrorIs(t, err, trust.ErrRoot)
	entries, err := os.ReadDir(w.store.Dir)
	require.NoError(t, err)
	require.Empty(t, entries)
	_, err = w.store.Load("corp", time.Now())
	require.ErrorIs(t, err, trust.ErrNoInstance)
}

func TestGrace(t *testing.T) {
	w, root := newWorld(t), trustedRoot(t)
	grace := 24 * time.Hour
	w.instance.Grace = &grace
	w.Publish(root)
	r, err := w.update(t)
	require.NoError(t, err)
	expires := r.State.Expires

	require.Empty(t, w.requireRoot(t, root, expires.Add(-time.Second)).Warnings)
	l := w.requireRoot(t, root, expires.Add(time.Hour))
	require.Len(t, l.Warnings, 1)
	require.Contains(t, l.Warnings[0], "run plomb trust update corp")
	_, err = w.store.Load("corp", expires.Add(grace+time.Second))
	require.ErrorIs(t, err, trust.ErrStale)
	require.ErrorIs(t, err, trust.ErrRoot)
	require.ErrorContains(t, err, "run plomb trust update corp")

	// A clock that is set back makes nothing fresh again.
	_, err = w.store.Load("corp", time.Now().Add(-time.Hour))
	require.ErrorIs(t, err, trust.ErrStale)
	require.ErrorContains(t, err, "set the clock")

	// The grace period stays, and can be taken away.
	w.instance.Grace = nil
	r, err = w.update(t)
	require.NoError(t, err)
	require.Equal(t, grace, r.State.Grace())
	grace = 0
	w.instance.Grace = &grace
	_, err = w.update(t)
	require.NoError(t, err)
	_, err = w.store.Load("corp", expires.Add(time.Hour))
	require.ErrorIs(t, err, trust.ErrStale)
	grace = trust.MaxGrace + time.Second
	_, err = w.update(t)
	require.ErrorContains(t, err, "grace period")
}

// Another root.json begins anew; one that does not fit changes nothing.
func TestAnotherInitialRoot(t *testing.T) {
	w, root := good(t)
	other := tuftest.New(t)
	w.instance.Root = other.Root(1)
	_, err := w.update(t)
	require.ErrorIs(t, err, tuf.ErrUnsigned)
	w.requireRoot(t, root, time.Now())
	w.instance.Root = nil
	_, err = w.update(t)
	require.NoError(t, err, "the failed attempt has spoilt the metadata")

	theirs := trustedRoot(t)
	other.Publish(theirs)
	w.instance.Root, w.instance.Mirror = other.Root(1), other.Serve()
	_, err = w.update(t)
	require.NoError(t, err)
	w.requireRoot(t, theirs, time.Now())

	_, err = w.store.LoadRemote("corp", other.Root(1), tuf.DefaultTarget, time.Now())
	require.NoError(t, err)
	_, err = w.store.LoadRemote("corp", w.Root(1), tuf.DefaultTarget, time.Now())
	require.ErrorIs(t, err, trust.ErrRoot)
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	for _, mirror := range []string{"ftp://x", "https://", "x", "https://u:p@x/", "https://x/?y", "https://x/#y", "file:///etc"} {
		w.instance.Mirror = mirror
		_, err := w.update(t)
		require.ErrorIs(t, err, tuf.ErrMirror, mirror)
	}
	w.instance.Mirror, w.instance.Root = "", nil
	_, err := w.update(t)
	require.ErrorIs(t, err, tuf.ErrNoRoot)
	require.ErrorContains(t, err, "--mirror")
	w.instance.Name = tuf.GitHub
	_, err = w.update(t)
	require.ErrorIs(t, err, tuf.ErrNoRoot)
	require.ErrorContains(t, err, "the root.json of https://tuf-repo.github.com")
	require.NotContains(t, err.Error(), "--mirror", "that is known")
	w.instance.Name = "../corp"
	_, err = w.update(t)
	require.ErrorIs(t, err, trust.ErrName)
}

// A mirror of public-good elsewhere is held to the root that plomb knows.
func TestPublicGoodHasItsRoot(t *testing.T) {
	w := newWorld(t)
	w.Publish(trustedRoot(t))
	w.instance.Name, w.instance.Root = tuf.PublicGood, nil
	_, err := w.update(t)
	require.Error(t, err)
	// By the time of this test that root may have expired, as a first one may.
	require.True(t, errors.Is(err, tuf.ErrUnsigned) || errors.Is(err, tuf.ErrExpired), err)
	var asked []string
	w.instance.Mirror, w.instance.Progress = "", func(url string) { asked = append(asked, url) }
	w.instance.Transport = nobody{}
	_, err = w.update(t)
	require.ErrorIs(t, err, tuf.ErrMirror)
	require.Len(t, asked, 1)
	require.Regexp(t, `^https://tuf-repo-cdn\.sigstore\.dev/\d+\.root\.json$`, asked[0])
}

type nobody struct{}

func (nobody) RoundTrip(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("no network") }

// TLS is not given up on the way.
func TestRedirectOutOfTLS(t *testing.T) {
	w := newWorld(t)
	w.Publish(trustedRoot(t))
	plain := w.instance.Mirror
	w.instance.Mirror = "https://mirror.test"
	w.instance.Transport = redirector(plain)
	_, err := w.update(t)
	require.ErrorIs(t, err, tuf.ErrMirror)
	require.ErrorContains(t, err, "redirected from https to http")
}

type redirector string

func (r redirector) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusFound, Status: "302 Found", Request: req, Body: http.NoBody,
		Header: http.Header{"Location": {string(r) + req.URL.Path}},
	}, nil
}
