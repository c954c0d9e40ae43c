// SPDX-License-Identifier: Apache-2.0

package reproduce

import (
	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/decision"
)

// Schema identifies the JSON form of a Report. A change that would break a
// reader gets a new number; added members do not.
const Schema = "https://plombproject.github.io/reproduction/v1"

// Verdict is what came out.
type Verdict string

const (
	// Identical: the same image ID, so the same content of every layer and the
	// same config.
	Identical Verdict = "identical"
	// Differs: the sources that were signed make another image now.
	Differs Verdict = "differs"
	// Undecided: it could not be built, or not be compared.
	Undecided Verdict = "undecided"
)

// A Report is the outcome for one platform of an image.
type Report struct {
	Schema  string  `json:"schema"`
	Verdict Verdict `json:"verdict"`
	// Reason is one line for people.
	Reason   string         `json:"reason"`
	Image    decision.Image `json:"image"`
	Platform string         `json:"platform,omitempty"`
	// Verified tells that the provenance was verified, and Signer by whom it
	// was signed.
	Verified bool             `json:"verified"`
	Signer   *decision.Signer `json:"signer,omitempty"`
	Original *Side            `json:"original,omitempty"`
	Rebuilt  *Side            `json:"rebuilt,omitempty"`
	// SameManifest implies SameImageID.
	SameManifest bool `json:"sameManifest"`
	SameImageID  bool `json:"sameImageID"`
	// Manifest says why the manifests differ though the image ID is the same.
	Manifest []string `json:"manifest,omitempty"`
	// Config lists the members of the image config that differ.
	Config []Member `json:"config,omitempty"`
	// Layers lists the layers that differ.
	Layers []Layer `json:"layers,omitempty"`
	// Notes are what the provenance does not tell.
	Notes []string `json:"notes,omitempty"`
}

// A Side is one of the two images.
type Side struct {
	Manifest digest.Digest `json:"manifest"`
	Config   digest.Digest `json:"config"`
	Layers   int           `json:"layers"`
}

// A Member of the image config. What only one side has is empty on the other.
type Member struct {
	Name     string `json:"name"`
	Original string `json:"original"`
	Rebuilt  string `json:"rebuilt"`
}

// A Layer that differs.
type Layer struct {
	// Index counts from 0 at the bottom.
	Index int `json:"index"`
	// Instruction is the one that made the layer, from the image's history.
	Instruction string `json:"instruction"`
	// Original and Rebuilt are the digests of the uncompressed layers, empty
	// where a side has no such layer.
	Original digest.Digest `json:"original,omitempty"`
	Rebuilt  digest.Digest `json:"rebuilt,omitempty"`
	// Differences counts the files; Files lists the first of them.
	Differences int    `json:"differences"`
	Files       []File `json:"files"`
	// Note says what is to be said of the layer as a whole.
	Note string `json:"note,omitempty"`
}

// A File that differs.
type File struct {
	Path string `json:"path"`
	// Change is "changed", "only-original" or "only-rebuilt".
	Change string `json:"change"`
	// Differs names, for a changed file, what does: content, mode, owner,
	// mtime, link, kind, device, xattrs.
	Differs []string `json:"differs,omitempty"`
	// Cause is the likely one, Rule the id of the row that found it, and
	// Detail a sentence with the remedy, if there is one.
	Cause  Cause  `json:"cause"`
	Rule   string `json:"rule"`
	Detail string `json:"detail"`
}

const (
	changed      = "changed"
	onlyOriginal = "only-original"
	onlyRebuilt  = "only-rebuilt"
)

// Cause is a kind of reason why a build gives something else the next time.
type Cause string

const (
	Time    Cause = "time"
	Order   Cause = "order"
	Random  Cause = "random"
	Network Cause = "network"
	Locale  Cause = "locale"
	Source  Cause = "source"
	Unknown Cause = "unknown"
)
