// SPDX-License-Identifier: Apache-2.0

package verifybench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plombproject/plomb/integration/figures"
)

// write writes both tables, as Markdown.
func (r Result) write(out io.Writer) error {
	var b strings.Builder
	b.WriteString("| image | program | wall time | of the other tool's | processor time | of the other tool's | requests |\n")
	b.WriteString("|---|---|---|---|---|---|---|\n")
	for _, p := range r.Processes {
		other := r.other(p)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %d |\n", p.Image, p.Program,
			short(p.wall()), figures.Ratio(p.wall(), other.wall()),
			short(p.cpu()), figures.Ratio(p.cpu(), other.cpu()), len(p.Requests))
	}
	b.WriteString("\n| in one process | time | of bare sigstore-go's |\n|---|---|---|\n")
	for _, row := range benchmarks {
		took := median(r.Benchmarks[row.name])
		fmt.Fprintf(&b, "| %s | %s | %s |\n", row.what, short(took), figures.Ratio(took, median(r.Benchmarks[row.against])))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// other is the tool that p is compared with on the same image; without one, it
// took no time.
func (r Result) other(p Process) Process {
	for _, q := range r.Processes {
		if q.Image == p.Image && q.Program == p.against {
			return q
		}
	}
	return Process{}
}

func (p Process) wall() time.Duration {
	return figures.Median(p.samples, func(s sample) time.Duration { return s.wall })
}

func (p Process) cpu() time.Duration {
	return figures.Median(p.samples, func(s sample) time.Duration { return s.cpu })
}

func median(times []time.Duration) time.Duration {
	return figures.Median(times, func(d time.Duration) time.Duration { return d })
}

// short is a time in the unit that suits it.
func short(d time.Duration) string {
	if d < 100*time.Microsecond {
		return fmt.Sprintf("%.1f µs", float64(d)/float64(time.Microsecond))
	}
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
