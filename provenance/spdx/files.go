// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/plombproject/plomb/provenance/sbom"
)

// Files writes the file-level document of an image: every regular file with
// its digests, and which package of the operating system it belongs to. Files
// come in ascending order of paths, as MergeFiles yields them. It returns how
// other documents refer to this one.
//
// Of each file, its SHA-1 and its owner are in memory, 24 bytes.
func Files(img sbom.Image, inv *sbom.Inventory, files iter.Seq2[sbom.File, error], out io.Writer) (*sbom.Document, error) {
	w := newStream(out)
	d := newDocument(img)
	l := newListing(inv, img)

	w.begin(d)
	w.key("files")
	if err := w.files(files, l); err != nil {
		return nil, err
	}
	w.key("packages")
	w.packages(l, inv, img, d.stamp)
	d.relate(documentID, common.TypeRelationshipDescribe, imageID)
	for _, item := range l.owners() {
		d.relate(imageID, common.TypeRelationshipContains, l.ids.items[item])
	}
	if len(inv.Unread) > 0 {
		d.relateUnknown(inv)
	}
	w.member("hasExtractedLicensingInfos", l.licences.declared())
	w.member("relationships", d.Relationships)
	return w.end()
}

// nobody owns a file that no package brought.
const nobody = -1

// A listing is what is kept of the files while they pass.
type listing struct {
	ids      identifiers
	licences *licences
	byKey    map[string]int32
	sums     []sum
	owner    []int32 // index of the owning item, for each file
}

func newListing(inv *sbom.Inventory, img sbom.Image) *listing {
	l := &listing{ids: identify(inv, img), byKey: map[string]int32{}}
	for i, item := range inv.Items {
		if _, there := l.byKey[item.Key()]; !there {
			l.byKey[item.Key()] = int32(i)
		}
	}
	l.licences = collectLicences(inv.Items)
	return l
}

// enter takes down one file and returns its element.
func (l *listing) enter(f sbom.File) (fileElement, error) {
	e := fileElement{
		FileName: "." + f.Path,
		SPDXID:   fileID(len(l.sums)),
		Checksums: checksums(map[string]string{
			"SHA1": f.SHA1, "SHA256": f.SHA256,
		}),
	}
	if len(e.Checksums) != 2 {
		return fileElement{}, fmt.Errorf("file %s has no SHA-1 and SHA-256: %q, %q", f.Path, f.SHA1, f.SHA256)
	}
	if !strings.HasPrefix(f.Path, "/") {
		return fileElement{}, fmt.Errorf("path %q of a file is not absolute", f.Path)
	}
	var s sum
	if _, err := hex.Decode(s[:], []byte(f.SHA1)); err != nil {
		return fileElement{}, fmt.Errorf("SHA-1 of %s: %w", f.Path, err)
	}
	owner, there := l.byKey[f.Owner]
	if !there || f.Owner == "" {
		owner = nobody
	}
	l.sums, l.owner = append(l.sums, s), append(l.owner, owner)
	return e, nil
}

// fileID is short: a document repeats it two or three times for each file.
// Trivy takes for a file what starts like this.
func fileID(i int) string { return fmt.Sprintf("SPDXRef-File-%d", i+1) }

// owners lists the items that own a file, ascending.
func (l *listing) owners() []int {
	seen := map[int32]bool{nobody: true}
	var out []int
	for _, owner := range l.owner {
		if !seen[owner] {
			seen[owner] = true
			out = append(out, int(owner))
		}
	}
	return ascending(out)
}

// filesOf lists the files of an item, or of the whole image.
func (l *listing) filesOf() map[int][]int {
	out := map[int][]int{}
	for file, owner := range l.owner {
		if owner != nobody {
			out[int(owner)] = append(out[int(owner)], file)
		}
	}
	return out
}

// A fileElement is a file as the document has it. What it leaves out is
// NOASSERTION (SPDX 2.3, 8.5 and 8.8).
type fileElement struct {
	FileName  string            `json:"fileName"`
	SPDXID    string            `json:"SPDXID"`
	Checksums []common.Checksum `json:"checksums"`
}

// An analysed package is one whose files are listed.
type analysed struct {
	*v2_3.Package
	HasFiles []string `json:"hasFiles,omitempty"`
}

// packages writes the image and every package that owns files.
func (w *stream) packages(l *listing, inv *sbom.Inventory, img sbom.Image, s stamp) {
	w.text("[")
	all := make([]int, len(l.sums))
	for i := range all {
		all[i] = i
	}
	image := imagePackage(&sbom.Inventory{System: inv.System, Files: inv.Files, Unread: inv.Unread}, img, s)
	w.value(l.analysed(image, all))
	files := l.filesOf()
	for _, i := range l.owners() {
		w.text(",")
		p := itemPackage(inv.Items[i], l.ids.items[i], l.licences, nil, s)
		p.Annotations = nil // the package-level document has them
		w.value(l.analysed(p, files[i]))
	}
	w.text("]")
}

func (l *listing) analysed(p *v2_3.Package, files []int) analysed {
	p.FilesAnalyzed = true
	p.PackageVerificationCode = &common.PackageVerificationCode{Value: l.verificationCode(files)}
	a := analysed{Package: p}
	for _, i := range files {
		a.HasFiles = append(a.HasFiles, fileID(i))
	}
	return a
}
