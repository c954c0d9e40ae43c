// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/verifytest"
)

func TestParseReference(t *testing.T) {
	d := digest.FromString("x")
	for in, want := range map[string]evidence.Reference{
		"app":                              {Name: "docker.io/library/app:latest"},
		"acme/app:v1":                      {Name: "docker.io/acme/app:v1"},
		"127.0.0.1:5000/app@" + d.String(): {Name: "127.0.0.1:5000/app", Digest: d},
		"reg.example/a/b:v1@" + d.String(): {Name: "reg.example/a/b:v1", Digest: d},
	} {
		got, err := evidence.ParseReference(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "a b", "https://reg.example/app", "app@sha256:00"} {
		_, err := evidence.ParseReference(bad)
		require.ErrorIs(t, err, evidence.ErrReference, bad)
	}
}

// TestCheckQualified: containerd would fetch acme/app from a host called acme,
// while the policy for docker.io would be asked.
func TestCheckQualified(t *testing.T) {
	for _, ok := range []string{"docker.io/library/app:latest", "127.0.0.1:5000/app:v1", "localhost/app"} {
		require.NoError(t, evidence.CheckQualified(ok), ok)
	}
	for _, bad := range []string{"acme/app:v1", "app", "reg.example", "A B"} {
		require.ErrorIs(t, evidence.CheckQualified(bad), evidence.ErrReference, bad)
	}
}

func TestResolveAndCount(t *testing.T) {
	store := verifytest.NewStore()
	img := store.Image(t, verifytest.ImageOptions{})
	store.Tag("v1", img.Index)
	r := evidence.NewRegistry(store.Serve(t)+"/app:v1", evidence.RegistryOptions{})
	dgst, err := r.Resolve(context.Background())
	require.NoError(t, err)
	require.Equal(t, img.Index, dgst)
	require.Equal(t, 1, r.Requests())

	r = evidence.NewRegistry(store.Serve(t)+"/app:v2", evidence.RegistryOptions{})
	_, err = r.Resolve(context.Background())
	require.ErrorIs(t, err, evidence.ErrNotFound)
}

// TestHostsDirMeansWhatItMeansToContainerd: a mirror is used for the fetch.
func TestHostsDirMeansWhatItMeansToContainerd(t *testing.T) {
	store := verifytest.NewStore()
	img := store.Image(t, verifytest.ImageOptions{})
	mirror := store.Serve(t)
	hosts := t.TempDir()
	dir := filepath.Join(hosts, "registry.invalid")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte("[host.\"http://"+mirror+"\"]\n  capabilities = [\"pull\", \"resolve\"]\n"), 0o600))
	r := evidence.NewRegistry("registry.invalid/app:v1", evidence.RegistryOptions{HostsDir: hosts})
	body, err := r.Open(context.Background(), "manifest", img.Index)
	require.NoError(t, err)
	defer body.Close()
	got := make([]byte, 1)
	_, err = body.Read(got)
	require.NoError(t, err)
	require.Equal(t, "{", string(got))
}

func TestCredentialsAreOffered(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got = r.Header.Get("Authorization"); got == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	r := evidence.NewRegistry(host+"/app:v1", evidence.RegistryOptions{
		Credentials: func(h string) (string, string, error) {
			require.Equal(t, host, h)
			return "user", "secret", nil
		},
	})
	_, _ = r.Resolve(context.Background())
	require.Equal(t, "Basic "+base64.StdEncoding.EncodeToString([]byte("user:secret")), got)
}

