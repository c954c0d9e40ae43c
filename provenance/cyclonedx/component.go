// SPDX-License-Identifier: Apache-2.0

package cyclonedx

import (
	"cmp"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/plombproject/plomb/provenance/sbom"
)

// algorithms maps the model's names, which are SPDX's, to CycloneDX's. It has
// no SHA-224.
var algorithms = map[string]cdx.HashAlgorithm{
	"MD5": cdx.HashAlgoMD5, "SHA1": cdx.HashAlgoSHA1, "SHA256": cdx.HashAlgoSHA256,
	"SHA384": cdx.HashAlgoSHA384, "SHA512": cdx.HashAlgoSHA512,
}

// groups are the types of which CycloneDX writes the name in two parts, and
// what stands between them in the whole name.
var groups = map[string]string{"npm": "/", "maven": ":"}

var licenceRef = regexp.MustCompile(`LicenseRef-[A-Za-z0-9.\-]+`)

func itemComponent(item sbom.Item, ids []string, at int, single map[string]bool) cdx.Component {
	c := cdx.Component{
		BOMRef: ids[at], Type: cdx.ComponentTypeLibrary,
		Supplier: entity(item.Supplier), Authors: authors(item.Originator), Manufacturer: manufacturer(item.Originator),
		Version: sbom.Text(item.Version, sbom.MaxName), Description: sbom.Text(item.Summary, sbom.MaxText),
		Hashes: hashes(item.Checksums), PackageURL: sbom.ValidPURL(item.PURL),
	}
	c.Group, c.Name = splitName(item.Type, sbom.Text(item.Name, sbom.MaxName))
	if address := sbom.WebAddress(item.Homepage); address != "" {
		c.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeWebsite, URL: address}}
	}
	if occurrences := occurrences(item.Paths); occurrences != nil {
		c.Evidence = &cdx.Evidence{Occurrences: occurrences}
	}
	props := itemProperties(item, ids)
	c.Licenses = licences(item.Package, &props)
	addFileName(&props, item, single)
	c.Properties = list(props)
	return c
}

// splitName is group and name.
func splitName(kind, whole string) (group, name string) {
	separator := groups[kind]
	at := strings.LastIndex(whole, separator)
	if separator == "" || at <= 0 || at == len(whole)-1 {
		return "", cmp.Or(whole, "unknown")
	}
	return whole[:at], whole[at+1:]
}

func itemProperties(item sbom.Item, ids []string) properties {
	var p properties
	p.add(propBase, yes(item.Origin.Base))
	p.add(propLayer, sbom.Text(item.Origin.DiffID, sbom.MaxName))
	p.add(propInstruction, sbom.Text(item.Origin.Instruction, sbom.MaxText))
	if item.Origin.Line > 0 {
		p.add(propLine, strconv.Itoa(item.Origin.Line))
	}
	told := sbom.FromPURL(sbom.ValidPURL(item.PURL))
	if told.Type != item.Type {
		p.add(propType, sbom.Text(item.Type, sbom.MaxName))
	}
	if told.Arch != item.Arch {
		p.add(propArch, sbom.Text(item.Arch, sbom.MaxName))
	}
	p.add(propTop, yes(item.Top))
	if item.Source != nil {
		p.add(propSourceName, sbom.Text(item.Source.Name, sbom.MaxName))
		p.add(propSource, sbom.Text(item.Source.Version, sbom.MaxName))
	}
	for _, part := range item.Contains {
		p.add(propContains, ids[part])
	}
	for _, element := range sbom.Unknown(item) {
		p.add(propUnknown, element)
	}
	return p
}

// licences is the declared licence. A licence that is on nobody's list is
// there with its text; where it is part of an expression, which cannot hold
// one, the text is a property.
func licences(p sbom.Package, props *properties) *cdx.Licenses {
	if sbom.Expression(p.License) == "" {
		return nil
	}
	text := func(ref string) string {
		return sbom.Cut(strings.ToValidUTF8(p.Licenses[ref], "\uFFFD"), sbom.MaxLicence)
	}
	if licenceRef.FindString(p.License) == p.License {
		l := &cdx.License{Name: p.License, Acknowledgement: cdx.LicenseAcknowledgementDeclared}
		if found := text(p.License); found != "" {
			l.Text = &cdx.AttachedText{Content: found}
		}
		return &cdx.Licenses{{License: l}}
	}
	refs := licenceRef.FindAllString(p.License, -1)
	slices.Sort(refs)
	for _, ref := range slices.Compact(refs) {
		props.add(propLicence+ref, text(ref))
	}
	declared := cdx.LicenseAcknowledgementDeclared
	return &cdx.Licenses{{Expression: p.License, Acknowledgement: &declared}}
}

func hashes(sums map[string]string) *[]cdx.Hash {
	sums = sbom.Checksums(sums)
	var out []cdx.Hash
	for _, algorithm := range slices.Sorted(maps.Keys(sums)) {
		if name := algorithms[algorithm]; name != "" {
			out = append(out, cdx.Hash{Algorithm: name, Value: sums[algorithm]})
		}
	}
	return list(out)
}

func digestHash(digest string) *[]cdx.Hash {
	value, found := strings.CutPrefix(digest, "sha256:")
	if !found {
		return nil
	}
	return hashes(map[string]string{"SHA256": value})
}

func occurrences(paths []string) *[]cdx.EvidenceOccurrence {
	var out []cdx.EvidenceOccurrence
	for _, path := range paths[:min(len(paths), sbom.MaxPaths)] {
		out = append(out, cdx.EvidenceOccurrence{Location: path})
	}
	return list(out)
}

// singlePaths are the files that tell of one package only.
func singlePaths(items []sbom.Item) map[string]bool {
	single := map[string]bool{}
	for _, item := range items {
		for _, path := range item.Paths {
			_, twice := single[path]
			single[path] = !twice
		}
	}
	return single
}

// addFileName adds what BSI TR-03183-2 asks for of components that are one
// file. Of the types here those are Java archives; everything else is made of
// many files or is a part of one.
func addFileName(p *properties, item sbom.Item, single map[string]bool) {
	if item.Type != "maven" || len(item.Paths) != 1 || !single[item.Paths[0]] {
		return
	}
	p.add("bsi:component:filename", path.Base(item.Paths[0]))
	p.add("bsi:component:archive", "archive")
	p.add("bsi:component:structured", "structured")
}
