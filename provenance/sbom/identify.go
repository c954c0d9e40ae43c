// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxID bounds what identifiers repeat of names, in bytes.
const maxID = 128

// Identifiers gives out names within a document, each once, in the characters
// that both SPDX and CycloneDX take: letters, digits, dot and hyphen. Its keys
// are those that are taken; of one that was asked for again, the value is how
// often.
type Identifiers map[string]int

// Items gives each item an identifier that says what it is: type and name,
// with the version where several versions are there, and with a part of the
// SHA-256 of all that identifies the package where that is not enough.
func (ids Identifiers) Items(items []Item) []string {
	named := map[string]int{}
	for _, item := range items {
		named[idString(item.Type+"-"+item.Name)]++
	}
	var out []string
	for _, item := range items {
		short := item.Type + "-" + item.Name
		long := short + "-" + item.Version
		if named[idString(short)] > 1 {
			short = long
		}
		out = append(out, ids.Take(short, long, item.Key()+"\x00"+item.Version+"\x00"+item.PURL))
	}
	return out
}

// Take returns the first identifier that nobody has: short, long, short with a
// part of the SHA-256 of whole, or that with a number.
func (ids Identifiers) Take(short, long, whole string) string {
	sum := sha256.Sum256([]byte(long + "\x00" + whole))
	hashed := idString(short) + "-" + hex.EncodeToString(sum[:8])
	for _, id := range []string{idString(short), idString(long), hashed} {
		if _, taken := ids[id]; id != "" && !taken {
			ids[id] = 0
			return id
		}
	}
	for {
		ids[hashed]++
		id := fmt.Sprintf("%s-%d", hashed, ids[hashed])
		if _, taken := ids[id]; !taken {
			ids[id] = 0
			return id
		}
	}
}

// idString is s in the characters of an identifier.
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
