// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// A registry serves the canaries on loopback while they are needed: the part of
// the distribution specification that a pull uses. It remembers whose
// signatures were asked for, which a verifier does and containerd does not.
type registry struct {
	host   string
	port   int
	server *http.Server
	images map[string]*image // by repository

	mu    sync.Mutex
	asked map[string]bool // repositories whose signatures were asked for
}

func serve(host string) (*registry, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("registry for canaries: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	r := &registry{
		host: net.JoinHostPort(host, strconv.Itoa(port)), port: port,
		images: map[string]*image{}, asked: map[string]bool{},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	go func() { _ = r.server.Serve(l) }() // ends with close
	return r, nil
}

func (r *registry) close() { _ = r.server.Close() }

// image makes a canary and serves it.
func (r *registry) image(repository string) (*image, error) {
	img, err := newImage(r.host, repository)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.images[repository] = img
	return img, nil
}

// wasAsked tells that somebody has looked for the image's signatures.
func (r *registry) wasAsked(img *image) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[img.repository]
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if req.URL.Path == "/v2/" {
		return
	}
	data, mediaType, dgst, found := r.find(strings.TrimPrefix(req.URL.Path, "/v2/"))
	if !found {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintln(w, `{"errors":[{"code":"NOT_FOUND","message":"there are canaries here only"}]}`)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.Header().Set("Docker-Content-Digest", dgst.String())
	if req.Method == http.MethodGet {
		_, _ = w.Write(data)
	}
}

// find resolves REPOSITORY/manifests/REFERENCE and REPOSITORY/blobs/DIGEST.
func (r *registry) find(path string) (data []byte, mediaType string, dgst digest.Digest, found bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest, reference, ok := cutLast(path, "/")
	if !ok {
		return nil, "", "", false
	}
	repository, kind, ok := cutLast(rest, "/")
	img := r.images[repository]
	if !ok || img == nil {
		return nil, "", "", false
	}
	if kind == "referrers" || reference == img.signatureTag() {
		r.asked[repository] = true
	}
	dgst = digest.Digest(reference)
	switch kind {
	case "manifests":
		if tagged, ok := img.tags[reference]; ok {
			dgst = tagged
		}
	case "blobs":
	default:
		return nil, "", "", false
	}
	data, found = img.blobs[dgst]
	return data, img.types[dgst], dgst, found
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// reachable is the check that the doctor itself can get at it: without that
// nothing else would mean anything.
func (r *registry) reachable(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.host+"/v2/", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
