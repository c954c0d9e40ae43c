// SPDX-License-Identifier: Apache-2.0

//go:build integration

package faults

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A proxy is in front of the stand's registry, and misbehaves on demand. What
// containerd asks before it asks a verifier is always answered.
type proxy struct {
	addr, behind string
	pass         *httputil.ReverseProxy
	pushed       map[string]bool

	mu    sync.Mutex
	fault func(w http.ResponseWriter, r *http.Request)
}

func newProxy(t testing.TB, behind string) *proxy {
	t.Helper()
	p := &proxy{behind: behind, pushed: map[string]bool{}, pass: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: behind})}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		p.behave()
		server.CloseClientConnections()
		server.Close()
	})
	p.addr = strings.TrimPrefix(server.URL, "http://")
	return p
}

// misbehave answers everything but the resolving of a tag with h.
func (p *proxy) misbehave(h func(w http.ResponseWriter, r *http.Request)) (mend func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = h
	return p.behave
}

func (p *proxy) behave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = nil
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	resolves := r.Method == http.MethodHead && !strings.HasPrefix(path.Base(r.URL.Path), "sha256:")
	if fault == nil || resolves || r.URL.Path == "/v2/" {
		p.pass.ServeHTTP(w, r)
		return
	}
	fault(w, r)
}

