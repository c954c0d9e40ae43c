// SPDX-License-Identifier: Apache-2.0

package nodebench

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plombproject/plomb/integration/figures"
)

// write writes the three tables, as Markdown.
func (r Result) write(out io.Writer) error {
	var b strings.Builder
	b.WriteString("| verifier | pull again, p50 | over the one that only exits | p99 | first pull, p50 | over the one that only exits | p99 |\n")
	b.WriteString("|---|---|---|---|---|---|---|\n")
	for _, v := range []string{None, Exits, Agent, StandAlone} {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", v, over(r.Again[v], r.Again[Exits]), over(r.First[v], r.First[Exits]))
	}
	b.WriteString("\n| pulls at once | of images | verifications | answers without the agent | requests by the agent | memory of the agent, at most | time | with one that only exits | ratio |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Rushes {
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %s | %.2f s | %.2f s | %s |\n", x.Pulls, x.Images, x.Verifications, x.Alone, x.Requests,
			figures.Size(x.Memory), x.Wall.Seconds(), x.Without.Seconds(), figures.Ratio(x.Wall, x.Without))
	}
	b.WriteString("\n| container created | p50 | over without | p99 |\n|---|---|---|---|\n")
	for _, p := range []string{WithoutPlugin, WithPlugin} {
		fmt.Fprintf(&b, "| %s | %s |\n", p, over(r.Create[p], r.Create[WithoutPlugin]))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// over is the median of some times, what it is above that of others, and the
// 99th percentile.
func over(times, others []time.Duration) string {
	p50 := figures.Percentile(times, 50)
	return fmt.Sprintf("%s | %s | %s", short(p50), short(p50-figures.Percentile(others, 50)), short(figures.Percentile(times, 99)))
}

func short(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
