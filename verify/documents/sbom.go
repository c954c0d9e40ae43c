// SPDX-License-Identifier: Apache-2.0

package documents

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/plombproject/plomb/provenance/cyclonedx"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/spdx"
)

// ErrFormat reports a document that is no SBOM of a known format.
var ErrFormat = errors.New("not an SBOM that plomb can read")

// A Format is how an SBOM is written.
type Format string

// Formats.
const (
	SPDX      Format = "spdx"      // SPDX 2.2 and 2.3 in JSON
	CycloneDX Format = "cyclonedx" // CycloneDX in JSON
)

// An SBOM is a document that has been read.
type SBOM struct {
	// Data are the bytes of the document.
	Data      []byte
	Format    Format
	Inventory *sbom.Inventory
	Image     *sbom.Image
}

// readers are the formats that can be read.
var readers = map[Format]func([]byte) (*sbom.Inventory, *sbom.Image, error){SPDX: spdx.Read, CycloneDX: cyclonedx.Read}

// ParseSBOM reads a document, whoever wrote it.
func ParseSBOM(data []byte) (*SBOM, error) {
	format, err := formatOf(data)
	if err != nil {
		return nil, err
	}
	inv, img, err := readers[format](data)
	if err != nil {
		return nil, err
	}
	return &SBOM{Data: data, Format: format, Inventory: inv, Image: img}, nil
}

// formatOf looks at the members that each format requires.
func formatOf(data []byte) (Format, error) {
	var marks struct {
		SPDXVersion string `json:"spdxVersion"`
		BOMFormat   string `json:"bomFormat"`
	}
	if err := json.Unmarshal(data, &marks); err != nil {
		return "", fmt.Errorf("%w: %w", ErrFormat, err)
	}
	switch {
	case marks.SPDXVersion != "" && marks.BOMFormat == "":
		return SPDX, nil
	case marks.BOMFormat == "CycloneDX" && marks.SPDXVersion == "":
		return CycloneDX, nil
	}
	return "", fmt.Errorf("%w: it has neither spdxVersion nor bomFormat CycloneDX; SPDX 2 and CycloneDX in JSON can be read", ErrFormat)
}

// Write returns the SBOM in a format at a level. In its own format and whole, it
// is the document as it was read.
func (s *SBOM) Write(format Format, level sbom.Level) ([]byte, error) {
	if format == s.Format && (level != sbom.LevelImage || s.Inventory.Level == sbom.LevelImage) {
		return s.Data, nil
	}
	inv := sbom.Reduce(s.Inventory, level)
	if format == CycloneDX {
		return cyclonedx.Write(inv, *s.Image)
	}
	return spdx.Packages(inv, *s.Image, nil)
}

// A File is one file of a file-level document.
type File struct {
	Path, SHA256 string
}

// Files lists the files of an SPDX document, sorted by path.
func Files(data []byte) ([]File, error) {
	var doc struct {
		Files []struct {
			Name      string `json:"fileName"`
			Checksums []struct {
				Algorithm string `json:"algorithm"`
				Value     string `json:"checksumValue"`
			} `json:"checksums"`
		} `json:"files"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	list := make([]File, 0, len(doc.Files))
	for _, f := range doc.Files {
		file := File{Path: strings.TrimPrefix(f.Name, ".")}
		for _, sum := range f.Checksums {
			if sum.Algorithm == "SHA256" {
				file.SHA256 = sum.Value
			}
		}
		list = append(list, file)
	}
	slices.SortFunc(list, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}
