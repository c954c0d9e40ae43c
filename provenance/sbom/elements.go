// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// CheckSchema names the JSON form of Elements; docs/sbom.md defines it.
const CheckSchema = "https://plombproject.github.io/sbom-check/v1"

// Standards that ask for elements.
const (
	// NTIA is the United States' "The Minimum Elements For a Software Bill of
	// Materials (SBOM)", 12 July 2021.
	NTIA = "NTIA 2021"
	// CISA is the draft "2025 Minimum Elements for a Software Bill of Materials
	// (SBOM)", August 2025.
	CISA = "CISA 2025"
)

// Elements says which minimum elements a document has.
type Elements struct {
	Schema string `json:"schema"`
	// Packages counts what the shares are of.
	Packages int `json:"packages"`
	// Complete is false where the document says itself that packages may be
	// missing: something could not be read, or was left out on purpose.
	Complete bool `json:"complete"`
	Unread   int  `json:"unread"`
	// Document and Package are in the order of the standards.
	Document []DocumentElement `json:"document"`
	Package  []PackageElement  `json:"package"`
}

// A DocumentElement is there once, or not.
type DocumentElement struct {
	Element   string   `json:"element"`
	Title     string   `json:"title"`
	Standards []string `json:"standards"`
	Present   bool     `json:"present"`
	Value     string   `json:"value,omitempty"`
}

// A PackageElement is what each package should have. Present, NoAssertion and
// Missing add up to the number of packages.
type PackageElement struct {
	Element   string   `json:"element"`
	Title     string   `json:"title"`
	Standards []string `json:"standards"`
	Present   int      `json:"present"`
	// NoAssertion counts the packages of which the document says that it does
	// not know.
	NoAssertion int `json:"noAssertion"`
	// Missing counts those of which it says nothing.
	Missing int `json:"missing"`
	// Share is Present of all packages, from 0 to 1, rounded down to four
	// digits; 1 if there are no packages.
	Share float64 `json:"share"`
	// Lacking names the first packages without it.
	Lacking []string `json:"lacking,omitempty"`
}

// maxLacking is how many packages a report names for each element.
const maxLacking = 10

// documentElements is the table of what a document has once.
var documentElements = []struct {
	element, title string
	standards      []string
	value          func(Image) string
}{
	// NTIA takes the tool for an author, CISA asks for both.
	{"author", "author of SBOM data", []string{NTIA}, func(i Image) string { return cmp.Or(i.Author, i.Tool) }},
	{"sbom-author", "SBOM author", []string{CISA}, func(i Image) string { return i.Author }},
	{"timestamp", "timestamp", []string{NTIA, CISA}, func(i Image) string {
		if i.Created == Undated {
			return ""
		}
		return time.Unix(i.Created, 0).UTC().Format(time.RFC3339)
	}},
	{"tool", "tool name", []string{CISA}, func(i Image) string { return i.Tool }},
	{"generation-context", "generation context", []string{CISA}, func(i Image) string { return i.Generation }},
}

// Elements of a package that a document can say it does not know.
const (
	ElementSupplier   = "supplier"
	ElementVersion    = "version"
	ElementIdentifier = "identifier"
	ElementHash       = "hash"
	ElementLicence    = "licence"
)

// packageElements is the table of what each package has.
var packageElements = []struct {
	element, title string
	standards      []string
	has            func(Item) bool
	// sayable is set where documents of ours say so if it is not known.
	sayable bool
}{
	{ElementSupplier, "supplier name (software producer)", []string{NTIA, CISA}, func(i Item) bool { kind, _ := Agent(i.Supplier); return kind != "" }, true},
	{"name", "component name", []string{NTIA, CISA}, func(i Item) bool { return i.Name != "" }, false},
	{ElementVersion, "component version", []string{NTIA, CISA}, func(i Item) bool { return i.Version != "" }, true},
	{ElementIdentifier, "other unique identifiers (software identifiers)", []string{NTIA, CISA}, func(i Item) bool { return ValidPURL(i.PURL) != "" }, true},
	{"relationship", "dependency relationship", []string{NTIA, CISA}, func(i Item) bool { return !i.Unrelated }, false},
	{ElementHash, "component hash", []string{CISA}, func(i Item) bool { return len(Checksums(i.Checksums)) > 0 }, true},
	{ElementLicence, "license", []string{CISA}, func(i Item) bool { return Expression(i.License) != "" }, true},
}

// Unknown lists the elements that a package lacks, and of which a document
// should say so.
func Unknown(i Item) []string {
	var out []string
	for _, e := range packageElements {
		if e.sayable && !e.has(i) {
			out = append(out, e.element)
		}
	}
	return out
}

// Count notes in Gaps what a document says of a package that it does not know,
// if it is so.
func (inv *Inventory) Count(i Item, said []string) {
	if inv.Gaps == nil {
		inv.Gaps = map[string]int{}
	}
	for _, element := range Unknown(i) {
		if slices.Contains(said, element) {
			inv.Gaps[element]++
		}
	}
}

// Check counts the minimum elements. What Merge made has what its document
// would have, and says what its document would say.
func Check(inv *Inventory, img Image) *Elements {
	out := &Elements{
		Schema: CheckSchema, Packages: len(inv.Items), Unread: len(inv.Unread),
		Complete: len(inv.Unread) == 0 && inv.Level != LevelImage,
	}
	for _, e := range documentElements {
		value := e.value(img)
		out.Document = append(out.Document, DocumentElement{e.element, e.title, e.standards, value != "", value})
	}
	for _, e := range packageElements {
		row := PackageElement{Element: e.element, Title: e.title, Standards: e.standards}
		for _, item := range inv.Items {
			if e.has(item) {
				row.Present++
			} else if len(row.Lacking) < maxLacking {
				row.Lacking = append(row.Lacking, item.label())
			}
		}
		lacking := len(inv.Items) - row.Present
		switch {
		case inv.Gaps != nil:
			row.NoAssertion = min(lacking, inv.Gaps[e.element])
		case e.sayable:
			row.NoAssertion = lacking
		}
		row.Missing = lacking - row.NoAssertion
		row.Share = share(row.Present, len(inv.Items))
		out.Package = append(out.Package, row)
	}
	return out
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return math.Floor(float64(part)/float64(whole)*1e4) / 1e4
}

// label names a package for people.
func (i Item) label() string {
	if i.Version == "" {
		return i.Key()
	}
	return i.Key() + "@" + i.Version
}
