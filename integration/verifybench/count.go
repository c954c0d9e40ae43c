// SPDX-License-Identifier: Apache-2.0

package verifybench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A counter passes requests on to a registry and lists them.
type counter struct {
	proxy *httputil.ReverseProxy
	mu    sync.Mutex
	asked []string
}

func newCounter(registry string) *counter {
	target := &url.URL{Scheme: "http", Host: registry}
	return &counter{proxy: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}}
}

func (c *counter) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, req.Method+" "+req.URL.Path)
	c.mu.Unlock()
	c.proxy.ServeHTTP(w, req)
}

func (c *counter) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

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

// count runs a program once, with its requests counted, and returns what it
// printed as well. The image has another name then, which none of the signatures
// nor policies minds.
func (b *bench) count(ctx context.Context, k kind, p program) (requests []string, printed string, err error) {
	host, rest, _ := strings.Cut(k.ref, "/")
	c := newCounter(host)
	address, stop, err := serve(c)
	if err != nil {
		return nil, "", err
	}
	defer stop()
	if printed, _, err = b.do(ctx, p.command(address+"/"+rest)); err != nil {
		return nil, "", fmt.Errorf("%s, %s: %w", k.name, p.name, err)
	}
	return c.requests(), printed, nil
}
