// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/pkg/reference"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/verify/internal/document"
)

// maxPages bounds how often a registry may say that its list of referrers goes
// on. Each page has 4 MiB at most: containerd's client sees to it.
const maxPages = 8

// tagShape is what a tag may be
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests).
var tagShape = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// fallbackTag is where the referrers of a manifest are listed on a registry
// without the API: "the digest of the subject, with : replaced by -"
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema).
func fallbackTag(dgst digest.Digest) string {
	return strings.Replace(dgst.String(), ":", "-", 1)
}

// Referrers implements Location.
func (r *Registry) Referrers(ctx context.Context, dgst digest.Digest) ([]ocispec.Descriptor, error) {
	list, _, err := r.list(ctx, dgst)
	return list, err
}

// list asks for the referrers of dgst, page by page
// (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers).
// api is false if the registry does not have the API; the list is then that of
// the fallback tag.
func (r *Registry) list(ctx context.Context, dgst digest.Digest) (list []ocispec.Descriptor, api bool, err error) {
	if err := document.CheckDigest(dgst); err != nil {
		return nil, false, err
	}
	ctx = quiet(ctx)
	f, err := r.resolver.Fetcher(ctx, r.ref)
	if err != nil {
		return nil, false, r.translate(ctx, err)
	}
	fetcher, ok := f.(remotes.ReferrersFetcher)
	if !ok {
		return nil, false, fmt.Errorf("%w: the client cannot list referrers", ErrUnreachable)
	}
	var next url.Values
	for range maxPages {
		page, query, api, err := r.page(ctx, fetcher, dgst, next)
		if err != nil {
			return nil, api, err
		}
		list = append(list, page...)
		if query == nil {
			return list, api, nil
		}
		next = query
	}
	return nil, true, fmt.Errorf("%w: the list of referrers of %s goes on after %d pages", limit.ErrTooLarge, dgst, maxPages)
}

// page asks for one page. next is the query of the page after it, nil if there
// is none.
func (r *Registry) page(ctx context.Context, fetcher remotes.ReferrersFetcher, dgst digest.Digest, query url.Values) (list []ocispec.Descriptor, next url.Values, api bool, err error) {
	seen := &listing{path: "/referrers/" + dgst.String()}
	ctx = context.WithValue(ctx, listingKey{}, seen)
	list, err = fetcher.FetchReferrers(ctx, dgst, func(_ context.Context, c *remotes.FetchReferrersConfig) error {
		c.QueryFilters = query
		return nil
	})
	status, next := seen.answer()
	api, absent := status == http.StatusOK, isAbsent(status)
	switch {
	case status == noAnswer && err != nil:
		return nil, nil, false, r.translate(ctx, err)
	case !api && (!absent || query != nil):
		// The client falls back to the tag by itself, also when the registry is
		// only out of order, and a list that is not the whole list hides evidence.
		return nil, nil, false, refusal(status)
	case errdefs.IsNotFound(err):
		// An absent list is an empty one; this is what the client says of its bound.
		return nil, nil, api, fmt.Errorf("%w: %w", limit.ErrTooLarge, err)
	case err != nil:
		return nil, nil, api, r.translate(ctx, err)
	case absent:
		next = nil
	}
	return list, next, api, nil
}

// isAbsent reports whether a registry that answers so has no referrers API. "If
// the referrers API returns 404, fall back to the tag"; the others are what
// registries say that have not heard of it. 0 is what containerd's client makes
// of a mirror that is not to be asked.
func isAbsent(status int) bool {
	switch status {
	case 0, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
		return true
	}
	return false
}

// refusal names an answer that is no list.
func refusal(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: it answers %d to a request for referrers", ErrAccess, status)
	case noAnswer:
		return fmt.Errorf("%w: no answer to a request for referrers", ErrUnreachable)
	}
	return fmt.Errorf("%w: it answers %d to a request for referrers", ErrUnreachable, status)
}

// Tagged implements Location.
func (r *Registry) Tagged(ctx context.Context, tag string) (digest.Digest, error) {
	if !tagShape.MatchString(tag) {
		return "", fmt.Errorf("%w: %q is not a tag", ErrReference, tag)
	}
	spec, err := reference.Parse(r.ref)
	if err != nil {
		return "", fmt.Errorf("%w: %q: %w", ErrReference, r.ref, err)
	}
	_, desc, err := r.resolver.Resolve(quiet(ctx), spec.Locator+":"+tag)
	if errdefs.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", r.translate(ctx, err)
	}
	return desc.Digest, nil
}

type listingKey struct{}

// noAnswer stands for the status of a request that nobody answered.
const noAnswer = -1

// A listing notes what the referrers API answers: containerd's client does not
// tell.
type listing struct {
	path string

	mu     sync.Mutex
	asking bool
	host   string
	status int
	link   string
}

// note keeps the outcome of a request, and of the redirects after it, if it
// went to the API.
//
// Without the API, GHCR sends its readers to a page of GitHub's that limits
// them (https://github.com/artifacthub/hub/issues/4785), and others answer with
// a page for people (https://github.com/sigstore/sigstore-js/pull/1187). Either
// way the API is absent, which has a status of its own.
func (l *listing) note(req *http.Request, resp *http.Response, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if req.Response == nil {
		l.asking = strings.HasSuffix(req.URL.Path, l.path)
		l.host = req.URL.Host
	}
	if !l.asking {
		return
	}
	l.status, l.link = noAnswer, ""
	if err != nil {
		return
	}
	page := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	switch {
	case resp.StatusCode == http.StatusOK && page, resp.StatusCode >= http.StatusBadRequest && req.URL.Host != l.host:
		resp.StatusCode = http.StatusNotFound
	}
	l.status, l.link = resp.StatusCode, resp.Header.Get("Link")
}

// nextLink is a link to the next page (RFC 8288).
var nextLink = regexp.MustCompile(`^\s*<([^>]*)>\s*;\s*rel="?next"?\s*$`)

// answer gives the last status, and the query of the next page. Only the query
// is taken from the link: where to ask is ours to say.
func (l *listing) answer() (status int, next url.Values) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := nextLink.FindStringSubmatch(l.link); m != nil {
		if u, err := url.Parse(m[1]); err == nil {
			next = u.Query()
			// containerd's client adds the name of a mirror's upstream itself.
			next.Del("ns")
		}
	}
	return l.status, next
}
