// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"cmp"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance/sbom"
)

// A packageNote is what the annotation of a package holds, as JSON: where it
// came from, and the little that SPDX has no field for.
type packageNote struct {
	sbom.Origin
	// Full is the index among the image's origins of the one with the whole
	// instruction, from 1, where this one is cut short.
	Full  int      `json:"origin,omitempty"`
	Paths []string `json:"paths,omitempty"`
	Top   bool     `json:"top,omitempty"`
	// Type and Arch, where no package URL tells them.
	Type string `json:"type,omitempty"`
	Arch string `json:"arch,omitempty"`
	// Source, where the name is the package's own or has a space in it.
	Source *sbom.Source `json:"source,omitempty"`
	// Unknown are the minimum elements that nobody knows and that SPDX has no
	// NOASSERTION for.
	Unknown []string `json:"unknown,omitempty"`
}

// An imageNote is what the annotation of the image holds.
type imageNote struct {
	Platform string       `json:"platform,omitempty"`
	System   *sbom.System `json:"system,omitempty"`
	// Level is set where packages are left out on purpose.
	Level sbom.Level `json:"level,omitempty"`
	// Files counts the entries that were looked at.
	Files int `json:"files,omitempty"`
	// Origins are the layers that packages came from, in order of their lines.
	Origins []sbom.Origin `json:"origins,omitempty"`
	// Unread is what may hold packages that the document lacks.
	Unread []sbom.Unread `json:"unread,omitempty"`
	// More counts what is unread beyond that list.
	More int `json:"unreadMore,omitempty"`
}

// An inputNote is what the annotation of an input holds.
type inputNote struct {
	Use string `json:"use,omitempty"`
	URI string `json:"uri,omitempty"`
}

// maxInstruction bounds what each package repeats of its instruction, in bytes.
const maxInstruction = 160

// origins are the distinct origins of packages.
func origins(items []sbom.Item) []sbom.Origin {
	seen := map[sbom.Origin]bool{}
	var out []sbom.Origin
	for _, item := range items {
		if !seen[item.Origin] && item.Origin != (sbom.Origin{}) {
			seen[item.Origin] = true
			out = append(out, item.Origin)
		}
	}
	slices.SortFunc(out, compareOrigins)
	return out
}

func compareOrigins(a, b sbom.Origin) int {
	return cmp.Or(
		-compareBools(a.Base, b.Base), cmp.Compare(a.Line, b.Line),
		strings.Compare(a.DiffID, b.DiffID), strings.Compare(a.Instruction, b.Instruction),
	)
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func noteOf(item sbom.Item, origins []sbom.Origin) packageNote {
	note := packageNote{Origin: item.Origin, Paths: item.Paths, Top: item.Top, Source: item.Source}
	if short := sbom.Cut(note.Instruction, maxInstruction); short != note.Instruction {
		at, _ := slices.BinarySearchFunc(origins, item.Origin, compareOrigins)
		note.Instruction, note.Full = short, at+1
	}
	if len(note.Paths) > sbom.MaxPaths {
		note.Paths = note.Paths[:sbom.MaxPaths]
	}
	told := sbom.FromPURL(sbom.ValidPURL(item.PURL))
	if told.Type != item.Type {
		note.Type = item.Type
	}
	if told.Arch != item.Arch {
		note.Arch = item.Arch
	}
	if sourceInfo(item.Source) != "" {
		note.Source = nil
	}
	note.Unknown = slices.DeleteFunc(sbom.Unknown(item), func(element string) bool {
		return element == sbom.ElementSupplier || element == sbom.ElementLicence
	})
	return note
}
