// SPDX-License-Identifier: Apache-2.0

// Package receipt keeps the proof of every decision: one JSON line each, chained
// by hashes, in files that are only ever appended to. docs/receipts.md is its
// specification.
//
// It decides nothing, and a receipt once written is never changed: line.go has
// the form of a line, log.go and write.go add lines, tail.go finds where to go
// on, folder.go guards the folder, checkpoint.go signs, check.go finds out
// whether it is all still there.
package receipt

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/decision"
)

// Schema identifies the JSON form of a Receipt. Added members do not change it.
const Schema = "https://plombproject.github.io/receipt/v1"

// Point is where a decision was asked for.
type Point string

const (
	// Build: by the frontend, about a base image.
	Build Point = "build"
	// Pull: by containerd, before it fetches.
	Pull Point = "pull"
	// Create: by containerd, before a container is made of an image on the node.
	Create Point = "create"
	// Import: by plomb import.
	Import Point = "import"
	// Running: by the agent, about a container that it found running.
	Running Point = "running"
	// Check: by a person or a self-test; nothing depended on it.
	Check Point = "check"
	// Mode: the node's mode, snapshot or break-glass was changed.
	Mode Point = "mode"
	// SelfTest: the agent tried whether enforcement is live. Allow: it is.
	SelfTest Point = "self-test"
)

// A Receipt is one decision, and what became of it.
type Receipt struct {
	Schema string    `json:"schema"`
	Time   time.Time `json:"time"`
	Node   string    `json:"node"`
	Point  Point     `json:"point"`
	// Name and Digest are what was asked about.
	Name   string        `json:"name"`
	Digest digest.Digest `json:"digest,omitempty"`
	// Indexes, Manifests and Configs are other digests of the same image, as
	// far as this node could run it.
	Indexes   []digest.Digest `json:"indexes,omitempty"`
	Manifests []digest.Digest `json:"manifests,omitempty"`
	Configs   []digest.Digest `json:"configs,omitempty"`
	// Verdict, Code and Reason are the decision's.
	Verdict decision.Verdict `json:"verdict"`
	Code    string           `json:"code,omitempty"`
	Reason  string           `json:"reason"`
	// Admitted tells what containerd was told, By what said so, Mode the mode
	// of the node, and Note why an image was admitted against the verdict.
	Admitted bool   `json:"admitted"`
	By       string `json:"by"`
	Mode     string `json:"mode,omitempty"`
	Note     string `json:"note,omitempty"`
	// Rules are the policies that matched, Signers who signed.
	Rules   []decision.Rule   `json:"rules,omitempty"`
	Signers []decision.Signer `json:"signers,omitempty"`
	// Bundles, Policy and TrustRoots are what the verdict rests on.
	Bundles    []digest.Digest `json:"bundles,omitempty"`
	Policy     digest.Digest   `json:"policy,omitempty"`
	TrustRoots []digest.Digest `json:"trustRoots,omitempty"`
	// Verifier is the program and its version.
	Verifier string `json:"verifier"`
	// Cached tells that the verdict is an earlier one, of DecidedAt.
	Cached    bool      `json:"cached,omitempty"`
	DecidedAt time.Time `json:"decidedAt"`
	// Subject is the pod and container, for Create and Running.
	Subject string `json:"subject,omitempty"`
	// Abridged tells that parts were left out to keep the line below MaxLine.
	Abridged bool `json:"abridged,omitempty"`
	// Previous is the SHA-256 of the line before, without its line feed; empty
	// in the first of a chain. Append sets it.
	Previous digest.Digest `json:"previous,omitempty"`
}

// Of is the receipt of a decision, without what only its caller knows: Time,
// Node, Point, Subject, and what became of it.
func Of(d *decision.Decision) Receipt {
	r := Receipt{
		Schema: Schema, Name: decision.OneLine(d.Image.Name), Digest: d.Image.Digest,
		Indexes: d.Basis.Indexes, Manifests: d.Basis.Manifests, Configs: d.Basis.Configs,
		Verdict: d.Verdict, Code: d.Code, Reason: decision.OneLine(d.Reason),
		Rules: d.Rules, Bundles: d.Basis.Bundles,
		Policy: d.Basis.Policy, TrustRoots: d.Basis.TrustRoots,
		DecidedAt: d.DecidedAt,
	}
	for _, m := range d.Manifests {
		r.Signers = append(r.Signers, m.Signers...)
	}
	return r
}
