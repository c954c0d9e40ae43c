// SPDX-License-Identifier: Apache-2.0

// Package credentials finds the user and the secret that a registry wants, in
// the places where a node has them, the first that knows one:
//
//  1. lent by the proxy before the image service, for one pull (Lent);
//  2. kubelet's credential provider plugins (provider.go, KEP-2133);
//  3. config.json files of Docker and kubelet, with Docker's credential
//     helpers (docker.go, helper.go);
//  4. a static file that only root can read, in the same form.
//
// Headers and client certificates of hosts.toml belong to containerd's client,
// which verify/evidence uses; they are sent beside what is found here. Who
// finds nothing is anonymous.
//
// A secret is given to the host that it is for and to no other: neither to a
// mirror nor to where a registry redirects to. No error holds one. It decides
// nothing about an image: without credentials less can be read, and what cannot
// be read admits nothing.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/reference"

	"github.com/plombproject/plomb/plugin/settings"
)

var (
	// ErrSource reports a place for credentials that could not be asked: a file
	// that cannot be read or understood, a program that fails.
	ErrSource = errors.New("credentials cannot be had")

	// ErrProgram reports a provider or helper that was not run, or whose answer
	// was none.
	ErrProgram = errors.New("credential program failed")

	// ErrServiceAccount reports a provider that wants a token of the pod's
	// service account, which kubelet alone can have.
	ErrServiceAccount = errors.New("provider wants a service account token")
)

// DefaultTimeout bounds one program. It is below the 8 seconds that a whole
// verification has, so that the registry can still be asked without.
const DefaultTimeout = 4 * time.Second

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 1 << 20

// A secret is what a registry is given. An empty user is an identity token.
type secret struct{ user, secret string }

func (s secret) empty() bool { return s.user == "" && s.secret == "" }

// String keeps a secret out of whatever formats it by mistake.
func (s secret) String() string { return "(secret)" }

// GoString is String for %#v.
func (s secret) GoString() string { return s.String() }

// A source is one place for credentials; empty means that it has none.
type source interface {
	lookup(ctx context.Context, t target) (secret, error)
}

// A Chain is the places of a node, in order. It is safe for parallel use.
type Chain struct {
	// Lent are secrets of pulls that are under way. Never nil.
	Lent    *Lent
	sources []source
}

// New makes the chain that the configuration describes. Files are read when a
// registry asks for credentials, each time, so that a change needs no restart.
func New(c settings.Credentials) *Chain {
	chain := &Chain{Lent: NewLent()}
	runner := programs{timeout: DefaultTimeout}
	if c.KubeletProviderConfig != "" {
		chain.sources = append(chain.sources, newProviders(c.KubeletProviderConfig, c.KubeletProviderDir, runner))
	}
	helpers := nodeHelpers(runner)
	for _, path := range c.DockerConfigs {
		chain.sources = append(chain.sources, &dockerFile{path: path, helpers: helpers})
	}
	if c.Static != "" {
		chain.sources = append(chain.sources, &dockerFile{path: c.Static, helpers: helpers, private: true})
	}
	return chain
}

// For is what the registry client is given for one image: it asks for the user
// and secret of a host, which is the image's registry or a mirror of it, or
// whatever either redirects to. Two empty strings mean that there are none.
//
// A source that fails does not hide the next one, as with kubelet: credentials
// only open the door to evidence, and prove nothing. If no other has any, the
// failures are the error, and whoever asks may go on without, and must tell
// them if access is then denied.
func (c *Chain) For(ctx context.Context, image string) func(host string) (user, secret string, err error) {
	return func(host string) (string, string, error) {
		t, err := newTarget(image, host)
		if err != nil {
			return "", "", err
		}
		if found, ok := c.Lent.lookup(t); ok {
			return found.user, found.secret, nil
		}
		var faults []error
		for _, s := range c.sources {
			found, err := s.lookup(ctx, t)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			if !found.empty() {
				return found.user, found.secret, nil
			}
		}
		return "", "", errors.Join(faults...)
	}
}

// hub is how Docker's registry calls itself in image names.
const hub = "docker.io"

// A target is what credentials are wanted for.
type target struct {
	// image is the reference as containerd writes it.
	image string
	// host wants them; "docker.io" for all names of Docker's registry.
	host string
	// name is what kubelet would look up: host and path, without tag or digest.
	name string
}

func newTarget(image, host string) (target, error) {
	ref, err := reference.ParseDockerRef(image)
	if err != nil {
		return target{}, fmt.Errorf("%w: image name: %w", ErrSource, err)
	}
	if host == "" || strings.ContainsAny(host, "/@ ") {
		return target{}, fmt.Errorf("%w: %q is no registry", ErrSource, host)
	}
	host = canonical(host)
	return target{image: ref.String(), host: host, name: host + "/" + reference.Path(ref)}, nil
}

// canonical gives the several names of Docker's registry one; every other host
// is itself.
func canonical(host string) string {
	host = strings.ToLower(host)
	switch host {
	case "registry-1.docker.io", "index.docker.io":
		return hub
	}
	return host
}
