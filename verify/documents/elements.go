// SPDX-License-Identifier: Apache-2.0

package documents

import (
	"fmt"
	"slices"

	"github.com/plombproject/plomb/provenance/sbom"
)

// Lacking lists what an SBOM says nothing of, though a standard asks for it. A
// package of which it says that it does not know lacks nothing: the standards
// ask for known unknowns to be told.
func Lacking(e *sbom.Elements, standard string) []string {
	var list []string
	for _, d := range e.Document {
		if slices.Contains(d.Standards, standard) && !d.Present {
			list = append(list, fmt.Sprintf("the document has no %s", d.Title))
		}
	}
	for _, p := range e.Package {
		if slices.Contains(p.Standards, standard) && p.Missing > 0 {
			list = append(list, fmt.Sprintf("%d of %d packages have no %s", p.Missing, e.Packages, p.Title))
		}
	}
	return list
}
