// SPDX-License-Identifier: Apache-2.0

package sbom

import "math"

// A Layer is a report and where it came from.
type Layer struct {
	Report Report
	// Base marks the report of the base image's root filesystem, which comes
	// first; it may stand for several layers.
	Base bool
	// DiffID is the digest of the uncompressed layer, "" for a base.
	DiffID string
	// Instruction is the Dockerfile instruction, as the image's history has it.
	Instruction string
	// Line is where the instruction is in the Dockerfile, from 1; 0: not known.
	Line int
}

// An Inventory is what is in an image.
type Inventory struct {
	System *System
	// Items are sorted by type, name, version and architecture.
	Items []Item
	// Unread is what may hold packages that are not in Items.
	Unread []Unread
	// Files counts the entries looked at, over all reports.
	Files int
	// Level is LevelImage where Reduce left packages out, and else "".
	Level Level
	// Gaps counts, for what was read from a document, the packages of which the
	// document says in so many words that it does not know an element of
	// Unknown. It is nil for what Merge made.
	Gaps map[string]int
}

// An Item is one package of an image.
type Item struct {
	Package
	// Paths are the files that tell of it, sorted.
	Paths []string
	// Origin is the layer that brought it.
	Origin Origin
	// Needs are the indexes in Items of packages that it needs, ascending.
	Needs []int
	// Contains are the indexes in Items of packages that came as files of this
	// one, ascending.
	Contains []int
	// Unrelated is set for a package of a document that says neither what it is
	// part of nor what needs it or what it needs.
	Unrelated bool
}

// Origin is where a package came from.
type Origin struct {
	// Base is true for what the base image brought.
	Base        bool   `json:"base,omitempty"`
	DiffID      string `json:"layer,omitempty"`
	Instruction string `json:"instruction,omitempty"`
	Line        int    `json:"line,omitempty"`
}

// An Image is what the documents say of an image beside its packages.
type Image struct {
	// Name is the repository the image is meant for, or "" if nobody said.
	Name     string
	Platform string // os/architecture[/variant]
	// ID is the digest of the image config, sha256:….
	ID string
	// Base is the image it was built on, nil for scratch.
	Base *BaseImage
	// Inputs are images, downloads and repositories that the build used.
	Inputs []Input
	// Created is the time that the documents bear, in seconds since 1970, or
	// Undated.
	Created int64
	// Tool is the name and version of what wrote the documents.
	Tool string
	// Supplier is who makes the image, "Organization: X" or "Person: X (mail)",
	// "" if nobody was named.
	Supplier string
	// Author is who answers for the documents, "Organization: X" or
	// "Person: X (mail)", "" if nobody was named.
	Author string
	// Generation is when in the life of the software the list was made:
	// GenerationBuild, or "" if nobody said.
	Generation string
}

// Undated is the time of a document that has none.
const Undated = math.MinInt64

// GenerationBuild is the generation context of what plomb writes itself: the
// list was made while the image was built (CISA, 2025 Minimum Elements for a
// Software Bill of Materials).
const GenerationBuild = "build"

// BaseImage is the image in FROM of the target stage.
type BaseImage struct {
	Reference string // as in the Dockerfile, without the digest
	Digest    string // sha256:…, "" if not known
	PURL      string
	// SBOM is the base image's own, nil if it has none.
	SBOM *Document
}

// A Document is an SPDX document elsewhere.
type Document struct {
	Namespace string
	SHA1      string // lower-case hex
}

// Uses of an input.
const (
	UseTool       = "tool"       // its programs ran in the build
	UseDependency = "dependency" // files of it were copied
)

// An Input is something that the build used and that is not the base image.
type Input struct {
	Name string
	PURL string // "" for what has none
	URI  string
	// Checksums are hex by SPDX's names of algorithms.
	Checksums map[string]string
	Use       string
}
