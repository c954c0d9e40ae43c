// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"cmp"
	"strings"

	"github.com/package-url/packageurl-go"
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
		PackageName:             cmp.Or(text(name, maxName), noAssertion),
		PackageSPDXIdentifier:   id,
		PackageSupplier:         &common.Supplier{Supplier: noAssertion},
		PackageDownloadLocation: noAssertion,
		PackageLicenseDeclared:  noAssertion,
	}
}

func imagePackage(inv *sbom.Inventory, img sbom.Image, s stamp) *v2_3.Package {
	p := newPackage(imageID, cmp.Or(img.Name, imageID))
	p.PackageVersion = text(img.ID, maxName)
	p.PrimaryPackagePurpose = purposeContainer
	if p.PackageChecksums = digestChecksum(img.ID); p.PackageChecksums != nil {
		p.PackageComment = "Version and checksum are those of the image config, the image ID."
	}
	p.Annotations = s.annotation(imageNoteOf(inv, img))
	return p
}

func imageNoteOf(inv *sbom.Inventory, img sbom.Image) imageNote {
	note := imageNote{
		Platform: text(img.Platform, maxName), System: inv.System, Level: inv.Level,
		Files: inv.Files, Origins: origins(inv.Items), Unread: inv.Unread,
	}
	if len(note.Unread) > maxUnread {
		note.Unread, note.More = note.Unread[:maxUnread], len(note.Unread)-maxUnread
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
	p.PackageVersion = text(base.Digest, maxName)
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
		p.PackageDownloadLocation = cmp.Or(webAddress(input.URI), noAssertion)
		p.PackageChecksums = checksums(input.Checksums)
		p.PackageExternalReferences = purlReference(input.PURL)
		note := inputNote{}
		if webAddress(input.URI) == "" {
			note.URI = text(input.URI, maxText)
		}
		if uses[input.Use] == "" {
			note.Use = text(input.Use, maxName)
		}
		p.Annotations = d.stamp.annotation(note)
		d.add(p)
		d.relate(ids[i], cmp.Or(uses[input.Use], common.TypeRelationshipBuildDependencyOf), imageID)
	}
}

func systemPackage(system *sbom.System, id common.ElementID) *v2_3.Package {
	p := newPackage(id, cmp.Or(system.ID, system.PrettyName))
	p.PackageVersion = text(system.VersionID, maxName)
	p.PackageSummary = text(system.PrettyName, maxText)
	p.PrimaryPackagePurpose = purposeSystem
	return p
}

func itemPackage(item sbom.Item, id common.ElementID, licences *licences, origins []sbom.Origin, s stamp) *v2_3.Package {
	p := newPackage(id, item.Name)
	p.PackageVersion = text(item.Version, maxName)
	if kind, name := agent(item.Supplier); kind != "" {
		p.PackageSupplier = &common.Supplier{SupplierType: kind, Supplier: name}
	}
	if kind, name := agent(item.Originator); kind != "" {
		p.PackageOriginator = &common.Originator{OriginatorType: kind, Originator: name}
	}
	p.PackageLicenseDeclared = cmp.Or(licences.expression(item.Package), noAssertion)
	p.PackageHomePage = webAddress(item.Homepage)
	p.PackageSummary = text(item.Summary, maxText)
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
	return text(strings.TrimSuffix(builtFrom+source.Name+" "+source.Version, " "), maxText)
}

func purlReference(purl string) []*v2_3.PackageExternalReference {
	if purl = validPURL(purl); purl == "" {
		return nil
	}
	return []*v2_3.PackageExternalReference{{
		Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl,
	}}
}

// fromPURL is what a package URL tells of type and architecture.
func fromPURL(purl string) sbom.Package {
	u, err := packageurl.FromString(purl)
	if err != nil {
		return sbom.Package{}
	}
	return sbom.Package{Type: u.Type, Arch: u.Qualifiers.Map()["arch"]}
}
