// SPDX-License-Identifier: Apache-2.0

// Package judge asks verify about an image with what a node has: its policy,
// its trusted roots, its registries and their credentials.
//
// It remembers no verdict and admits nothing: see package admission.
package judge

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/plugin/canary"
	"github.com/plombproject/plomb/plugin/settings"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// A Judge decides about images for one node.
type Judge struct {
	// Settings say where everything is.
	Settings settings.Settings
	// Credentials gives, for an image, the user and secret for each host that
	// is asked about it; nil: none but those of hosts.toml.
	Credentials func(ctx context.Context, image string) func(host string) (user, secret string, err error)
	// Load reads the policy; nil reads it from the folder at each question.
	Load func() (*policy.Set, error)
	// Around wraps every place that is read; nil wraps nothing.
	Around func(evidence.Location) evidence.Location
	// Trust gives the trusted roots; nil reads them at each question.
	Trust verify.TrustSource
}

// A Question is one image, and how to get at it.
type Question struct {
	// Name is the fully qualified name; it says which policies are about it.
	Name string
	// Descriptor is what would be run; only its digest counts.
	Descriptor ocispec.Descriptor
	// Location is where the image is; nil is the registry in Name.
	Location evidence.Location
	// VerifiedBefore is verify.Request's.
	VerifiedBefore func(name string, dgst digest.Digest) bool
}

// Decide always gives a decision.
func (j *Judge) Decide(ctx context.Context, q Question) *decision.Decision {
	// containerd fetches from the host before the first slash. The policy must
	// be asked about the same one.
	if err := evidence.CheckQualified(q.Name); err != nil {
		return verify.Refused(q.Name, q.Descriptor, err, time.Now())
	}
	set, err := j.policyFor(q.Name)
	if err != nil {
		return verify.Refused(q.Name, q.Descriptor, err, time.Now())
	}
	if q.Location == nil {
		q.Location = j.Registry(ctx, q.Name)
	} else {
		q.Location = j.around(q.Location)
	}
	return verify.Verify(ctx, verify.Request{
		Name:           q.Name,
		Descriptor:     q.Descriptor,
		Policy:         set,
		Trust:          j.TrustSource(),
		Location:       q.Location,
		Locate:         func(repository string) (evidence.Location, error) { return j.Registry(ctx, repository), nil },
		Notation:       j.Settings.Notation,
		VerifiedBefore: q.VerifiedBefore,
	})
}

// policyFor is the set in force, or for a name that a proof of enforcement is
// about, that of the proof.
func (j *Judge) policyFor(name string) (*policy.Set, error) {
	set, ok, err := canary.Policy(j.Settings.Canary(), name, time.Now())
	if err != nil || ok {
		return set, err
	}
	return j.Policy()
}

// Policy is the set in force.
func (j *Judge) Policy() (*policy.Set, error) {
	if j.Load != nil {
		return j.Load()
	}
	return LoadPolicy(j.Settings)
}

// LoadPolicy reads the policy folder.
func LoadPolicy(s settings.Settings) (*policy.Set, error) {
	set, err := policy.Load(s.Policy)
	if err != nil {
		return nil, err
	}
	return set.WithNoMatch(s.NoMatch)
}

// TrustSource gives the trusted roots that the policies rest on.
func (j *Judge) TrustSource() verify.TrustSource {
	if j.Trust != nil {
		return j.Trust
	}
	return Installed(j.Settings)
}

// Installed are the trusted roots on disk.
func Installed(s settings.Settings) verify.TrustSource {
	return verify.Installed{File: s.TrustedRoot, Default: settings.DefaultTrustedRoot, Store: trust.Store{Dir: s.Trust}}
}

// Registry is the one in the name of an image, with the node's way to it and
// credentials for it.
func (j *Judge) Registry(ctx context.Context, name string) evidence.Location {
	opts := evidence.RegistryOptions{HostsDir: j.Settings.Hosts}
	if j.Credentials != nil {
		opts.Credentials = j.Credentials(ctx, name)
	}
	return j.around(evidence.NewRegistry(name, opts))
}

func (j *Judge) around(l evidence.Location) evidence.Location {
	if j.Around == nil {
		return l
	}
	return j.Around(l)
}
