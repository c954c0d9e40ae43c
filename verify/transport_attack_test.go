// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"bytes"
	"context"
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

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/verifytest"
)

// through asks for an image behind another registry than the stand's.
func (s *stand) through(t *testing.T, dgst digest.Digest, o evidence.RegistryOptions, h http.HandlerFunc) *decision.Decision {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	req := s.request(dgst)
	req.Name = strings.TrimPrefix(server.URL, "http://") + "/app:v1"
	req.Location = evidence.NewRegistry(req.Name, o)
	return verify.Verify(context.Background(), req)
}

// onlyFor answers requests for one digest with h, and all others as they should
// be.
func (s *stand) onlyFor(dgst digest.Digest, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/manifests/"+dgst.String()) {
			h(w, r)
			return
		}
		s.store.ServeHTTP(w, r)
	}
}

// documents are the digests that a verification fetches, by what they are.
func (s *stand) documents(img verifytest.Image) map[string]digest.Digest {
	return map[string]digest.Digest{
		"index": img.Index, "manifest": img.Manifests[0], "attestation manifest": s.attestations(img),
	}
}

// TestTwoAnswersToOneQuestion: a registry answers the same request in two ways.
// What is read is what hashes to the digest, whichever comes first, and nothing
// is read twice.
func TestTwoAnswersToOneQuestion(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true})
	evil := s.store.Image(t, verifytest.ImageOptions{Content: "evil"})
	s.allow(img.Index)
	for name, dgst := range s.documents(img) {
		t.Run(name, func(t *testing.T) {
			for goodFirst, want := range map[bool]decision.Verdict{true: decision.Allow, false: decision.Deny} {
				var asked atomic.Int64
				d := s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(dgst, func(w http.ResponseWriter, r *http.Request) {
					if first := asked.Add(1) == 1; first == goodFirst {
						s.store.ServeHTTP(w, r)
						return
					}
					_, _ = w.Write(s.store.Get(evil.Manifests[0]))
				}))
				require.Equal(t, want, d.Verdict, d.Line())
				require.EqualValues(t, 1, asked.Load(), "read once")
				if want == decision.Deny {
					require.Equal(t, "digest-mismatch", d.Code)
				}
			}
		})
	}
}

// TestBombsAndEndlessReplies: a reply is bounded when it is unpacked, and ends
// where the bound is, for each document that is fetched.
func TestBombsAndEndlessReplies(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true})
	s.allow(img.Index)
	packed := verifytest.Bomb(t, 64<<20)
	for kind, reply := range map[string]http.HandlerFunc{
		"bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed)
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.LimitReader(verifytest.Blanks{}, 1<<30))
		},
	} {
		for name, dgst := range s.documents(img) {
			t.Run(kind+" "+name, func(t *testing.T) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				d := s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(dgst, reply))
				runtime.ReadMemStats(&after)
				refuse(t, d, decision.Deny, "too-large", dgst.String())
				require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
			})
		}
	}
}

// TestSlowRegistry: a byte now and then, for each document that is fetched.
func TestSlowRegistry(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true})
	s.allow(img.Index)
	for name, dgst := range s.documents(img) {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			d := s.through(t, img.Index, evidence.RegistryOptions{RequestTimeout: 100 * time.Millisecond}, s.onlyFor(dgst, func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					_, _ = w.Write([]byte(" "))
					w.(http.Flusher).Flush()
					time.Sleep(5 * time.Millisecond)
				}
			}))
			refuse(t, d, decision.Undecided, "timeout", "")
			require.Less(t, time.Since(start), 5*time.Second)
		})
	}
}

// TestRedirectsElsewhere: where the bytes come from says nothing. Those that are
// the image's are taken from anywhere, and no others.
func TestRedirectsElsewhere(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true})
	evil := s.signed(verifytest.ImageOptions{Content: "another", NoAnnotation: true})
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }
	}
	base := "http://" + s.registry + "/v2/app/manifests/"
	d := s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(img.Index, redirect(base+img.Index.String())))
	require.Equal(t, decision.Allow, d.Verdict, d.Line())
	d = s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(img.Index, redirect(base+evil.Index.String())))
	refuse(t, d, decision.Deny, "digest-mismatch", img.Index.String())
	d = s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(img.Index, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	}))
	refuse(t, d, decision.Undecided, "unreachable", "")
	for _, to := range []string{"file:///etc/passwd", "ftp://127.0.0.1/x", "//", "http://127.0.0.1:1/x"} {
		d = s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(img.Index, redirect(to)))
		require.Equal(t, decision.Undecided, d.Verdict, "%s: %s", to, d.Line())
	}
}

