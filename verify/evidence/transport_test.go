// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/internal/document"
	"github.com/plombproject/plomb/verify/verifytest"
)

// TestTwoAnswers: a registry that answers the same question in two ways. The
// digest that the tag named is the one that is read, and of two lists of
// referrers only one is ever seen.
func TestTwoAnswers(t *testing.T) {
	s := newStand(t, true)
	good, bad := s.AttachBundle(t, s.img.Index, []byte(bundle)), s.AttachBundle(t, s.img.Index, []byte("bad"))
	var asked atomic.Int64
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/referrers/"+s.img.Index.String()) {
			s.ServeHTTP(w, r)
			return
		}
		list := []ocispec.Descriptor{good}
		if asked.Add(1) > 1 {
			list = []ocispec.Descriptor{bad}
		}
		assertWrite(t, w, ocispec.Index{Versioned: version2, Manifests: list})
	})
	sources := evidence.Sources(evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}))
	for range 2 {
		found, _ := all(t, sources[1:2], s.subject)
		require.Equal(t, []string{bundle}, texts(found))
	}
	require.EqualValues(t, 1, asked.Load())
}

func assertWrite(t *testing.T, w io.Writer, v any) {
	t.Helper()
	if err := json.NewEncoder(w).Encode(v); err != nil {
		t.Log(err)
	}
}

// serve starts a registry on loopback.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestPackedAndEndlessReplies: what is read is bounded after it is unpacked,
// though nobody asked for it to be packed, and ends though the reply does not.
func TestPackedAndEndlessReplies(t *testing.T) {
	packed := verifytest.Bomb(t, 64<<20)
	for name, reply := range map[string]http.HandlerFunc{
		"bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed)
		},
		"bomb without a length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.(http.Flusher).Flush()
			_, _ = w.Write(packed)
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(verifytest.Blanks{}, 1<<30))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := evidence.NewRegistry(serve(t, reply)+"/app", evidence.RegistryOptions{})
			dgst := digest.FromString("x")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := l.Referrers(t.Context(), dgst)
			require.Error(t, err)
			for kind, max := range map[document.Kind]int64{document.Manifest: document.MaxManifest, document.Blob: 1 << 20} {
				_, err = document.Fetch(t.Context(), l, kind, dgst, max)
				require.ErrorIs(t, err, limit.ErrTooLarge)
			}
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
		})
	}
}

// TestSlowReplies: a byte now and then keeps nobody waiting for ever.
func TestSlowReplies(t *testing.T) {
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte(" "))
			w.(http.Flusher).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	})
	l := evidence.NewRegistry(host+"/app", evidence.RegistryOptions{RequestTimeout: 100 * time.Millisecond})
	start := time.Now()
	_, err := l.Referrers(t.Context(), digest.FromString("x"))
	require.ErrorIs(t, err, evidence.ErrUnreachable)
	_, err = document.Fetch(t.Context(), l, document.Manifest, digest.FromString("x"), document.MaxManifest)
	require.ErrorIs(t, err, evidence.ErrUnreachable)
	require.Less(t, time.Since(start), 3*time.Second)
}

// TestRedirectsGetNoCredentials: the registry sends its reader elsewhere. That
// is how blobs are often stored, so it is followed, without what was meant for
// the registry.
func TestRedirectsGetNoCredentials(t *testing.T) {
	s := newStand(t, true)
	s.AttachBundle(t, s.img.Index, []byte(bundle))
	var leaked, redirected atomic.Int64
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) {
		redirected.Add(1)
		if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" || r.URL.User != nil {
			leaked.Add(1)
		}
		s.ServeHTTP(w, r)
	})
	// Another name of the same machine is another host.
	elsewhere = strings.Replace(elsewhere, "127.0.0.1", "localhost", 1)
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:secret")) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, "http://"+elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
	})
	l := evidence.NewRegistry(host+"/app", evidence.RegistryOptions{
		Credentials: func(h string) (string, string, error) {
			require.Equal(t, host, h)
			return "user", "secret", nil
		},
	})
	found, errs := all(t, evidence.Sources(l)[1:], s.subject)
	require.Empty(t, errs)
	require.Equal(t, []string{bundle}, texts(found), "a redirected list is a list")
	require.NotZero(t, redirected.Load())
	require.Zero(t, leaked.Load())
}

// TestRedirectsForEver: a registry that sends its reader in a circle.
func TestRedirectsForEver(t *testing.T) {
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	})
	l := evidence.NewRegistry(host+"/app", evidence.RegistryOptions{})
	_, err := l.Referrers(t.Context(), digest.FromString("x"))
	require.ErrorIs(t, err, evidence.ErrUnreachable)
	require.LessOrEqual(t, l.Requests(), 20)
}

