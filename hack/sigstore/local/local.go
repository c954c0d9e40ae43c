// SPDX-License-Identifier: Apache-2.0

// Package local puts a whole Sigstore together in one process and behind one
// port: Fulcio, its CT log, a Rekor v2 and a Rekor v1 log, a timestamp
// authority and the token endpoint of GitHub Actions. It writes the files with
// which clients find and trust it.
//
// It is for development and tests. Everyone who can reach the port can add
// log entries, and everyone who can read the folder can be anyone.
package local

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/plombproject/plomb/hack/sigstore/fulcio"
	"github.com/plombproject/plomb/hack/sigstore/idtoken"
	"github.com/plombproject/plomb/hack/sigstore/keys"
	"github.com/plombproject/plomb/hack/sigstore/rekor"
	"github.com/plombproject/plomb/hack/sigstore/tsa"
)

var (
	// ErrNotLoopback is returned for an address that others can reach.
	ErrNotLoopback = errors.New("refusing to listen on an address that is not loopback")
	// ErrNoAddress is returned for an address that clients cannot be told.
	ErrNoAddress = errors.New("listen address names no host")
	// ErrNoKeys is returned when a token is wanted from a folder in which no
	// Sigstore was ever started.
	ErrNoKeys = errors.New("no local Sigstore in this folder")
)

// Names in the folder.
const (
	TrustedRootFile   = "trusted_root.json"
	SigningConfigFile = "signing_config.json"
	GitHubEnvFile     = "github.env"
	keysFolder        = "keys"
	logFile           = "log.jsonl"
	logV1File         = "log-v1.jsonl"
)

const readHeaderTimeout = 10 * time.Second

// Options says where and how to serve.
type Options struct {
	// Dir keeps keys, log and configuration. It is made if need be.
	Dir string
	// Listen is host:port; port 0 takes a free one.
	Listen string
	// AllowNonLoopback lets Listen be an address that others can reach.
	AllowNonLoopback bool
	// Without names services that answer 503.
	Without []Service
	// Now is the clock of everything that is not Fulcio's own code; it must be
	// given.
	Now func() time.Time
}

// Server is a running Sigstore.
type Server struct {
	// URL is the base URL, without a slash at the end.
	URL string
	// Dir is the absolute path of its folder.
	Dir    string
	http   *http.Server
	logs   logs
	served chan error
}

// identity is everything that outlives the process.
type identity struct {
	fulcio, tsa, ctlog, rekor, rekorV1, token keys.Pair
	requestToken                              string
}

// Start serves in the background. When it returns, the port answers and the
// files are written.
func Start(ctx context.Context, opts Options) (*Server, error) {
	if err := errors.Join(checkAddress(opts), checkServices(opts.Without)); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("folder of the local Sigstore: %w", err)
	}
	id, err := loadIdentity(dir, opts.Now)
	if err != nil {
		return nil, fmt.Errorf("keys of the local Sigstore: %w", err)
	}
	logs, err := openLogs(ctx, dir, id, opts.Now)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", opts.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for the local Sigstore: %w", err), logs.Close())
	}
	s := &Server{URL: "http://" + listener.Addr().String(), Dir: dir, logs: logs, served: make(chan error, 1)}
	if err := s.prepare(ctx, id, opts); err != nil {
		return nil, errors.Join(err, listener.Close(), logs.Close())
	}
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

func (s *Server) prepare(ctx context.Context, id identity, opts Options) error {
	handler, parts, err := newHandler(ctx, s.URL, id, s.logs, opts)
	if err != nil {
		return err
	}
	s.http = &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout}
	return writeFiles(s.Dir, s.URL, id, parts)
}

// Wait returns when the server stops by itself or the context ends; then it
// lets requests finish and closes.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case err := <-s.served:
		return errors.Join(err, s.logs.Close())
	case <-ctx.Done():
		return s.Close()
	}
}

// Close lets running requests finish, for a bounded time, and stops.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), readHeaderTimeout)
	defer cancel()
	return errors.Join(s.http.Shutdown(ctx), s.logs.Close())
}

// logs are the two transparency logs.
type logs struct {
	v2 *rekor.Log
	v1 *rekor.LogV1
}

