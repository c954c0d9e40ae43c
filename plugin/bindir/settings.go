// SPDX-License-Identifier: Apache-2.0

package bindir

import (
	"context"
	"fmt"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/evidence"
	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

const (
	// DefaultTimeout is below the 10 seconds that containerd gives a verifier
	// before it kills it without asking for a reason.
	DefaultTimeout = 8 * time.Second

	defaultPolicy      = "/etc/plomb/policy"
	defaultTrustedRoot = "/etc/plomb/trusted_root.json"
	defaultNotation    = "/etc/plomb/notation"
	defaultHosts       = "/etc/containerd/certs.d"
)

// Settings are what the verifier takes from its environment, which is
// containerd's.
type Settings struct {
	// Policy is the policy folder: PLOMB_POLICY.
	Policy string
	// NoMatch says what becomes of an image that no policy is about:
	// PLOMB_NO_MATCH_POLICY, deny by default.
	NoMatch policy.NoMatch
	// TrustedRoot is the trusted_root.json: PLOMB_TRUSTED_ROOT. Empty: the
	// default one if it is there, else all instances of Trust.
	TrustedRoot string
	// Trust is the folder with trust instances: PLOMB_TRUST.
	Trust string
	// Notation is the folder with trust stores and revocation lists for Notary
	// Project signatures: PLOMB_NOTATION.
	Notation string
	// Hosts is a folder in containerd's certs.d form: PLOMB_HOSTS.
	Hosts string
	// Timeout bounds one verification: PLOMB_TIMEOUT, as Go writes durations.
	Timeout time.Duration
}

// ReadSettings reads the environment and fills in the defaults.
func ReadSettings(getenv func(string) string) (Settings, error) {
	or := func(name, fallback string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return fallback
	}
	s := Settings{
		Policy:      or("PLOMB_POLICY", defaultPolicy),
		NoMatch:     policy.NoMatch(or("PLOMB_NO_MATCH_POLICY", string(policy.NoMatchDeny))),
		TrustedRoot: or("PLOMB_TRUSTED_ROOT", ""),
		Trust:       or("PLOMB_TRUST", trust.DefaultStore),
		Notation:    or("PLOMB_NOTATION", defaultNotation),
		Hosts:       or("PLOMB_HOSTS", defaultHosts),
		Timeout:     DefaultTimeout,
	}
	if v := getenv("PLOMB_TIMEOUT"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return s, fmt.Errorf("%w: PLOMB_TIMEOUT is %q, want a duration such as 8s", ErrCall, v)
		}
		s.Timeout = d
	}
	return s, nil
}

// Verify decides about an image with the policy and the trusted root as they
// are on disk now.
func (s Settings) Verify(ctx context.Context, name string, desc ocispec.Descriptor) *decision.Decision {
	// containerd fetches from the host before the first slash. The policy must
	// be asked about the same one.
	if err := evidence.CheckQualified(name); err != nil {
		return verify.Refused(name, desc, err, time.Now())
	}
	set, err := policy.Load(s.Policy)
	if err == nil {
		set, err = set.WithNoMatch(s.NoMatch)
	}
	if err != nil {
		return verify.Refused(name, desc, err, time.Now())
	}
	return verify.Verify(ctx, verify.Request{
		Name:       name,
		Descriptor: desc,
		Policy:     set,
		Trust:      verify.Installed{File: s.TrustedRoot, Default: defaultTrustedRoot, Store: trust.Store{Dir: s.Trust}},
		Location:   evidence.NewRegistry(name, evidence.RegistryOptions{HostsDir: s.Hosts}),
		Locate: func(repository string) (evidence.Location, error) {
			return evidence.NewRegistry(repository, evidence.RegistryOptions{HostsDir: s.Hosts}), nil
		},
		Notation: s.Notation,
	})
}
