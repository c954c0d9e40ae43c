// SPDX-License-Identifier: Apache-2.0

package sbombench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plombproject/plomb/integration/figures"
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
				figures.Median(runs, wall).Seconds(), figures.Ratio(figures.Median(runs, wall), figures.Median(of, wall)),
				figures.Median(runs, cpu).Seconds(), figures.Ratio(figures.Median(runs, cpu), figures.Median(of, cpu)),
				figures.Size(figures.Median(runs, memory)), figures.Ratio(figures.Median(runs, memory), figures.Median(of, memory)),
				figures.Size(runs[0].size), same(runs))
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
