// SPDX-License-Identifier: Apache-2.0

package tuf

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/plombproject/plomb/internal/limit"
)

const (
	// maxFile bounds one file, whatever its repository says of it. The
	// largest of the public repositories has 20 kB.
	maxFile = 8 << 20
	// maxFileTime bounds the time for one file: a mirror may not drip.
	maxFileTime = time.Minute
	// maxRequests bounds an update: 256 new roots, 32 delegations and the rest.
	maxRequests = 300
	// maxHeader bounds what comes before a file.
	maxHeader = 64 << 10
	// maxRedirects bounds the way to one file.
	maxRedirects = 3
)

// mirror downloads for go-tuf, bounded in every respect.
type mirror struct {
	ctx      context.Context
	client   *http.Client
	progress func(string)
	requests int
}

func newMirror(ctx context.Context, transport http.RoundTripper, progress func(string)) *mirror {
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableCompression = true // nothing that grows on arrival
		t.MaxResponseHeaderBytes = maxHeader
		t.ResponseHeaderTimeout = maxFileTime / 2
		transport = t
	}
	if progress == nil {
		progress = func(string) {}
	}
	return &mirror{ctx: ctx, client: &http.Client{Transport: transport, CheckRedirect: checkRedirect}, progress: progress}
}

// checkRedirect lets a mirror send us elsewhere, since what comes is verified,
// but neither in circles nor out of TLS.
func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("redirected from https to " + req.URL.Scheme)
	}
	return nil
}

// DownloadFile is that of go-tuf's Fetcher.
func (m *mirror) DownloadFile(url string, maxLength int64, _ time.Duration) ([]byte, error) {
	if m.requests++; m.requests > maxRequests {
		return nil, fmt.Errorf("%w: more than %d requests", ErrMirror, maxRequests)
	}
	m.progress(url)
	ctx, cancel := context.WithTimeout(m.ctx, maxFileTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMirror, err)
	}
	req.Header.Set("User-Agent", "plomb")
	res, err := m.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMirror, err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusForbidden:
		// A bucket that may not be listed forbids what is not there. go-tuf
		// knows by this error that there is no newer root.
		return nil, &metadata.ErrDownloadHTTP{StatusCode: http.StatusNotFound, URL: url}
	default:
		return nil, fmt.Errorf("%w: %s: HTTP status %d", ErrMirror, url, res.StatusCode)
	}
	data, err := limit.ReadAll(res.Body, min(maxLength, maxFile))
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrMirror, url, err)
	}
	return data, nil
}
