// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"github.com/plombproject/plomb/provenance/sbom"
)

// relateItems says what the image contains, what contains what, and what needs
// what.
func (d *document) relateItems(items []sbom.Item, ids []common.ElementID) {
	for i := range items {
		d.relate(imageID, common.TypeRelationshipContains, ids[i])
	}
	for i, item := range items {
		for _, part := range item.Contains {
			d.relate(ids[i], common.TypeRelationshipContains, ids[part])
		}
		for _, need := range item.Needs {
			d.relate(ids[i], common.TypeRelationshipDependsOn, ids[need])
		}
	}
}

// relateUnknown says whether the packages of the document are all there are.
//
// SPDX 2.3, 11.1: "NOASSERTION" as the related element says that it is not
// known whether there are more; "NONE" says that there are no others.
func (d *document) relateUnknown(inv *sbom.Inventory) {
	relation := &v2_3.Relationship{
		RefA:         common.DocElementID{ElementRefID: imageID},
		Relationship: common.TypeRelationshipContains,
	}
	switch {
	case inv.Level == sbom.LevelImage:
		relation.RefB.SpecialID = noAssertion
		relation.RelationshipComment = "Only packages that no other package brought are listed, as asked for."
	case len(inv.Unread) > 0:
		relation.RefB.SpecialID = noAssertion
		relation.RelationshipComment = counted(len(inv.Unread), "path") +
			" could not be read, so that packages may be missing; the annotation of the image lists them."
	case len(inv.Items) == 0 && inv.System == nil:
		relation.RefB.SpecialID = none
	default:
		return
	}
	d.DocumentComment = relation.RelationshipComment
	d.Relationships = append(d.Relationships, relation)
}
