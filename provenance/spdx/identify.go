// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/plombproject/plomb/provenance/sbom"
)

// maxID bounds what identifiers repeat of names, in bytes.
const maxID = 128

// identifiers are the SPDX identifiers of what an image has many of.
type identifiers struct {
	system common.ElementID
	inputs []common.ElementID
	items  []common.ElementID
}

// identify gives everything an identifier that says what it is: type and name,
// with the version where several versions are there, and with a part of the
// SHA-256 of all that identifies the package where that is not enough.
func identify(inv *sbom.Inventory, img sbom.Image) identifiers {
	taken := map[string]bool{documentID: true, imageID: true, baseID: true}
	var ids identifiers
	if inv.System != nil {
		// Trivy takes for the operating system what starts like this.
		ids.system = take(taken, "OperatingSystem-"+inv.System.ID, "", "")
	}
	for i, input := range img.Inputs {
		ids.inputs = append(ids.inputs, take(taken, "input-"+input.Name, fmt.Sprint(i), input.PURL+"\x00"+input.URI))
	}
	named := map[string]int{}
	for _, item := range inv.Items {
		named[idString(item.Type+"-"+item.Name)]++
	}
	for _, item := range inv.Items {
		short := item.Type + "-" + item.Name
		long := short + "-" + item.Version
		if named[idString(short)] > 1 {
			short = long
		}
		ids.items = append(ids.items, take(taken, short, long, item.Key()+"\x00"+item.Version+"\x00"+item.PURL))
	}
	return ids
}

// take returns the first identifier that nobody has.
func take(taken map[string]bool, short, long, whole string) common.ElementID {
	sum := sha256.Sum256([]byte(long + "\x00" + whole))
	digest := hex.EncodeToString(sum[:8])
	for n := 0; ; n++ {
		id := idString(short)
		switch {
		case n == 1:
			id = idString(long)
		case n == 2:
			id += "-" + digest
		case n > 2:
			id += fmt.Sprintf("-%s-%d", digest, n)
		}
		if id != "" && !taken[id] {
			taken[id] = true
			return common.ElementID(id)
		}
	}
}

// idString is s in the characters of an SPDX identifier.
//
// SPDX 2.3, 7.2: "[idstring] is a unique string containing letters, numbers, .,
// and/or -".
func idString(s string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-':
			return r
		}
		return '-'
	}, s)
	return strings.Trim(clean[:min(len(clean), maxID)], "-")
}
