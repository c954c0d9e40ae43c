// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"

	"github.com/plombproject/plomb/verify/internal/document"
)

// DefaultRequestTimeout bounds one request, from dialling to the last byte of
// its body. It is below the 8 seconds the node's verifier gives itself.
const DefaultRequestTimeout = 5 * time.Second

// RegistryOptions say how to reach a registry.
type RegistryOptions struct {
	// HostsDir is a folder in containerd's certs.d form. It means what it
	// means to containerd: mirrors, certificate authorities, client
	// certificates, headers. Empty, or absent on disk: none.
	HostsDir string
	// Credentials gives the user name and secret for a host, two empty
	// strings for none. After an error the host is asked without any, as
	// kubelet does: credentials prove nothing. If access is then denied, the
	// error is told. Nil: anonymous.
	Credentials func(host string) (user, secret string, err error)
	// RequestTimeout bounds each request; 0 is DefaultRequestTimeout.
	RequestTimeout time.Duration
}

// A Registry reads one repository with containerd's own client, so that hosts
// are reached the way containerd reaches them when it pulls.
type Registry struct {
	ref      string
	resolver remotes.Resolver
	requests *atomic.Int64
	// noCredentials is why there were none, for who is denied.
	noCredentials *atomic.Pointer[error]
}

var _ Location = (*Registry)(nil)

// NewRegistry prepares access to the repository of ref, which must be fully
// qualified (host/repository, with or without tag and digest). It makes no
// request.
func NewRegistry(ref string, opts RegistryOptions) *Registry {
	r := &Registry{ref: ref, requests: new(atomic.Int64), noCredentials: new(atomic.Pointer[error])}
	timeout := opts.RequestTimeout
	if timeout == 0 {
		timeout = DefaultRequestTimeout
	}
	host := config.HostOptions{
		Credentials: r.anonymousAfterError(opts.Credentials),
		UpdateClient: func(c *http.Client) error {
			c.Timeout = timeout
			if _, ok := c.Transport.(*counting); !ok {
				c.Transport = &counting{next: c.Transport, answered: r.requests}
			}
			return nil
		},
	}
	if _, err := os.Stat(opts.HostsDir); opts.HostsDir != "" && err == nil {
		host.HostDir = config.HostDirFromRoot(opts.HostsDir)
	}
	r.resolver = docker.NewResolver(docker.ResolverOptions{
		Hosts: once(config.ConfigureHosts(quiet(context.Background()), host)),
	})
	return r
}

// once joins entries for the same host. containerd's client adds the registry
// itself behind the [host] tables of hosts.toml, also if one of them is the
// registry with its certificates or headers: asked again without those it cannot
// be reached, which would hide what it has answered before.
func once(hosts docker.RegistryHosts) docker.RegistryHosts {
	return func(name string) ([]docker.RegistryHost, error) {
		list, err := hosts(name)
		if err != nil {
			return nil, err
		}
		var kept []docker.RegistryHost
		for _, h := range list {
			same := slices.IndexFunc(kept, func(k docker.RegistryHost) bool {
				return k.Scheme == h.Scheme && k.Host == h.Host && k.Path == h.Path
			})
			if same < 0 {
				kept = append(kept, h)
				continue
			}
			kept[same].Capabilities |= h.Capabilities
		}
		return kept, nil
	}
}

func (r *Registry) anonymousAfterError(credentials func(string) (string, string, error)) func(string) (string, string, error) {
	if credentials == nil {
		return nil
	}
	return func(host string) (string, string, error) {
		user, secret, err := credentials(host)
		if err != nil {
			r.noCredentials.Store(&err)
			return "", "", nil
		}
		return user, secret, nil
	}
}

// denied is ErrAccess with what is known of it.
func (r *Registry) denied(reason error) error {
	if why := r.noCredentials.Load(); why != nil {
		return fmt.Errorf("%w: %w", ErrAccess, *why)
	}
	return fmt.Errorf("%w: %w", ErrAccess, reason)
}

