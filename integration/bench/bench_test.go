// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRegistryCountsWhatIsSent(t *testing.T) {
	var got []byte
	var host string
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got, _ = io.ReadAll(req.Body)
		host = req.Host
		_, _ = io.WriteString(w, strings.Repeat("answers do not count", 100))
	}))
	defer upstream.Close()
	r := newRegistry(strings.TrimPrefix(upstream.URL, "http://"))
	address, stop, err := serve(r)
	require.NoError(t, err)
	defer stop()
	r.address = address

	req, err := http.NewRequest(http.MethodPut, "http://"+address+"/v2/x/blobs/uploads/1", strings.NewReader("12345"))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "12345", string(got))
	require.EqualValues(t, 5, r.pushed())
	require.Equal(t, address, host, "or uploads would go past the proxy")
	require.Equal(t, address+"/base/debian@sha256:1", r.through(r.upstream+"/base/debian@sha256:1"))
}

func TestRegistryLayers(t *testing.T) {
	answers := map[string]string{
		"/v2/a/manifests/latest":   `{"manifests":[{"digest":"sha256:1"},{"digest":"sha256:attestation"}]}`,
		"/v2/a/manifests/sha256:1": `{"layers":[{"digest":"sha256:x"},{"digest":"sha256:y"}]}`,
		"/v2/b/manifests/latest":   `{"layers":[]}`,
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if answers[req.URL.Path] == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, answers[req.URL.Path])
	}))
	defer upstream.Close()
	r := newRegistry(strings.TrimPrefix(upstream.URL, "http://"))
	layers, err := r.layers(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, []string{"sha256:x", "sha256:y"}, layers)
	_, err = r.layers(t.Context(), "b")
	require.ErrorContains(t, err, "no image index")
	_, err = r.layers(t.Context(), "c")
	require.ErrorContains(t, err, "404")
}

func TestMirrorFetchesOnce(t *testing.T) {
	asked := 0
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Last-Modified", "Sat, 01 Jan 2022 00:00:00 GMT")
		_, _ = io.WriteString(w, "a package")
	}))
	defer upstream.Close()
	address, stop, err := serve(newMirror())
	require.NoError(t, err)
	defer stop()
	proxied := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: address})}}
	for range 3 {
		resp, err := proxied.Get(upstream.URL + "/pool/x.deb")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "a package", string(body))
		require.Equal(t, "Sat, 01 Jan 2022 00:00:00 GMT", resp.Header.Get("Last-Modified"))
	}
	require.Equal(t, 1, asked)
	resp, err := http.Get("http://" + address + "/not-a-proxy-request")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	b := &bench{Options: Options{Out: &out}, samples: map[cell][]sample{
		{"cold build", plain}: {{wall: 3 * time.Second, changed: 8, layers: 8, pushed: 5}, {wall: time.Second}, {wall: 2 * time.Second, changed: 8, layers: 8, pushed: 2_500_000}},
		{"cold build", stock}: {{wall: 4 * time.Second, changed: 8, layers: 8, pushed: 29_000}},
	}}
	require.NoError(t, b.print())
	require.Contains(t, out.String(), "| cold build | plain | 2.00 s | 1.00 | 0.50 | 8 of 8 | 5 B |\n")
	require.Contains(t, out.String(), "| cold build | stock reproducible | 4.00 s | 2.00 | 1.00 | 8 of 8 | 29.0 kB |\n")
	require.Equal(t, 2+len(scenarios)*len(ways), strings.Count(out.String(), "\n"))
}

func TestChanged(t *testing.T) {
	require.Equal(t, 1, changed([]string{"a", "b"}, []string{"a", "c"}))
	require.Equal(t, 2, changed(nil, []string{"a", "c"}))
	require.Zero(t, changed([]string{"a", "b"}, []string{"b"}))
}

func TestWriteContext(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "context")
	require.NoError(t, writeContext("../../docs/examples/guestbook", dir, "registry/frontend:x"))
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(data)
	}
	require.True(t, strings.HasPrefix(read("Dockerfile.plomb"), "# syntax=registry/frontend:x\n"))
	require.NotContains(t, read("Dockerfile.stock"), "syntax")
	require.True(t, strings.HasSuffix(read("Dockerfile.plomb"), read("Dockerfile.stock")))
	b := &bench{Options: Options{}, context: dir}
	seen := map[int]bool{}
	for _, s := range scenarios[1:] {
		require.NoError(t, s.change(t.Context(), b, "run-1"), s.name)
		seen[len(read("revision"))] = true
	}
	require.Equal(t, map[int]bool{len("run-1\n"): true, 32 << 20: true}, seen)
	require.Contains(t, read("app/guestbook.py"), "# run-1\n")
	require.NotZero(t, b.epoch)
}
