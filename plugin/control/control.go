// SPDX-License-Identifier: Apache-2.0

// Package control is how plomb node, plomb import and the self-test speak to
// the agent: HTTP with JSON over a Unix socket that only root can open.
//
//	GET  /v1/status  →  Status
//	POST /v1/verify  Question → Answer
//
// It has the words and the client; the agent serves.
package control

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/plugin/admission"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/receipt"
)

// Schema identifies the JSON form of a Status. Added members do not change it.
const Schema = "https://plombproject.github.io/node-status/v1"

// Status is what the agent knows of itself and of the node.
type Status struct {
	Schema  string          `json:"schema"`
	Version string          `json:"version"`
	PID     int             `json:"pid"`
	Since   time.Time       `json:"since"`
	Node    string          `json:"node"`
	Mode    admission.State `json:"mode"`
	// BreakGlass is the one that is open.
	BreakGlass *admission.BreakGlass `json:"breakGlass,omitempty"`
	// Pinned is how many images the snapshot has, PinnedAt when it was taken.
	Pinned   int        `json:"pinned"`
	PinnedAt *time.Time `json:"pinnedAt,omitempty"`
	Policy   Loaded     `json:"policy"`
	Trust    Loaded     `json:"trust"`
	NRI      NRI        `json:"nri"`
	// ImageService is the socket of the proxy for kubelet; empty: off.
	ImageService string `json:"imageService,omitempty"`
	// Verdicts is how many are remembered.
	Verdicts int `json:"verdicts"`
	// SelfTest is how the last one ended; nil before the first.
	SelfTest *SelfTest `json:"selfTest,omitempty"`
	// Running are containers that run without a verdict that admits them.
	Running []Running `json:"running"`
	// Faults are what is wrong now, a line each.
	Faults []string `json:"faults"`
}

// Loaded is a policy or a set of trusted roots in force.
type Loaded struct {
	Digest digest.Digest `json:"digest,omitempty"`
	Where  string        `json:"where"`
	At     time.Time     `json:"at"`
	// Error is why what is on disk now is not in force; the last good one is.
	Error string `json:"error,omitempty"`
}

// NRI is the state of the connection to containerd.
type NRI struct {
	Connected bool       `json:"connected"`
	Since     *time.Time `json:"since,omitempty"`
	// Runtime is containerd and its version.
	Runtime string `json:"runtime,omitempty"`
	Error   string `json:"error,omitempty"`
}

// SelfTest is how a proof of enforcement ended.
type SelfTest struct {
	At        time.Time `json:"at"`
	Effective bool      `json:"effective"`
	Reason    string    `json:"reason,omitempty"`
}

// Running is a container without a verdict that admits it.
type Running struct {
	Subject string           `json:"subject"`
	Name    string           `json:"name"`
	Digest  digest.Digest    `json:"digest,omitempty"`
	Verdict decision.Verdict `json:"verdict"`
	Reason  string           `json:"reason"`
}

// Question asks about an image, which may be in containerd's store already.
type Question struct {
	Point  receipt.Point `json:"point"`
	Name   string        `json:"name"`
	Digest digest.Digest `json:"digest"`
	// Stored looks for the image and its evidence in containerd's store first.
	Stored bool `json:"stored,omitempty"`
}

// Answer is what the node makes of it.
type Answer struct {
	Admitted bool               `json:"admitted"`
	By       admission.By       `json:"by"`
	Line     string             `json:"line"`
	Decision *decision.Decision `json:"decision"`
}
