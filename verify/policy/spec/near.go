// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"maps"
	"slices"
	"strings"
)

// near is a question after the field that a name was probably meant to be,
// empty if none is like it.
func (d *decoder) near(name string, known map[string]field) string {
	best, least := "", min(len(name)/3, 3)+1
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		tag := known[candidate].tag
		if only := tag.Get("only"); tag.Get("refused") != "" || only != "" && only != d.kind {
			continue
		}
		if n := edits(strings.ToLower(name), strings.ToLower(candidate)); n < least {
			best, least = candidate, n
		}
	}
	if best == "" {
		return ""
	}
	return ": did you mean " + best + "?"
}

// edits is the number of bytes to insert, delete or replace to make b of a
// (Levenshtein). What is longer than a name of a field is like none.
func edits(a, b string) int {
	const most = 64
	if len(a) > most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
