// SPDX-License-Identifier: Apache-2.0

package cyclonedx

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/plombproject/plomb/provenance/sbom"
)

func metadata(inv *sbom.Inventory, img sbom.Image) *cdx.Metadata {
	image := imageComponent(img)
	m := &cdx.Metadata{
		Timestamp: timestamp(img.Created), Component: &image,
		Authors: authors(img.Author), Manufacturer: manufacturer(img.Author),
		Properties: list(imageProperties(inv, img)),
	}
	if img.Generation == sbom.GenerationBuild {
		m.Lifecycles = &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhaseBuild}}
	}
	if tool := sbom.Text(img.Tool, sbom.MaxName); tool != "" {
		name, version := splitTool(tool)
		m.Tools = &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: name, Version: version}}}
	}
	return m
}

// splitTool is name and version of NAME-VERSION or NAME VERSION.
func splitTool(tool string) (name, version string) {
	at := strings.LastIndexAny(tool, " -")
	if at <= 0 || at == len(tool)-1 {
		return tool, ""
	}
	return tool[:at], tool[at+1:]
}

func imageProperties(inv *sbom.Inventory, img sbom.Image) properties {
	var p properties
	p.add(propPlatform, sbom.Text(img.Platform, sbom.MaxName))
	p.add(propLevel, string(inv.Level))
	if inv.Files > 0 {
		p.add(propFiles, strconv.Itoa(inv.Files))
	}
	shown := inv.Unread[:min(len(inv.Unread), sbom.MaxUnread)]
	for _, u := range shown {
		value, _ := json.Marshal(u) // strings always encode
		p.add(propUnread, string(value))
	}
	if more := len(inv.Unread) - len(shown); more > 0 {
		p.add(propMore, strconv.Itoa(more))
	}
	return p
}

// imageComponent is what the document is about. Its base image is an ancestor.
func imageComponent(img sbom.Image) cdx.Component {
	c := cdx.Component{
		BOMRef: imageRef, Type: cdx.ComponentTypeContainer, Supplier: entity(img.Supplier),
		Name: cmp.Or(sbom.Text(img.Name, sbom.MaxName), imageRef), Version: sbom.Text(img.ID, sbom.MaxName), Hashes: digestHash(img.ID),
	}
	if img.Base == nil {
		return c
	}
	base := cdx.Component{
		BOMRef: baseRef, Type: cdx.ComponentTypeContainer,
		Name: cmp.Or(sbom.Text(img.Base.Reference, sbom.MaxName), baseRef), Version: sbom.Text(img.Base.Digest, sbom.MaxName),
		Hashes: digestHash(img.Base.Digest), PackageURL: sbom.ValidPURL(img.Base.PURL),
	}
	if own := img.Base.SBOM; own != nil {
		base.ExternalReferences = &[]cdx.ExternalReference{{
			Type: cdx.ERTypeBOM, URL: own.Namespace, Hashes: hashes(map[string]string{"SHA1": own.SHA1}),
		}}
	}
	c.Pedigree = &cdx.Pedigree{Ancestors: &[]cdx.Component{base}}
	return c
}

func systemComponent(system *sbom.System, ref string) cdx.Component {
	var p properties
	p.add(propCodename, sbom.Text(system.Codename, sbom.MaxName))
	return cdx.Component{
		BOMRef: ref, Type: cdx.ComponentTypeOS,
		Name:    cmp.Or(sbom.Text(system.ID, sbom.MaxName), "unknown"),
		Version: sbom.Text(system.VersionID, sbom.MaxName), Description: sbom.Text(system.PrettyName, sbom.MaxText),
		Properties: list(p),
	}
}

// formulation is what the image was made with.
func formulation(inputs []sbom.Input, refs sbom.Identifiers) *[]cdx.Formula {
	var components []cdx.Component
	for i, in := range inputs {
		var p properties
		p.add(propUse, sbom.Text(in.Use, sbom.MaxName))
		c := cdx.Component{
			BOMRef: refs.Take("input-"+in.Name, strconv.Itoa(i), in.PURL+"\x00"+in.URI), Type: cdx.ComponentTypeFile,
			Name: cmp.Or(sbom.Text(in.Name, sbom.MaxName), "unknown"), Hashes: hashes(in.Checksums), PackageURL: sbom.ValidPURL(in.PURL),
		}
		if strings.HasPrefix(c.PackageURL, "pkg:docker/") || strings.HasPrefix(c.PackageURL, "pkg:oci/") {
			c.Type = cdx.ComponentTypeContainer
		}
		if address := sbom.WebAddress(in.URI); address != "" {
			c.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeDistribution, URL: address}}
		} else {
			p.add(propURI, sbom.Text(in.URI, sbom.MaxText))
		}
		c.Properties = list(p)
		components = append(components, c)
	}
	if len(components) == 0 {
		return nil
	}
	return &[]cdx.Formula{{Components: &components}}
}
