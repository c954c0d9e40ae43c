// SPDX-License-Identifier: Apache-2.0

package sbombench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/plombproject/plomb/integration/oracle"
)

// write writes both tables, as Markdown.
func write(out io.Writer, results []result) error {
	var b strings.Builder
	b.WriteString("| root | tool | wall time | of syft's | processor time | of syft's | memory | of syft's | document | runs give the same bytes |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		for _, t := range tools {
			runs, of := r.runs[t.name], r.runs[t.against]
			fmt.Fprintf(&b, "| %s | %s | %.2f s | %s | %.2f s | %s | %s | %s | %s | %s |\n", r.root, t.name,
				median(runs, wall).Seconds(), ratio(median(runs, wall), median(of, wall)),
				median(runs, cpu).Seconds(), ratio(median(runs, cpu), median(of, cpu)),
				size(median(runs, memory)), ratio(median(runs, memory), median(of, memory)),
				size(runs[0].size), same(runs))
		}
	}
	b.WriteString("\n| root | packages | asked | listed there | found by plomb | found by syft |\n")
	b.WriteString("|---|---|---|---|---|---|\n")
	for _, r := range results {
		for _, m := range r.managed {
			fmt.Fprintf(&b, "| %s | %s | %s | %d | %s | %s |\n", r.root, m.Type, m.Name, len(m.packages),
				recall(m.packages, r.found[plomb]), recall(m.packages, r.found[syft]))
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// recall is how many of the packages were found, in the same version.
func recall(want, found []oracle.Package) string {
	n := len(want) - len(oracle.Missing(oracle.AsURLs(want), found))
	return fmt.Sprintf("%d, %.1f %%", n, 100*float64(n)/float64(len(want)))
}

func wall(r run) time.Duration { return r.wall }
func cpu(r run) time.Duration  { return r.cpu }
func memory(r run) int64       { return r.memory }

// median is the middle one; of an even number, the lower of the two in the middle.
func median[T cmp.Ordered](runs []run, figure func(run) T) T {
	all := make([]T, len(runs))
	for i, r := range runs {
		all[i] = figure(r)
	}
	slices.Sort(all)
	return all[(len(all)-1)/2]
}

func ratio[T ~int64](a, b T) string {
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
