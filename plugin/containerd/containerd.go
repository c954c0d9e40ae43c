// SPDX-License-Identifier: Apache-2.0

// Package containerd reads the configuration that a containerd runs with, finds
// what keeps it from asking image verifiers, and writes the lines that mend it.
//
// It changes no file and restarts nothing: see package node.
package containerd

import (
	"errors"
	"slices"
	"time"
)

// ErrConfig reports a configuration of containerd that cannot be read, or that
// these changes cannot be made to.
var ErrConfig = errors.New("containerd's configuration")

// A Finding is one setting that turns verification off, or weakens it.
type Finding struct {
	// Setting is its path, as in
	// plugins."io.containerd.cri.v1.images".use_local_image_pull.
	Setting string `json:"setting"`
	// Value is what it is set to, as TOML.
	Value string `json:"value"`
	// Effect is what happens because of it, on one line.
	Effect string `json:"effect"`
	// Remedy is the TOML that mends it, table header included, or, if Edit is
	// set, what to do to the main configuration.
	Remedy string `json:"remedy"`
	// At is the point of enforcement that it is about: AtPull or AtCreate.
	At string `json:"at"`
	// Fatal tells that verification there is off because of it, or is not made
	// sure of.
	Fatal bool `json:"fatal"`
	// Edit tells that no drop-in mends it: containerd merges imported files
	// into what is there and takes nothing away. Mend does.
	Edit bool `json:"edit,omitempty"`
}

// The points of enforcement.
const (
	AtPull   = "pull"
	AtCreate = "create"
)

// DefaultBinDir is where containerd looks for verifiers.
const DefaultBinDir = "/opt/containerd/image-verifier/bin"

// A Want is what the node's configuration has to be.
type Want struct {
	// BinDir is the folder with plomb-verifier.
	BinDir string
	// RequireNRI is the name of the NRI plugin that containers may not be
	// created without; empty: none.
	RequireNRI string
}

// A Report is what a configuration says about image verification.
type Report struct {
	// Findings are all, in the order of the checks.
	Findings []Finding `json:"findings"`
	// Facts are the settings that others need.
	Facts Facts `json:"facts"`
}

// Facts are settings of a configuration that others need.
type Facts struct {
	// Root and State are containerd's folders, Address its socket.
	Root    string `json:"root"`
	State   string `json:"state"`
	Address string `json:"address"`
	// BinDir is the folder of image verifiers, MaxVerifiers how many of it are
	// run (below 0: all), and PerVerifierTimeout how long each may take.
	BinDir             string        `json:"binDir"`
	MaxVerifiers       int           `json:"maxVerifiers"`
	PerVerifierTimeout time.Duration `json:"perVerifierTimeout"`
	// CRI tells that kubelet can use it.
	CRI bool `json:"cri"`
	// NRI tells that plugins can register, at NRISocket; RequiredNRI are those
	// without which no container is created.
	NRI         bool     `json:"nri"`
	NRISocket   string   `json:"nriSocket"`
	RequiredNRI []string `json:"requiredNRI,omitempty"`
	// HostsDir is where CRI looks for hosts.toml, and TransferHostsDir where
	// the transfer service does when it is asked by others.
	HostsDir         string `json:"hostsDir"`
	TransferHostsDir string `json:"transferHostsDir"`
	// Sandbox is the image of pods.
	Sandbox string `json:"sandbox"`
	// Imports are the patterns that drop-ins are looked for with.
	Imports []string `json:"imports,omitempty"`
}

// Fatal tells that a finding turns verification off, at any of the points given
// or, without one, anywhere.
func (r Report) Fatal(points ...string) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool {
		return f.Fatal && (len(points) == 0 || slices.Contains(points, f.At))
	})
}
