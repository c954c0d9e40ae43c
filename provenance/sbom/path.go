// SPDX-License-Identifier: Apache-2.0

package sbom

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Path encodes a path for documents, which are UTF-8: a byte that is not part
// of a valid character becomes \xNN, and so does a backslash before x, so that
// no two paths become one.
func Path(p string) string {
	if utf8.ValidString(p) && !strings.Contains(p, `\x`) {
		return p
	}
	var out strings.Builder
	for len(p) > 0 {
		r, size := utf8.DecodeRuneInString(p)
		if r == utf8.RuneError && size == 1 || strings.HasPrefix(p, `\x`) {
			fmt.Fprintf(&out, `\x%02x`, p[0])
			p = p[1:]
			continue
		}
		out.WriteString(p[:size])
		p = p[size:]
	}
	return out.String()
}
