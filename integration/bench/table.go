// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// print writes the table, as Markdown.
func (b *bench) print() error {
	fmt.Fprintln(b.Out, "| scenario | way | wall time | of plain | of stock reproducible | layers changed | pushed |")
	fmt.Fprintln(b.Out, "|---|---|---|---|---|---|---|")
	for _, s := range scenarios {
		for _, w := range ways {
			m := median(b.samples[cell{s.name, w.name}])
			_, err := fmt.Fprintf(b.Out, "| %s | %s | %.2f s | %s | %s | %d of %d | %s |\n",
				s.name, w.name, m.wall.Seconds(),
				ratio(m.wall, median(b.samples[cell{s.name, plain}]).wall),
				ratio(m.wall, median(b.samples[cell{s.name, stock}]).wall),
				m.changed, m.layers, size(m.pushed))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// median takes each figure's median on its own.
func median(samples []sample) sample {
	return sample{
		wall:    middle(samples, func(s sample) time.Duration { return s.wall }),
		changed: middle(samples, func(s sample) int { return s.changed }),
		layers:  middle(samples, func(s sample) int { return s.layers }),
		pushed:  middle(samples, func(s sample) int64 { return s.pushed }),
	}
}

// middle is the median; of an even number, the lower of the two in the middle.
func middle[T cmp.Ordered](samples []sample, figure func(sample) T) T {
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

func ratio(a, b time.Duration) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

func size(n int64) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
