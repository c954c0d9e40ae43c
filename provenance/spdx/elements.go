// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"cmp"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/plombproject/plomb/provenance/sbom"
)

// Purposes of a package (SPDX 2.3, 7.24), as the JSON schema spells them.
const (
	purposeContainer = "CONTAINER"
	purposeSystem    = "OPERATING_SYSTEM"
)

// builtFrom is how sourceInfo names a source package. Trivy reads it to look up
// the vulnerabilities of the source.
const builtFrom = "built package from: "

// newPackage has what every package says, known or not.
func newPackage(id common.ElementID, name string) *v2_3.Package {
	return &v2_3.Package{
		PackageName:             cmp.Or(sbom.Text(name, sbom.MaxName), noAssertion),
		PackageSPDXIdentifier:   id,
		PackageSupplier:         supplier(""),
		PackageDownloadLocation: noAssertion,
		PackageLicenseDeclared:  noAssertion,
	}
}

// supplier is an agent, or NOASSERTION.
func supplier(agent string) *common.Supplier {
	if kind, name := sbom.Agent(agent); kind != "" {
		return &common.Supplier{SupplierType: kind, Supplier: name}
	}
	return &common.Supplier{Supplier: noAssertion}
}

func imagePackage(inv *sbom.Inventory, img sbom.Image, s stamp) *v2_3.Package {
	p := newPackage(imageID, cmp.Or(img.Name, imageID))
	p.PackageSupplier = supplier(img.Supplier)
	p.PackageVersion = sbom.Text(img.ID, sbom.MaxName)
	p.PrimaryPackagePurpose = purposeContainer
	if p.PackageChecksums = digestChecksum(img.ID); p.PackageChecksums != nil {
		p.PackageComment = "Version and checksum are those of the image config, the image ID."
	}
	p.Annotations = s.annotation(imageNoteOf(inv, img))
	return p
}

func imageNoteOf(inv *sbom.Inventory, img sbom.Image) imageNote {
	note := imageNote{
		Platform: sbom.Text(img.Platform, sbom.MaxName), System: inv.System, Level: inv.Level,
		Files: inv.Files, Origins: origins(inv.Items), Unread: inv.Unread,
	}
	if len(note.Unread) > sbom.MaxUnread {
		note.Unread, note.More = note.Unread[:sbom.MaxUnread], len(note.Unread)-sbom.MaxUnread
	}
	return note
}

// digestChecksum is sha256:HEX as SPDX has it.
func digestChecksum(digest string) []common.Checksum {
	value, found := strings.CutPrefix(digest, "sha256:")
	if !found {
		return nil
	}
	return checksums(map[string]string{"SHA256": value})
}

// addBase adds the base image, what the image is to it, and its own document.
func (d *document) addBase(base *sbom.BaseImage) {
	p := newPackage(baseID, base.Reference)
	p.PackageVersion = sbom.Text(base.Digest, sbom.MaxName)
	p.PrimaryPackagePurpose = purposeContainer
	p.PackageChecksums = digestChecksum(base.Digest)
	p.PackageExternalReferences = purlReference(base.PURL)
	d.add(p)
	d.relate(imageID, common.TypeRelationshipDescendantOf, baseID)
	if base.SBOM != nil {
		d.refer(baseRef, *base.SBOM, baseID)
	}
}

// addFileLevel names the file-level document of the same image.
func (d *document) addFileLevel(files *sbom.Document) {
	if files != nil {
		d.refer(filesRef, *files, imageID)
	}
}

// uses is what an input was to the image.
var uses = map[string]string{
	sbom.UseTool:       common.TypeRelationshipBuildToolOf,
	sbom.UseDependency: common.TypeRelationshipBuildDependencyOf,
}

// addInputs adds what the build used. What nobody knows the use of is a
// dependency.
func (d *document) addInputs(inputs []sbom.Input, ids []common.ElementID) {
	for i, input := range inputs {
		p := newPackage(ids[i], input.Name)
		p.PackageDownloadLocation = cmp.Or(sbom.WebAddress(input.URI), noAssertion)
		p.PackageChecksums = checksums(input.Checksums)
		p.PackageExternalReferences = purlReference(input.PURL)
		note := inputNote{}
		if sbom.WebAddress(input.URI) == "" {
			note.URI = sbom.Text(input.URI, sbom.MaxText)
		}
		if uses[input.Use] == "" {
			note.Use = sbom.Text(input.Use, sbom.MaxName)
		}
		p.Annotations = d.stamp.annotation(note)
		d.add(p)
		d.relate(ids[i], cmp.Or(uses[input.Use], common.TypeRelationshipBuildDependencyOf), imageID)
	}
}

func systemPackage(system *sbom.System, id common.ElementID) *v2_3.Package {
	p := newPackage(id, cmp.Or(system.ID, system.PrettyName))
	p.PackageVersion = sbom.Text(system.VersionID, sbom.MaxName)
	p.PackageSummary = sbom.Text(system.PrettyName, sbom.MaxText)
	p.PrimaryPackagePurpose = purposeSystem
	return p
}

func itemPackage(item sbom.Item, id common.ElementID, licences *licences, origins []sbom.Origin, s stamp) *v2_3.Package {
	p := newPackage(id, item.Name)
	p.PackageVersion = sbom.Text(item.Version, sbom.MaxName)
	p.PackageSupplier = supplier(item.Supplier)
	if kind, name := sbom.Agent(item.Originator); kind != "" {
		p.PackageOriginator = &common.Originator{OriginatorType: kind, Originator: name}
	}
	p.PackageLicenseDeclared = cmp.Or(licences.expression(item.Package), noAssertion)
	p.PackageHomePage = sbom.WebAddress(item.Homepage)
	p.PackageSummary = sbom.Text(item.Summary, sbom.MaxText)
	p.PackageSourceInfo = sourceInfo(item.Source)
	p.PackageChecksums = checksums(item.Checksums)
	p.PackageExternalReferences = purlReference(item.PURL)
	p.Annotations = s.annotation(noteOf(item, origins))
	return p
}

// sourceInfo names a source package, or is "" if it would be read wrongly.
func sourceInfo(source *sbom.Source) string {
	if source == nil || source.Name == "" || strings.ContainsFunc(source.Name+source.Version, func(r rune) bool { return r <= ' ' }) {
		return ""
	}
	return sbom.Text(strings.TrimSuffix(builtFrom+source.Name+" "+source.Version, " "), sbom.MaxText)
}

func purlReference(purl string) []*v2_3.PackageExternalReference {
	if purl = sbom.ValidPURL(purl); purl == "" {
		return nil
	}
	return []*v2_3.PackageExternalReference{{
		Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl,
	}}
}
