// SPDX-License-Identifier: Apache-2.0

// Package rust finds the crates that a program was built from, in the section
// that cargo auditable leaves in it: JSON, compressed by zlib
// (https://github.com/rust-secure-code/cargo-auditable, PARSING.md). It reads
// ELF files.
//
// Programs that were built by plain cargo carry no such section, and nothing
// is guessed about them.
package rust

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/plombproject/plomb/frontend/catalog/ecosystem"
	"github.com/plombproject/plomb/frontend/catalog/executable"
	"github.com/plombproject/plomb/frontend/catalog/purl"
	"github.com/plombproject/plomb/internal/limit"
	"github.com/plombproject/plomb/provenance/sbom"
)

const (
	// maxSection and maxText bound the section, compressed and not: "it is
	// recommended to limit the size to 8 MiB" (cargo-auditable, PARSING.md).
	maxSection = 8 << 20
	maxText    = 8 << 20
	// maxCrates and maxEdges are more than any program is built from.
	maxCrates = 20_000
	maxEdges  = 400_000
)

// Readers returns the row for programs with an audit section.
func Readers() []ecosystem.Reader {
	return []ecosystem.Reader{{Name: "Rust program", Wants: executable.Wants, Max: executable.MaxSize, Read: read}}
}

func read(_ context.Context, t ecosystem.Tree, path string, info fs.FileInfo) ([]sbom.Package, error) {
	f, err := executable.Open(t, path, info)
	if err != nil || f == nil {
		return nil, err
	}
	defer f.Close()
	for _, name := range []string{executable.RustDeps, executable.RustDepsZero} {
		section, found, err := f.Section(name, maxSection)
		if err != nil {
			return nil, err
		}
		if found {
			return Section(section)
		}
	}
	return nil, nil
}

// A crate is one entry of the section.
type crate struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Source       string `json:"source"`
	Kind         string `json:"kind"` // build, or "" for runtime
	Dependencies []int  `json:"dependencies"`
	Root         bool   `json:"root"`
}

// Section returns the crates that the content of an audit section names: those
// that are in the program, not those that only ran when it was built.
func Section(content []byte) ([]sbom.Package, error) {
	text, err := inflate(content)
	if err != nil {
		return nil, fmt.Errorf("decompress the audit section: %w", err)
	}
	var listed struct {
		Packages []crate `json:"packages"`
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, fmt.Errorf("parse the audit section: %w", err)
	}
	if n := len(listed.Packages); n > maxCrates {
		return nil, fmt.Errorf("the audit section names %d crates, of which %d would be listed", n, maxCrates)
	}
	return packages(listed.Packages)
}

func inflate(content []byte) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return limit.ReadAll(z, maxText)
}

func packages(crates []crate) ([]sbom.Package, error) {
	var out []sbom.Package
	edges := 0
	for _, c := range crates {
		if c.Kind == "build" || c.Name == "" {
			continue
		}
		p := sbom.Package{
			Type: "cargo", Name: c.Name, Version: c.Version,
			PURL: purl.New("cargo", "", c.Name, c.Version),
			Top:  c.Root,
		}
		for _, i := range c.Dependencies {
			if i < 0 || i >= len(crates) {
				return nil, fmt.Errorf("the audit section has %d crates, and %s depends on number %d", len(crates), c.Name, i)
			}
			if edges++; edges > maxEdges {
				return nil, errors.New("the audit section has too many dependencies")
			}
			if crates[i].Kind != "build" && crates[i].Name != "" {
				p.Requires = append(p.Requires, []string{crates[i].Name})
			}
		}
		out = append(out, p)
	}
	return out, nil
}
