// SPDX-License-Identifier: Apache-2.0

package cyclonedx

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/plombproject/plomb/provenance/sbom"
)

// inventory makes items of the components that are packages, in the model's
// order, and links them.
func (r *reading) inventory() *sbom.Inventory {
	p := values{}
	if r.bom.Metadata != nil {
		p = propertiesOf(r.bom.Metadata.Properties)
	}
	inv := &sbom.Inventory{Gaps: map[string]int{}, System: r.system, Files: p.number(propFiles), Unread: r.unread(p)}
	if p.first(propLevel) == string(sbom.LevelImage) {
		inv.Level = sbom.LevelImage
	}
	var list []sbom.Item
	var from []int // index in found, of each of list
	for i, f := range r.found {
		if f.item {
			item := itemOf(f.Component)
			item.Unrelated = f.parent < 0
			inv.Count(item, propertiesOf(f.Properties)[propUnknown])
			list, from = append(list, item), append(from, i)
		}
	}
	sorted, at := sbom.Order(list)
	inv.Items = sorted
	order := slices.Repeat([]int{-1}, len(r.found))
	for n, i := range from {
		order[i] = at[n]
	}
	r.link(inv, order)
	return inv
}

func itemOf(c *cdx.Component) sbom.Item {
	p := propertiesOf(c.Properties)
	purl := sbom.ValidPURL(c.PackageURL)
	told := sbom.FromPURL(purl)
	item := sbom.Item{
		Package: sbom.Package{
			Type: cmp.Or(p.first(propType), told.Type, "generic"), Version: c.Version, PURL: purl,
			Arch:     cmp.Or(p.first(propArch), told.Arch),
			Supplier: agentOf(c.Supplier), Originator: makerOf(c.Authors, c.Manufacturer),
			Summary: c.Description, Checksums: sums(c.Hashes), Top: p.first(propTop) == "true",
		},
		Paths: pathsOf(c, p),
		Origin: sbom.Origin{
			Base: p.first(propBase) == "true", DiffID: p.first(propLayer),
			Instruction: p.first(propInstruction), Line: p.number(propLine),
		},
	}
	item.Name = sbom.WholeName(purl, join(item.Type, c.Group, c.Name))
	item.License, item.Licenses = licenceOf(c.Licenses, p)
	if name := p.first(propSourceName, "aquasecurity:trivy:SrcName"); name != "" {
		item.Source = &sbom.Source{Name: name, Version: p.first(propSource, "aquasecurity:trivy:SrcVersion")}
	}
	for _, ref := range all(c.ExternalReferences) {
		if ref.Type == cdx.ERTypeWebsite && item.Homepage == "" {
			item.Homepage = ref.URL
		}
	}
	return item
}

// join is the whole name of group and name.
func join(kind, group, name string) string {
	if separator := groups[kind]; group != "" && separator != "" {
		return group + separator + name
	}
	return name
}

// pathsOf is the evidence; syft and Trivy have it as properties.
func pathsOf(c *cdx.Component, p values) []string {
	var out []string
	if c.Evidence != nil {
		for _, o := range all(c.Evidence.Occurrences) {
			out = append(out, o.Location)
		}
	}
	for name, values := range p {
		if strings.HasPrefix(name, "syft:location:") && strings.HasSuffix(name, ":path") || name == "aquasecurity:trivy:FilePath" {
			out = append(out, values...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

var notInRef = regexp.MustCompile(`[^A-Za-z0-9.\-]+`)

// licenceOf makes one expression of what a component has.
func licenceOf(choices *cdx.Licenses, p values) (string, map[string]string) {
	if choices == nil {
		return "", nil
	}
	var terms []string
	texts := map[string]string{}
	for _, choice := range *choices {
		switch {
		case choice.Expression != "":
			terms = append(terms, choice.Expression)
		case choice.License == nil:
		case choice.License.ID != "":
			terms = append(terms, choice.License.ID)
		case choice.License.Name != "":
			terms = append(terms, named(choice.License, texts))
		}
	}
	if len(terms) > 1 {
		for i, term := range terms {
			if strings.Contains(term, " ") {
				terms[i] = "(" + term + ")"
			}
		}
	}
	expression := strings.Join(terms, " AND ")
	for _, ref := range licenceRef.FindAllString(expression, -1) {
		if found := p.first(propLicence + ref); found != "" {
			texts[ref] = found
		}
	}
	if len(texts) == 0 {
		texts = nil
	}
	return expression, texts
}

// named makes a reference of a licence that has only a name.
func named(l *cdx.License, texts map[string]string) string {
	ref := l.Name
	if licenceRef.FindString(ref) != ref {
		ref = "LicenseRef-" + strings.Trim(notInRef.ReplaceAllString(l.Name, "-"), "-")
		texts[ref] = l.Name
	}
	if l.Text != nil && l.Text.Encoding == "" && l.Text.Content != "" {
		texts[ref] = l.Text.Content
	}
	return ref
}

func sums(list *[]cdx.Hash) map[string]string {
	named := map[string]string{}
	for _, h := range all(list) {
		for name, algorithm := range algorithms {
			if h.Algorithm == algorithm {
				named[name] = h.Value
			}
		}
	}
	return sbom.Checksums(named)
}

// link resolves what depends on what, and what is part of what.
func (r *reading) link(inv *sbom.Inventory, order []int) {
	itemAt := func(ref string) int {
		if i, there := r.at[ref]; there {
			return order[i]
		}
		return -1
	}
	for _, d := range all(r.bom.Dependencies) {
		for _, ref := range all(d.Dependencies) {
			whole, part := itemAt(d.Ref), itemAt(ref)
			inv.Need(whole, part)
			for _, item := range []int{whole, part} {
				if item >= 0 {
					inv.Items[item].Unrelated = false
				}
			}
		}
	}
	for i, f := range r.found {
		if f.parent >= 0 {
			inv.Contain(order[f.parent], order[i])
		}
		for _, ref := range propertiesOf(f.Properties)[propContains] {
			inv.Contain(order[i], itemAt(ref))
		}
	}
	inv.Tidy()
}