// hold keeps every answer back until it is released. What comes is told.
func (p *proxy) hold() (came <-chan struct{}, release func()) {
	arrived, open := make(chan struct{}, 1), make(chan struct{})
	p.misbehave(func(w http.ResponseWriter, r *http.Request) {
		select {
		case arrived <- struct{}{}:
		default:
		}
		select {
		case <-open:
			p.pass.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	return arrived, sync.OnceFunc(func() { p.behave(); close(open) })
}

// during waits until a pull has come so far that the registry keeps it back.
func (n *node) during(came <-chan struct{}, pulls ...<-chan error) {
	n.t.Helper()
	select {
	case <-came:
	case err := <-pulls[0]:
		require.Fail(n.t, "it did not wait for the registry", "%v", err)
	case <-time.After(patience):
		require.Fail(n.t, "nobody asks the registry")
	}
}

// answer is what the registry behind would have said.
func (p *proxy) answer(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	p.pass.ServeHTTP(rec, r)
	return rec.Result()
}

// raw takes the connection over.
func raw(w http.ResponseWriter) net.Conn {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn
}

// misbehaving is a row about one misbehaviour.
func misbehaving(name, reason, remedy string, h func(p *proxy, w http.ResponseWriter, r *http.Request)) fault {
	return fault{
		name: name, pull: refused(reason), create: works, remedy: remedy,
		spoil: func(n *node) func() {
			return n.registry.misbehave(func(w http.ResponseWriter, r *http.Request) { h(n.registry, w, r) })
		},
	}
}

func status(code int) func(*proxy, http.ResponseWriter, *http.Request) {
	return func(_ *proxy, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// redirect sends the asker somewhere else.
func redirect(to func(p *proxy, r *http.Request) string) func(*proxy, http.ResponseWriter, *http.Request) {
	return func(p *proxy, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to(p, r), http.StatusTemporaryRedirect)
	}
}

// deadPort is where nobody listens.
func deadPort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().String()
}

const mendRegistry = "Mend the registry, or name a mirror in hosts.toml. kubelet tries again by itself."

var registryFaults = []fault{
	misbehaving("the registry answers 500", "undecided", mendRegistry, status(http.StatusInternalServerError)),
	misbehaving("the registry answers 503", "undecided", mendRegistry, status(http.StatusServiceUnavailable)),
	misbehaving("the registry answers 404", "undecided", "Push the image again, with what belongs to it.", status(http.StatusNotFound)),
	misbehaving("the registry answers 401", "undecided", "Give the node [credentials](private-registries.md).", status(http.StatusUnauthorized)),
	misbehaving("the registry answers 429", "undecided", mendRegistry, status(http.StatusTooManyRequests)),
	misbehaving("the registry answers nothing", "undecided", mendRegistry, func(_ *proxy, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
	misbehaving("the registry sends a byte now and then", "undecided", mendRegistry, func(p *proxy, w http.ResponseWriter, r *http.Request) {
		resp := p.answer(r)
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		for b := make([]byte, 1); ; {
			if _, err := resp.Body.Read(b); err != nil {
				return
			}
			if _, err := w.Write(b); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	}),
	misbehaving("the registry resets in mid-answer", "undecided", mendRegistry, func(p *proxy, w http.ResponseWriter, r *http.Request) {
		half(p, w, r, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) })
	}),
	misbehaving("the registry sends half an answer", "undecided", mendRegistry, func(p *proxy, w http.ResponseWriter, r *http.Request) {
		half(p, w, r, func(net.Conn) {})
	}),
	misbehaving("the registry sends something else", "digest mismatch", "Find out who changes what it serves: a proxy, or an attacker.", func(p *proxy, w http.ResponseWriter, r *http.Request) {
		resp := p.answer(r)
		data, _ := io.ReadAll(resp.Body)
		data = bytes.Replace(data, []byte("e"), []byte("E"), 1)
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.Header().Set("Docker-Content-Digest", path.Base(r.URL.Path))
		_, _ = w.Write(data)
	}),
	misbehaving("the registry sends without end", "too large", mendRegistry, func(_ *proxy, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		for chunk := bytes.Repeat([]byte(" "), 1<<20); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}),
	misbehaving("the registry speaks no HTTP", "undecided", mendRegistry, func(_ *proxy, w http.ResponseWriter, _ *http.Request) {
		conn := raw(w)
		_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
		conn.Close()
	}),
	misbehaving("the registry redirects in circles", "undecided", mendRegistry,
		redirect(func(_ *proxy, r *http.Request) string { return r.URL.Path })),
	misbehaving("the registry redirects to a name that DNS does not know", "undecided", "Mend the node's DNS.",
		redirect(func(_ *proxy, r *http.Request) string { return "http://registry.invalid" + r.URL.Path })),
	misbehaving("the registry redirects to where nobody listens", "undecided", mendRegistry,
		redirect(func(_ *proxy, r *http.Request) string { return "http://" + deadPort() + r.URL.Path })),
	misbehaving("TLS meets a plain port", "undecided", "Say in hosts.toml how the registry is spoken to.",
		redirect(func(p *proxy, r *http.Request) string { return "https://" + p.addr + r.URL.Path })),
	{
		name: "the name of the registry does not resolve", create: works, pull: refused("no such host"),
		remedy: "Mend the node's DNS.",
		spoil: func(n *node) func() {
			hosts := path.Join(n.Dir, "etc", "certs.d", n.registry.addr, "hosts.toml")
			n.write(hosts, fmt.Sprintf("server = %q\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", "http://registry.invalid", "http://registry.invalid"))
			return func() { n.remove(path.Dir(hosts)) }
		},
	},
	{
		name: "the registry comes back in mid-pull", pull: works, create: works,
		spoil: func(n *node) func() {
			i := n.image(signed)
			came, release := n.registry.hold()
			done := n.background(i)
			n.during(came, done)
			release()
			require.NoError(n.t, <-done)
			return func() {}
		},
	},
}

// half sends the first half of an answer that was to be whole.
func half(p *proxy, w http.ResponseWriter, r *http.Request, last func(net.Conn)) {
	resp := p.answer(r)
	data, _ := io.ReadAll(resp.Body)
	conn := raw(w)
	defer conn.Close()
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: " + resp.Header.Get("Content-Type") + "\r\nContent-Length: " + strconv.Itoa(len(data)) + "\r\n\r\n")
	b.Write(data[:len(data)/2])
	_, _ = conn.Write(b.Bytes())
	last(conn)
}
