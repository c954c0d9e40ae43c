// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/plombproject/plomb/provenance/sbom"
)

// checksums are those that are well-formed, sorted by algorithm.
func checksums(sums map[string]string) []common.Checksum {
	var out []common.Checksum
	sums = sbom.Checksums(sums)
	for _, algorithm := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, common.Checksum{Algorithm: common.ChecksumAlgorithm(algorithm), Value: sums[algorithm]})
	}
	return out
}

// counted is "1 file" or "2 files".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// known is s, or "" for SPDX's ways to say nothing.
func known(s string) string {
	if s == noAssertion || s == none {
		return ""
	}
	return s
}