func openLogs(ctx context.Context, dir string, id identity, now func() time.Time) (logs, error) {
	v2, err := rekor.Open(ctx, filepath.Join(dir, logFile), rekorHost, id.rekor.Signer.(ed25519.PrivateKey))
	if err != nil {
		return logs{}, err
	}
	v1, err := rekor.OpenV1(filepath.Join(dir, logV1File), rekorV1Host, id.rekorV1.Signer.(*ecdsa.PrivateKey), now)
	if err != nil {
		return logs{}, errors.Join(err, v2.Close())
	}
	return logs{v2, v1}, nil
}

func (l logs) Close() error { return errors.Join(l.v2.Close(), l.v1.Close()) }

func checkAddress(opts Options) error {
	host, _, err := net.SplitHostPort(opts.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: %w; give host:port", opts.Listen, err)
	}
	if host == "localhost" {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil || ip.IsUnspecified():
		return fmt.Errorf("%w: %q; give the IP address that clients will use", ErrNoAddress, opts.Listen)
	case !ip.IsLoopback() && !opts.AllowNonLoopback:
		return fmt.Errorf("%w: %q; anyone there could sign as anyone; use 127.0.0.1:0, or --allow-non-loopback on a closed network", ErrNotLoopback, opts.Listen)
	}
	return nil
}

func loadIdentity(dir string, now func() time.Time) (identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return identity{}, err
	}
	folder, err := keys.Open(filepath.Join(dir, keysFolder))
	if err != nil {
		return identity{}, err
	}
	var id identity
	for _, part := range []struct {
		name  string
		pair  *keys.Pair
		fresh func() (keys.Pair, error)
	}{
		{"fulcio", &id.fulcio, func() (keys.Pair, error) { return fulcio.NewPair(now()) }},
		{"tsa", &id.tsa, func() (keys.Pair, error) { return tsa.NewPair(now()) }},
		{"ctlog", &id.ctlog, newECDSAKey},
		{"rekor", &id.rekor, newRekorKey},
		{"rekor-v1", &id.rekorV1, newECDSAKey},
		{tokenKey, &id.token, idtoken.NewPair},
	} {
		if *part.pair, err = folder.Pair(part.name, part.fresh); err != nil {
			return identity{}, err
		}
	}
	_, v2 := id.rekor.Signer.(ed25519.PrivateKey)
	_, v1 := id.rekorV1.Signer.(*ecdsa.PrivateKey)
	if !v2 || !v1 {
		return identity{}, fmt.Errorf("%w: the logs' keys are not Ed25519 and ECDSA; delete %s", keys.ErrMalformed, dir)
	}
	id.requestToken, err = folder.Secret("github-request-token", func() (string, error) { return rand.Text(), nil })
	return id, err
}

// tokenKey is the file in which Token finds the key.
const tokenKey = "token"

func newECDSAKey() (keys.Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return keys.Pair{Signer: key}, err
}

func newRekorKey() (keys.Pair, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return keys.Pair{Signer: key}, err
}

// Token makes an identity token with the key in dir; the server need not run.
// An issuer that Fulcio does not know gives both a token, which Fulcio will
// refuse, and an error that says so.
func Token(dir string, request idtoken.Request, now func() time.Time) (string, error) {
	folder := filepath.Join(dir, keysFolder)
	if _, err := os.Stat(folder); err != nil {
		return "", fmt.Errorf("%w: %s; start `sigstore serve --dir %s` first", ErrNoKeys, dir, dir)
	}
	open, err := keys.Open(folder)
	if err != nil {
		return "", err
	}
	pair, err := open.Existing(tokenKey)
	if err != nil {
		return "", err
	}
	signer, err := idtoken.NewSigner(pair.Signer, now)
	if err != nil {
		return "", err
	}
	if request.Issuer == "" {
		request.Issuer = idtoken.DefaultIssuer
	}
	kind, unknown := fulcio.IssuerKind(request.Issuer)
	if unknown != nil && !errors.Is(unknown, fulcio.ErrUnknownIssuer) {
		return "", unknown
	}
	token, err := signer.Sign(kind, request)
	if err != nil {
		return "", err
	}
	return token, unknown
}
