// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/plombproject/plomb/hack/sigstore/ctlog"
	"github.com/plombproject/plomb/hack/sigstore/fulcio"
	"github.com/plombproject/plomb/hack/sigstore/idtoken"
	"github.com/plombproject/plomb/hack/sigstore/rekor"
	"github.com/plombproject/plomb/hack/sigstore/tsa"
)

// Service names one of the services behind the port, for Options.Without.
type Service string

// The services, in the order in which a signer meets them.
const (
	TokenEndpoint Service = "token"
	Fulcio        Service = "fulcio"
	CTLog         Service = "ctlog"
	Log           Service = "log"
	LogV1         Service = "log-v1"
	TSA           Service = "tsa"
)

// ErrNoService is returned for a service name that does not exist.
var ErrNoService = errors.New("no such service")

// Services lists all of them.
func Services() []Service { return []Service{TokenEndpoint, Fulcio, CTLog, Log, LogV1, TSA} }

// Paths below the base URL.
const (
	fulcioPath  = "/fulcio"
	ctlogPath   = "/ctlog"
	rekorPath   = "/rekor"
	rekorV1Path = "/rekor-v1"
	tsaPath     = "/tsa"
	healthPath  = "/healthz"
)

// parts are the services that the trusted root describes.
type parts struct {
	ctlog   *ctlog.Log
	rekor   *rekor.Log
	rekorV1 *rekor.LogV1
	tsa     *tsa.Authority
}

// newHandler mounts every service at its path.
func newHandler(ctx context.Context, url string, id identity, logs logs, opts Options) (http.Handler, parts, error) {
	p := parts{rekor: logs.v2, rekorV1: logs.v1}
	var err error
	if p.ctlog, err = ctlog.New(id.ctlog.Signer, id.fulcio.Chain[0], opts.Now); err != nil {
		return nil, parts{}, err
	}
	if p.tsa, err = tsa.New(id.tsa, opts.Now); err != nil {
		return nil, parts{}, err
	}
	certificates, err := fulcio.NewHandler(ctx, fulcio.Options{
		Authority: id.fulcio,
		TokenKey:  id.token.Signer.Public(),
		CTLogURL:  url + ctlogPath,
		CTLogKey:  p.ctlog.PublicKey(),
	})
	if err != nil {
		return nil, parts{}, err
	}
	entries, err := logs.v2.Handler()
	if err != nil {
		return nil, parts{}, err
	}
	tokens, err := idtoken.NewSigner(id.token.Signer, opts.Now)
	if err != nil {
		return nil, parts{}, err
	}
	return mount(opts.Without, []service{
		{TokenEndpoint, idtoken.GitHubPath, tokens.GitHubHandler(id.requestToken)},
		{Fulcio, fulcioPath + "/", http.StripPrefix(fulcioPath, certificates)},
		{CTLog, ctlogPath + "/", http.StripPrefix(ctlogPath, p.ctlog.Handler())},
		{Log, rekorPath + "/", http.StripPrefix(rekorPath, entries)},
		{LogV1, rekorV1Path + "/", http.StripPrefix(rekorV1Path, logs.v1.Handler())},
		{TSA, tsaPath + "/", http.StripPrefix(tsaPath, p.tsa.Handler())},
	}), p, nil
}

func checkServices(names []Service) error {
	for _, name := range names {
		if !slices.Contains(Services(), name) {
			return fmt.Errorf("%w: %q; there are %v", ErrNoService, name, Services())
		}
	}
	return nil
}

type service struct {
	name    Service
	path    string
	handler http.Handler
}

func mount(without []Service, services []service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	for _, s := range services {
		if slices.Contains(without, s.name) {
			s.handler = down(s.name)
		}
		mux.Handle(s.path, s.handler)
	}
	return mux
}

// down is a service that is out of order.
func down(name Service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, fmt.Sprintf("the %s of this local Sigstore is switched off (--without %s)", name, name), http.StatusServiceUnavailable)
	})
}
