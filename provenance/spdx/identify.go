// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"fmt"

	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/plombproject/plomb/provenance/sbom"
)

// identifiers are the SPDX identifiers of what an image has many of.
//
// SPDX 2.3, 7.2: "[idstring] is a unique string containing letters, numbers, .,
// and/or -".
type identifiers struct {
	system common.ElementID
	inputs []common.ElementID
	items  []common.ElementID
}

func identify(inv *sbom.Inventory, img sbom.Image) identifiers {
	taken := sbom.Identifiers{documentID: 0, imageID: 0, baseID: 0}
	var ids identifiers
	if inv.System != nil {
		// Trivy takes for the operating system what starts like this.
		ids.system = common.ElementID(taken.Take("OperatingSystem-"+inv.System.ID, "", ""))
	}
	for i, input := range img.Inputs {
		id := taken.Take("input-"+input.Name, fmt.Sprint(i), input.PURL+"\x00"+input.URI)
		ids.inputs = append(ids.inputs, common.ElementID(id))
	}
	for _, id := range taken.Items(inv.Items) {
		ids.items = append(ids.items, common.ElementID(id))
	}
	return ids
}
