// SPDX-License-Identifier: Apache-2.0

// Package figures takes and writes the figures of the benchmarks behind
// hack/bench: medians, ratios and sizes. It measures nothing.
package figures

import (
	"cmp"
	"fmt"
	"slices"
)

// Median is the middle one of a figure that each sample has; of an even
// number, the lower of the two in the middle; of none, zero.
func Median[S any, T cmp.Ordered](samples []S, figure func(S) T) T {
	var all []T
	for _, s := range samples {
		all = append(all, figure(s))
	}
	if len(all) == 0 {
		var none T
		return none
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

// Percentile is the smallest of all times that at least p percent of them do
// not exceed; of none, zero.
func Percentile[T cmp.Ordered](all []T, p int) T {
	if len(all) == 0 {
		var none T
		return none
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// Ratio is a divided by b, as text.
func Ratio[T ~int64](a, b T) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

// Size is a number of bytes in decimal units, as text.
func Size(n int64) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