// TestPages: a list may be cut into pages. The link says what to ask for, never
// where; a list that does not end is no list.
func TestPages(t *testing.T) {
	var paths []string
	var link string
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.RequestURI())
		page := r.URL.Query().Get("last")
		if page != "end" && link != "" {
			w.Header().Set("Link", link)
		}
		assertWrite(t, w, ocispec.Index{Versioned: version2, Manifests: []ocispec.Descriptor{{Digest: digest.FromString(page)}}})
	})
	dgst := digest.FromString("x")
	link = `<http://127.0.0.1:1/v2/evil/referrers/` + digest.FromString("y").String() + `?last=end&n=1>; rel="next"`
	list, err := evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}).Referrers(t.Context(), dgst)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, []string{"/v2/app/referrers/" + dgst.String(), "/v2/app/referrers/" + dgst.String() + "?last=end&n=1"}, paths)

	paths, link = nil, `</v2/app/referrers/`+dgst.String()+`?last=more>; rel="next"`
	_, err = evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}).Referrers(t.Context(), dgst)
	require.ErrorIs(t, err, limit.ErrTooLarge)
	require.Len(t, paths, 8)
}

// TestBrokenRegistriesHaveNoEmptyLists: what could not be asked is not absent.
func TestBrokenRegistriesHaveNoEmptyLists(t *testing.T) {
	for status, want := range map[int]error{401: evidence.ErrAccess, 403: evidence.ErrAccess, 429: evidence.ErrUnreachable, 500: evidence.ErrUnreachable} {
		host := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/referrers/") || strings.HasSuffix(r.URL.Path, ".sig") {
				w.WriteHeader(status)
				return
			}
			w.WriteHeader(http.StatusNotFound)
		})
		l := evidence.NewRegistry(host+"/app", evidence.RegistryOptions{})
		_, err := l.Referrers(t.Context(), digest.FromString("x"))
		require.ErrorIs(t, err, want, "%d", status)
		_, err = l.Tagged(t.Context(), verifytest.CosignTag(digest.FromString("x"), "sig"))
		require.ErrorIs(t, err, want, "%d", status)
	}
	// A connection that is cut.
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/referrers/") {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusNotFound)
	})
	_, err := evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}).Referrers(t.Context(), digest.FromString("x"))
	require.ErrorIs(t, err, evidence.ErrUnreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}).Referrers(ctx, digest.FromString("x"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}).Referrers(t.Context(), "sha512:"+digest.Digest(strings.Repeat("0", 128)))
	require.ErrorIs(t, err, document.ErrDigest)
}

// TestElsewhereIsAbsent: GHCR, which has no referrers API, redirects to a page
// that answers 404 or, to whoever asks often, 429; others show a page.
func TestElsewhereIsAbsent(t *testing.T) {
	s := newStand(t, false)
	s.AttachBundle(t, s.img.Index, []byte(bundle))
	for _, status := range []int{http.StatusNotFound, http.StatusTooManyRequests, http.StatusOK} {
		var asked atomic.Int64
		elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(status)
		})
		host := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/referrers/") {
				http.Redirect(w, r, "http://"+elsewhere+"/truncated", http.StatusSeeOther)
				return
			}
			s.ServeHTTP(w, r)
		})
		list, err := evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}).Referrers(t.Context(), s.img.Index)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.EqualValues(t, 1, asked.Load())
	}
}

// TestListsAreBounded: a list that is too long is not an absent one.
func TestListsAreBounded(t *testing.T) {
	long := fmt.Sprintf(`{"schemaVersion":2,"manifests":[],"x":%q}`, strings.Repeat(" ", 5<<20))
	for _, api := range []bool{true, false} {
		host := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if !api && strings.Contains(r.URL.Path, "/referrers/") {
				w.WriteHeader(http.StatusNotFound)
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(long)))
			_, _ = io.WriteString(w, long)
		})
		_, err := evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}).Referrers(t.Context(), digest.FromString("x"))
		require.ErrorIs(t, err, limit.ErrTooLarge)
	}
}

// TestErrorsAreNotKept: a registry that recovers is asked again.
func TestErrorsAreNotKept(t *testing.T) {
	var asked atomic.Int64
	host := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	l := evidence.Cached(evidence.NewRegistry(host+"/app", evidence.RegistryOptions{}))
	_, err := l.Referrers(t.Context(), digest.FromString("x"))
	require.ErrorIs(t, err, evidence.ErrAccess)
	list, err := l.Referrers(t.Context(), digest.FromString("x"))
	require.NoError(t, err)
	require.Empty(t, list)
}
