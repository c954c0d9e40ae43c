// SPDX-License-Identifier: Apache-2.0

// Package settings says where things are on a node: policy, trust, state,
// sockets. The verifier that containerd starts, the agent and the operator's
// commands read the same ones, so that they cannot differ in what they enforce.
//
// It opens none of them, except the node's configuration.
package settings

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/plombproject/plomb/verify/policy"
	"github.com/plombproject/plomb/verify/trust"
)

// ErrSettings reports a setting that cannot be meant.
var ErrSettings = errors.New("invalid setting")

const (
	// DefaultTimeout is below the 10 seconds that containerd gives a verifier
	// before it kills it without asking for a reason.
	DefaultTimeout = 8 * time.Second

	// DefaultTrustedRoot is read if PLOMB_TRUSTED_ROOT names none and it is there.
	DefaultTrustedRoot = "/etc/plomb/trusted_root.json"

	// DefaultSocket is where the agent listens for plomb-verifier.
	DefaultSocket = "/run/plomb/agent.sock"

	defaultPolicy     = "/etc/plomb/policy"
	defaultNotation   = "/etc/plomb/notation"
	defaultHosts      = "/etc/containerd/certs.d"
	defaultConfig     = "/etc/plomb/node.yaml"
	defaultState      = "/var/lib/plomb"
	defaultContainerd = "/run/containerd/containerd.sock"
)

// Settings are what a program on a node takes from its environment. For
// plomb-verifier that is containerd's.
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
	// Config is the file that Node is read from: PLOMB_NODE_CONFIG.
	Config string
	// State is the folder of what the node remembers: PLOMB_STATE.
	State string
	// Socket is where the agent listens for plomb-verifier: PLOMB_SOCKET.
	Socket string
	// Containerd is the path of containerd's socket: CONTAINERD_ADDRESS.
	Containerd string
	// Node is what Config says; its defaults if the file is not there.
	Node Node
}

// Mode is the file with the node's mode, written by plomb node.
func (s Settings) Mode() string { return filepath.Join(s.State, "mode.json") }

// Snapshot is the file with the digests that keep starting.
func (s Settings) Snapshot() string { return filepath.Join(s.State, "snapshot.json") }

// Canary is the file with the keys of the self-test.
func (s Settings) Canary() string { return filepath.Join(s.State, "canary.json") }

// Verdicts is the folder of remembered verdicts.
func (s Settings) Verdicts() string { return filepath.Join(s.State, "verdicts") }

// Receipts is the folder of the receipts.
func (s Settings) Receipts() string { return filepath.Join(s.State, "receipts") }

// BreakGlass is the file that admits everything for some hours. It lies beside
// the configuration: an administrator writes it, in need by hand.
func (s Settings) BreakGlass() string {
	return filepath.Join(filepath.Dir(s.Config), "break-glass.json")
}

// Control is the socket of the agent for plomb node and plomb import.
func (s Settings) Control() string { return filepath.Join(filepath.Dir(s.Socket), "control.sock") }

// Read reads the environment and fills in the defaults.
func Read(getenv func(string) string) (Settings, error) {
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
		Config:      or("PLOMB_NODE_CONFIG", defaultConfig),
		State:       or("PLOMB_STATE", defaultState),
		Socket:      or("PLOMB_SOCKET", DefaultSocket),
		Containerd:  or("CONTAINERD_ADDRESS", defaultContainerd),
	}
	if v := getenv("PLOMB_TIMEOUT"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return s, fmt.Errorf("%w: PLOMB_TIMEOUT is %q, want a duration such as 8s", ErrSettings, v)
		}
		s.Timeout = d
	}
	node, err := ReadNode(s.Config)
	if err != nil {
		return s, err
	}
	s.Node = node
	return s, nil
}
