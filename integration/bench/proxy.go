// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// serve serves h on a loopback port until the returned function is called.
func serve(h http.Handler) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), func() { _ = server.Close() }, nil
}

// A registry passes requests on to a real one and counts the bytes of their
// bodies, which is what a push sends.
type registry struct {
	upstream, address string
	proxy             *httputil.ReverseProxy
	sent              atomic.Int64
}

func newRegistry(upstream string) *registry {
	target := &url.URL{Scheme: "http", Host: upstream}
	return &registry{upstream: upstream, proxy: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		// The registry tells where to upload by the name it was asked under.
		r.Out.Host = r.In.Host
	}}}
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	req.Body = counted{req.Body, &r.sent}
	r.proxy.ServeHTTP(w, req)
}

func (r *registry) pushed() int64 { return r.sent.Load() }

// through names an image of the registry by the proxy's address.
func (r *registry) through(ref string) string {
	return r.address + strings.TrimPrefix(ref, r.upstream)
}

type counted struct {
	io.ReadCloser
	sent *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sent.Add(int64(n))
	return n, err
}

// layers are the digests of the layers of repo:latest, base image's included.
func (r *registry) layers(ctx context.Context, repo string) ([]string, error) {
	var index ocispecs.Index
	if err := r.get(ctx, repo, "latest", &index); err != nil {
		return nil, err
	}
	if len(index.Manifests) == 0 {
		return nil, fmt.Errorf("%s is no image index", repo)
	}
	var manifest ocispecs.Manifest
	if err := r.get(ctx, repo, index.Manifests[0].Digest.String(), &manifest); err != nil {
		return nil, err
	}
	var digests []string
	for _, l := range manifest.Layers {
		digests = append(digests, l.Digest.String())
	}
	return digests, nil
}

func (r *registry) get(ctx context.Context, repo, name string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.upstream+"/v2/"+repo+"/manifests/"+name, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", ocispecs.MediaTypeImageIndex+", "+ocispecs.MediaTypeImageManifest)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s of %s: the registry answers %s", name, repo, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// A mirror is an HTTP proxy that fetches each URL once. With it the figures
// are about building, and not about how busy Debian's servers are.
type mirror struct {
	mu   sync.Mutex
	have map[string]*response
}

type response struct {
	status int
	header http.Header
	body   []byte
}

func newMirror() *mirror { return &mirror{have: map[string]*response{}} }

func (m *mirror) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet || !req.URL.IsAbs() {
		http.Error(w, "only GET, as a proxy", http.StatusMethodNotAllowed)
		return
	}
	got, err := m.fetch(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	for _, name := range []string{"Content-Type", "Last-Modified"} {
		if v := got.header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(got.status)
	_, _ = w.Write(got.body)
}

func (m *mirror) fetch(req *http.Request) (*response, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := m.have[req.URL.String()]; got != nil {
		return got, nil
	}
	out, err := http.NewRequestWithContext(req.Context(), http.MethodGet, req.URL.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(out)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	got := &response{status: resp.StatusCode, header: resp.Header, body: body}
	m.have[req.URL.String()] = got
	return got, nil
}