// TestHeadersOfALiar: digest, type and length in the reply are the registry's
// word.
func TestHeadersOfALiar(t *testing.T) {
	s := newStand(t)
	img := s.signed(verifytest.ImageOptions{NoAnnotation: true})
	evil := s.store.Image(t, verifytest.ImageOptions{Content: "evil"})
	lie := func(data []byte) *decision.Decision {
		return s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(img.Index, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Docker-Content-Digest", evil.Index.String())
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = w.Write(data)
		}))
	}
	require.Equal(t, decision.Allow, lie(s.store.Get(img.Index)).Verdict)
	d := s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(img.Index, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Docker-Content-Digest", img.Index.String())
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		_, _ = w.Write(s.store.Get(evil.Index))
	}))
	refuse(t, d, decision.Deny, "digest-mismatch", "")
	d = s.through(t, img.Index, evidence.RegistryOptions{}, s.onlyFor(img.Index, func(w http.ResponseWriter, _ *http.Request) {
		good := s.store.Get(img.Index)
		w.Header().Set("Content-Length", fmt.Sprint(len(good)))
		_, _ = w.Write(good[:len(good)/2])
	}))
	require.NotEqual(t, decision.Allow, d.Verdict, d.Line())
}

// TestHostileJSON: documents that hash to their digest and are no plain JSON. The
// good variant of each is admitted, so it is the form that refuses them.
func TestHostileJSON(t *testing.T) {
	deep := strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000)
	for name, spoil := range map[string]func([]byte) []byte{
		"deeply nested": func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{"x":`+deep+`,`), 1) },
		"repeated key":  func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{"x":1,"x":2,`), 1) },
		"repeated key in another case": func(b []byte) []byte {
			return bytes.Replace(b, []byte(`{`), []byte(`{"mediatype":"x","MEDIATYPE":"y",`), 1)
		},
		"invalid UTF-8":  func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte("{\"x\":\"\xff\xfe\","), 1) },
		"half a pair":    func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{"x":"\ud800",`), 1) },
		"byte order":     func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) },
		"two values":     func(b []byte) []byte { return append(bytes.Clone(b), b...) },
		"NUL at the end": func(b []byte) []byte { return append(bytes.Clone(b), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			inIndex, inBundle := s.signed(verifytest.ImageOptions{}), s.unsignedImage("bundle")
			bundle := s.sigstore.Bundle(t, cosignStatement(t, inBundle.Index), verifytest.BundleOptions{})
			s.allow(inIndex.Index)

			index := s.store.Add(spoil(s.store.Get(inIndex.Index)), ocispec.MediaTypeImageIndex)
			refuse(t, s.verify(index.Digest), decision.Deny, "malformed-document", "")

			s.store.AttachBundle(t, inBundle.Index, spoil(bundle))
			d := s.verify(inBundle.Index)
			refuse(t, d, decision.Deny, "malformed-bundle", "")
			s.store.AttachBundle(t, inBundle.Index, bundle)
			s.allow(inBundle.Index)

			if name == "deeply nested" || name == "half a pair" {
				return // in a statement, members that nobody knows are not read
			}
			statement := s.store.Image(t, verifytest.ImageOptions{Content: name, Bundle: func(subjects []provenance.Subject) []byte {
				return s.sigstore.Bundle(t, spoil(verifytest.Statement(t, subjects)), verifytest.BundleOptions{})
			}})
			refuse(t, s.verify(statement.Index), decision.Deny, "statement", "")
		})
	}
}

// TestEvidenceThatIsHidden: a registry that is out of order where evidence could
// be cannot make an image look unsigned, and one that hides what is there makes
// it unsigned.
func TestEvidenceThatIsHidden(t *testing.T) {
	s := newStand(t)
	s.store.WithReferrers()
	img := s.attached(verifytest.BundleOptions{})
	s.allow(img.Index)
	for status, want := range map[int]string{
		http.StatusInternalServerError: "unreachable", http.StatusBadGateway: "unreachable",
		http.StatusForbidden: "access", http.StatusUnauthorized: "access", http.StatusTooManyRequests: "unreachable",
	} {
		d := s.through(t, img.Index, evidence.RegistryOptions{}, func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/referrers/") {
				w.WriteHeader(status)
				return
			}
			s.store.ServeHTTP(w, r)
		})
		refuse(t, d, decision.Undecided, want, "")
	}
	d := s.through(t, img.Index, evidence.RegistryOptions{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/referrers/") {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			_, _ = w.Write([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`))
			return
		}
		s.store.ServeHTTP(w, r)
	})
	refuse(t, d, decision.Deny, "unsigned", "")
}
