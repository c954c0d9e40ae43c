// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/reproduce"
)

// maxPrinted is how many files of a layer the text shows.
const maxPrinted = 50

func printReproduction(stdio Stdio, form string, r *reproduce.Report) error {
	if form == "json" {
		return printJSON(stdio.Out, r)
	}
	p := newPage(stdio)
	p.reproduced(r)
	if r.Original != nil && r.Rebuilt != nil {
		p.line(1, "manifest", "%s, rebuilt %s", r.Original.Manifest, same(r.SameManifest, r.Rebuilt.Manifest.String()))
		p.line(1, "image ID", "%s, rebuilt %s", r.Original.Config, same(r.SameImageID, r.Rebuilt.Config.String()))
	}
	for _, why := range r.Manifest {
		p.line(1, "manifest", "%s", why)
	}
	for _, m := range r.Config {
		p.line(1, "config", "%s: %s, rebuilt %s", m.Name, m.Original, m.Rebuilt)
	}
	for _, l := range r.Layers {
		p.differing(l)
	}
	for _, n := range r.Notes {
		p.line(1, "note", "%s", n)
	}
	return p.err
}

func (p *page) reproduced(r *reproduce.Report) {
	colours := map[reproduce.Verdict]string{reproduce.Identical: "32", reproduce.Differs: "31", reproduce.Undecided: "33"}
	word := string(r.Verdict)
	if p.colour {
		word = "\x1b[1;" + colours[r.Verdict] + "m" + word + "\x1b[0m"
	}
	_, p.err = fmt.Fprintf(p.out, "%s: %s\n", word, decision.OneLine(r.Image.String()))
	p.line(1, "reason", "%s", r.Reason)
	if r.Platform != "" {
		p.line(1, "platform", "%s", r.Platform)
	}
	if r.Signer != nil {
		p.line(1, "signer", "%s (issuer %s)", r.Signer.Subject, r.Signer.Issuer)
	} else if r.Platform != "" {
		p.line(1, "signer", "NOT VERIFIED")
	}
}

func same(is bool, text string) string {
	if is {
		return "the same"
	}
	return text
}

func (p *page) differing(l reproduce.Layer) {
	p.line(1, "layer", "%d: %s", l.Index, l.Instruction)
	if l.Note != "" {
		p.line(2, "note", "%s", l.Note)
	}
	for i, f := range l.Files {
		if i == maxPrinted {
			break
		}
		what := strings.Join(f.Differs, ", ")
		if f.Change != "changed" {
			what = strings.ReplaceAll(f.Change, "-", " in the ") + " image"
		}
		p.line(2, string(f.Cause), "%s (%s): %s [%s]", f.Path, what, f.Detail, f.Rule)
	}
	if more := l.Differences - min(len(l.Files), maxPrinted); more > 0 {
		p.line(2, "more", "%d files; --output json lists up to 1000 of a layer", more)
	}
}
