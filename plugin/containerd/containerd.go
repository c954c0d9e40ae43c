// SPDX-License-Identifier: Apache-2.0

// Package containerd reads the configuration that a containerd runs with, finds
// what keeps it from asking image verifiers, and writes the lines that mend it.
//
// It changes no file and restarts nothing: see package node.
package containerd

// A Finding is one setting that turns verification off, or weakens it.
type Finding struct {
	// Setting is its path, as in
	// plugins."io.containerd.cri.v1.images".use_local_image_pull.
	Setting string
	// Value is what it is set to, as TOML.
	Value string
	// Effect is what happens because of it, on one line.
	Effect string
	// Remedy is the TOML that mends it, table header included.
	Remedy string
	// Fatal tells that verification is off because of it.
	Fatal bool
}

// A Want is what the node's configuration has to be.
type Want struct {
	// BinDir is the folder with plomb-verifier.
	BinDir string
	// RequireNRI is the name of the NRI plugin that containers may not be
	// created without; empty: none.
	RequireNRI string
}
