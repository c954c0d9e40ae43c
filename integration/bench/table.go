// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"time"

	"github.com/plombproject/plomb/integration/figures"
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
				figures.Ratio(m.wall, median(b.samples[cell{s.name, plain}]).wall),
				figures.Ratio(m.wall, median(b.samples[cell{s.name, stock}]).wall),
				m.changed, m.layers, figures.Size(m.pushed))
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
		wall:    figures.Median(samples, func(s sample) time.Duration { return s.wall }),
		changed: figures.Median(samples, func(s sample) int { return s.changed }),
		layers:  figures.Median(samples, func(s sample) int { return s.layers }),
		pushed:  figures.Median(samples, func(s sample) int64 { return s.pushed }),
	}
}
