// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/plombproject/plomb/internal/strictjson"
)

const (
	// maxSBOM bounds an SBOM that is parsed, in bytes: what BuildKit lets a
	// frontend attach.
	maxSBOM = 80 << 20
	// maxListed bounds the packages of an image.
	maxListed = 500_000
	// maxComponents is how deeply components of CycloneDX may nest.
	maxComponents = 32
)

// listed is a package that a signed SBOM lists.
type listed struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	PURL     string   `json:"purl"`
	Licenses []string `json:"licenses"`
	Supplier string   `json:"supplier"`
}

// isSBOM reports whether a predicate of that type is an SBOM: SPDX or
// CycloneDX, of any version.
func isSBOM(predicateType string) bool {
	return isUnder(predicateType, "https://spdx.dev/Document") || isUnder(predicateType, "https://cyclonedx.org/bom")
}

func isUnder(uri, base string) bool {
	return uri == base || strings.HasPrefix(uri, base+"/")
}

// packages are what all signed SBOMs of the image list: those that welcome
// signers attested, and those that the provenance names by digest. One that is
// named and cannot be had, or cannot be read, is an error: it could be the one
// that lists the package in question.
func (f *facts) packages(ctx context.Context) ([]listed, error) {
	return f.inventory.get(func() ([]listed, error) {
		var all []listed
		found := false
		add := func(data []byte, whose string) error {
			list, err := readSBOM(data)
			if err != nil {
				return refuse(ErrSBOM, "attest it as SPDX 2 or CycloneDX in JSON", "%s: %w", whose, err)
			}
			found = true
			all = append(all, list...)
			return nil
		}
		for _, c := range f.claims {
			if !isSBOM(c.PredicateType) {
				continue
			}
			if err := add(c.Predicate, "that of "+c.Signer.String()); err != nil {
				return nil, err
			}
		}
		builds, err := f.builds()
		if err != nil && !errors.Is(err, ErrNoProvenance) {
			return nil, err
		}
		for i := range builds {
			for _, predicateType := range builds[i].names(isSBOM) {
				list, err := f.evidence.Byproducts(ctx, builds[i].claim, predicateType)
				if err != nil {
					return nil, byproductError(err, predicateType)
				}
				for _, data := range list {
					if err := add(data, "one that the provenance names"); err != nil {
						return nil, err
					}
				}
			}
		}
		if !found {
			return nil, refuse(ErrNoSBOM, "build with plomb, or attest an SBOM under the same authority", "neither an attestation nor a byproduct of the provenance")
		}
		return all, nil
	})
}

// byproductError tells a byproduct that is not the signed one from one that
// could not be fetched.
func byproductError(err error, predicateType string) error {
	if errors.Is(err, ErrByproduct) {
		return &ConditionError{Err: fmt.Errorf("%s: %w", predicateType, err), Remedy: "push the image with its attestations as they were built"}
	}
	return fmt.Errorf("%s: %w", predicateType, err)
}

// readSBOM lists the packages of an SPDX 2 or CycloneDX document in JSON.
// Whatever it calls a package or component counts, the image itself as well:
// here too much is safe.
func readSBOM(data []byte) ([]listed, error) {
	if len(data) > maxSBOM {
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", len(data), maxSBOM)
	}
	var doc struct {
		SPDXVersion string        `json:"spdxVersion"`
		Packages    []spdxPackage `json:"packages"`

		BOMFormat string       `json:"bomFormat"`
		Metadata  cdxMetadata  `json:"metadata"`
		Parts     []cdxPackage `json:"components"`
	}
	if err := strictjson.UnmarshalOpen(data, &doc); err != nil {
		return nil, err
	}
	var list []listed
	switch {
	case strings.HasPrefix(doc.SPDXVersion, "SPDX-2.") && doc.BOMFormat == "":
		for _, p := range doc.Packages {
			list = append(list, p.listed()...)
		}
	case doc.BOMFormat == "CycloneDX" && doc.SPDXVersion == "":
		if doc.Metadata.Component != nil {
			doc.Parts = append(doc.Parts, *doc.Metadata.Component)
		}
		if err := gather(&list, doc.Parts, 0); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("it has neither spdxVersion SPDX-2.x nor bomFormat CycloneDX")
	}
	if len(list) > maxListed {
		return nil, fmt.Errorf("it lists %d packages, at most %d are read", len(list), maxListed)
	}
	return list, nil
}

// spdxPackage is a package of SPDX 2 (https://spdx.github.io/spdx-spec/v2.3/package-information/).
type spdxPackage struct {
	Name      string `json:"name"`
	Version   string `json:"versionInfo"`
	Supplier  string `json:"supplier"`
	Declared  string `json:"licenseDeclared"`
	Concluded string `json:"licenseConcluded"`
	Refs      []struct {
		Type    string `json:"referenceType"`
		Locator string `json:"referenceLocator"`
	} `json:"externalRefs"`
}

// listed has an entry for each package URL of the package.
func (p *spdxPackage) listed() []listed {
	l := listed{Name: p.Name, Version: p.Version, Supplier: asserted(p.Supplier), Licenses: []string{}}
	for _, licence := range []string{p.Declared, p.Concluded} {
		if licence = asserted(licence); licence != "" && (len(l.Licenses) == 0 || l.Licenses[0] != licence) {
			l.Licenses = append(l.Licenses, licence)
		}
	}
	var list []listed
	for _, r := range p.Refs {
		if r.Type == "purl" {
			l.PURL = r.Locator
			list = append(list, l)
		}
	}
	if list == nil {
		list = append(list, l)
	}
	return list
}

func asserted(s string) string {
	if s == "NOASSERTION" || s == "NONE" {
		return ""
	}
	return s
}

type cdxMetadata struct {
	Component *cdxPackage `json:"component"`
}

// cdxPackage is a component of CycloneDX (https://cyclonedx.org/docs/1.6/json/).
type cdxPackage struct {
	Group    string `json:"group"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	PURL     string `json:"purl"`
	Supplier struct {
		Name string `json:"name"`
	} `json:"supplier"`
	Licenses []struct {
		Expression string `json:"expression"`
		License    struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"license"`
	} `json:"licenses"`
	Parts []cdxPackage `json:"components"`
}

func gather(list *[]listed, components []cdxPackage, depth int) error {
	if depth > maxComponents {
		return fmt.Errorf("components nest deeper than %d", maxComponents)
	}
	for _, c := range components {
		l := listed{Name: c.Name, Version: c.Version, PURL: c.PURL, Supplier: c.Supplier.Name, Licenses: []string{}}
		if c.Group != "" {
			l.Name = c.Group + "/" + c.Name
		}
		for _, licence := range c.Licenses {
			for _, text := range []string{licence.Expression, licence.License.ID, licence.License.Name} {
				if text != "" {
					l.Licenses = append(l.Licenses, text)
				}
			}
		}
		*list = append(*list, l)
		if err := gather(list, c.Parts, depth+1); err != nil {
			return err
		}
	}
	return nil
}