// TestFailingCredentials: who is let in without credentials needs none, and who
// is not is told why there were none.
func TestFailingCredentials(t *testing.T) {
	open := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := "http://" + r.Host
		switch {
		case r.URL.Path == "/token" && open:
			_, _ = w.Write([]byte(`{"token": "anonymous"}`))
		case r.URL.Path == "/token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("Authorization") == "":
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+host+`/token",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
			w.Header().Set("Docker-Content-Digest", digest.FromString("x").String())
		}
	}))
	defer server.Close()
	fault := errors.New("provider ecr failed")
	ask := func() error {
		r := evidence.NewRegistry(strings.TrimPrefix(server.URL, "http://")+"/app:v1", evidence.RegistryOptions{
			Credentials: func(string) (string, string, error) { return "", "", fault },
		})
		_, err := r.Resolve(t.Context())
		return err
	}
	require.NoError(t, ask())
	open = false
	err := ask()
	require.ErrorIs(t, err, evidence.ErrAccess)
	require.ErrorIs(t, err, fault)
}

// TestRegistryInItsOwnHostsFile: the entry with the header counts, and the
// registry is not asked again without it.
func TestRegistryInItsOwnHostsFile(t *testing.T) {
	var without int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Node") == "" {
			without++
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "registry.example"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "registry.example", "hosts.toml"), []byte(
		"server = \""+server.URL+"\"\n[host.\""+server.URL+"\"]\n  capabilities = [\"pull\"]\n  [host.\""+server.URL+"\".header]\n    X-Node = \"yes\"\n"), 0o600))
	r := evidence.NewRegistry("registry.example/app:v1", evidence.RegistryOptions{HostsDir: dir})
	list, err := r.Referrers(t.Context(), digest.FromString("x"))
	require.NoError(t, err, "a registry without the API, and without the list")
	require.Empty(t, list)
	_, err = r.Resolve(t.Context())
	require.ErrorIs(t, err, evidence.ErrNotFound)
	require.Zero(t, without)
}

func TestOneRequestCannotHangForEver(t *testing.T) {
	store := verifytest.NewStore()
	store.Delay(time.Minute)
	r := evidence.NewRegistry(store.Serve(t)+"/app:v1", evidence.RegistryOptions{RequestTimeout: 50 * time.Millisecond})
	start := time.Now()
	_, err := r.Resolve(context.Background())
	require.ErrorIs(t, err, evidence.ErrUnreachable)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestLayout(t *testing.T) {
	store := verifytest.NewStore()
	img := store.Image(t, verifytest.ImageOptions{})
	dir := filepath.Join(t.TempDir(), "with:colon")
	store.Layout(t, dir, "v1", img.Index)
	for _, spec := range []string{dir, dir + ":v1"} {
		l, dgst, err := evidence.OpenLayout(spec)
		require.NoError(t, err)
		require.Equal(t, img.Index, dgst)
		body, err := l.Open(context.Background(), "manifest", dgst)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		_, err = l.Open(context.Background(), "manifest", digest.FromString("absent"))
		require.ErrorIs(t, err, evidence.ErrNotFound)
	}
	for _, spec := range []string{dir + ":v2", filepath.Join(dir, "blobs"), "/nonexistent"} {
		_, _, err := evidence.OpenLayout(spec)
		require.ErrorIs(t, err, evidence.ErrLayout, spec)
	}
}

func TestEmbeddedIsLazy(t *testing.T) {
	store := verifytest.NewStore()
	location := evidence.NewRegistry(store.Serve(t)+"/app:v1", evidence.RegistryOptions{})
	subject := evidence.Subject{
		Entry: ocispec.Descriptor{Digest: digest.FromString("m"), Annotations: map[string]string{provenance.BundleAnnotation: "e30="}},
		Siblings: []ocispec.Descriptor{{Digest: digest.FromString("a"), Annotations: map[string]string{
			"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest.FromString("m").String(),
		}}},
	}
	for c, err := range (evidence.Embedded{Store: location}).Candidates(context.Background(), subject) {
		require.NoError(t, err)
		require.Equal(t, "{}", string(c.Bundle))
		require.Equal(t, digest.FromString("{}"), c.Digest)
		break
	}
	require.Empty(t, store.Requests(), "who stops at the annotation pays nothing for the rest")
}

// FuzzUnwrap: what comes out of a wrapper is an object of the wrapper.
func FuzzUnwrap(f *testing.F) {
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v0.1","predicateType":"` + provenance.PredicateEmbeddedBundle + `","predicate":{"mediaType":"x"}}`))
	f.Add([]byte(`{"predicateType":"` + provenance.PredicateEmbeddedBundle + `","predicate":[]}`))
	f.Add([]byte(`{"predicateType":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		bundle, err := evidence.Unwrap(data)
		if err != nil {
			require.ErrorIs(t, err, evidence.ErrEmbedding)
			return
		}
		require.Equal(t, byte('{'), bundle[0])
		require.Contains(t, string(data), string(bundle))
	})
}