// Resolve asks the registry which digest the reference names now.
func (r *Registry) Resolve(ctx context.Context) (digest.Digest, error) {
	_, desc, err := r.resolver.Resolve(quiet(ctx), r.ref)
	if err != nil {
		return "", r.translate(ctx, err)
	}
	return desc.Digest, nil
}

// Requests implements Location: it counts the answers, redirects and
// authorisation included.
func (r *Registry) Requests() int { return int(r.requests.Load()) }

// Open implements document.Store.
func (r *Registry) Open(ctx context.Context, kind document.Kind, dgst digest.Digest) (io.ReadCloser, error) {
	ctx = quiet(ctx)
	f, err := r.resolver.Fetcher(ctx, r.ref)
	if err != nil {
		return nil, r.translate(ctx, err)
	}
	// containerd's client picks the endpoint by media type, and needs a size
	// only as a bound: ours is set by the reader of the bytes.
	desc := ocispec.Descriptor{Digest: dgst, Size: math.MaxInt64 - 1, MediaType: "application/octet-stream"}
	if kind == document.Manifest {
		desc.MediaType = ocispec.MediaTypeImageIndex
	}
	body, err := f.Fetch(ctx, desc)
	if err != nil {
		return nil, r.translate(ctx, err)
	}
	return &answer{ReadCloser: body, ctx: ctx, registry: r}, nil
}

// answer names the errors of a body; the client sends its request on the
// first Read.
type answer struct {
	io.ReadCloser
	ctx      context.Context
	registry *Registry
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = a.registry.translate(a.ctx, err)
	}
	return n, err
}

// translate turns the client's errors into ours, shortest true message first:
// it may end in a Kubernetes event of 300 bytes.
func (r *Registry) translate(ctx context.Context, err error) error {
	var status remoteerrors.ErrUnexpectedStatus
	var transport *url.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("%w: no answer in time: %w", ErrUnreachable, ctx.Err())
	case errdefs.IsNotFound(err):
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case errors.As(err, &status):
		if status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden {
			return r.denied(fmt.Errorf("%s: log in, or give the node credentials for it", status.Status))
		}
		return fmt.Errorf("%w: it answers %s to %s %s", ErrUnreachable, status.Status, status.RequestMethod, status.RequestURL)
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return r.denied(err)
	case errors.As(err, &transport):
		return fmt.Errorf("%w: %w", ErrUnreachable, transport.Err)
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// manifestTypes are the documents that an image can be made of.
var manifestTypes = strings.Join([]string{
	ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest,
	images.MediaTypeDockerSchema2ManifestList, images.MediaTypeDockerSchema2Manifest,
}, ", ")

// counting counts the requests that were answered.
type counting struct {
	next     http.RoundTripper
	answered *atomic.Int64
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	listing, _ := req.Context().Value(listingKey{}).(*listing)
	switch {
	case listing != nil:
		// containerd's client measures a list by the length before it is
		// unpacked.
		req = req.Clone(req.Context())
		req.Header.Set("Accept-Encoding", "identity")
	case strings.Contains(req.URL.Path, "/manifests/"):
		// containerd's client accepts the one type that it was told and
		// anything else; some registries then hide manifests of the others.
		// What the bytes are is settled by reading them.
		req = req.Clone(req.Context())
		req.Header.Set("Accept", manifestTypes)
	}
	resp, err := c.next.RoundTrip(req)
	if err == nil {
		c.answered.Add(1)
	}
	if listing != nil {
		listing.note(req, resp, err)
	}
	return resp, err
}

// quiet keeps containerd's client from writing to the standard logger: a
// verifier's output is its reason and nothing else.
func quiet(ctx context.Context) context.Context {
	silent := logrus.New()
	silent.SetOutput(io.Discard)
	return log.WithLogger(ctx, logrus.NewEntry(silent))
}
