// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/inspect"
)

// page is text output: labelled lines, with everything an image chose made
// harmless for a terminal.
type page struct {
	out    io.Writer
	colour bool
	// shown are the bundles whose content has been written.
	shown map[digest.Digest]bool
	err   error
}

func newPage(stdio Stdio) *page {
	colour := onTerminal(stdio.Out) && stdio.Getenv("NO_COLOR") == "" && stdio.Getenv("TERM") != "dumb"
	return &page{out: stdio.Out, shown: map[digest.Digest]bool{}, colour: colour}
}

func (p *page) line(indent int, label, format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, "%*s%-12s %s\n", 2*indent, "", label, decision.OneLine(fmt.Sprintf(format, args...)))
	}
}

// head writes the verdict, in its colour on a terminal.
func (p *page) head(v decision.Verdict, text string) {
	colours := map[decision.Verdict]string{decision.Allow: "32", decision.Deny: "31", decision.Undecided: "33"}
	words := map[decision.Verdict]string{decision.Allow: "allowed", decision.Deny: "denied", decision.Undecided: "undecided"}
	word := words[v]
	if p.colour {
		word = "\x1b[1;" + colours[v] + "m" + word + "\x1b[0m"
	}
	_, p.err = fmt.Fprintf(p.out, "%s: %s\n", word, decision.OneLine(text))
}

func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func printDecision(stdio Stdio, form string, d *decision.Decision) error {
	if form == "json" {
		return printJSON(stdio.Out, d)
	}
	p := newPage(stdio)
	image := d.Image
	if image.Name == image.Digest.String() { // an artifact of which there is the digest alone
		image.Name, image.Digest = image.Digest.String(), ""
	}
	p.head(d.Verdict, image.String())
	p.line(1, "reason", "%s", d.Reason)
	if d.Code != "" {
		p.line(1, "code", "%s", d.Code)
	}
	for _, r := range d.Rules {
		p.line(1, "policy", "%s (%s) %s: %s", r.Name, r.Origin, r.Mode, r.Verdict)
	}
	for _, m := range d.Manifests {
		if m.Config != "" {
			p.line(1, "platform", "%s: %s", m.Platform, m.Verdict)
			p.line(2, "manifest", "%s", m.Digest)
			p.line(2, "config", "%s", m.Config)
		}
		for _, s := range m.Signers {
			p.signer(s)
			p.foretold(s.Foretold, m.Digest)
		}
	}
	for _, a := range d.Attestations {
		p.attestation(a)
	}
	p.checks(d)
	for _, w := range d.Warnings {
		p.line(1, "warning", "%s", w)
	}
	p.line(1, "requests", "%d", d.Requests)
	return p.err
}

// checks lists what did not pass, once and unless the reason has said it. What
// was no good about an image that is allowed all the same was passed over.
func (p *page) checks(d *decision.Decision) {
	said := map[string]bool{}
	var kept []decision.Check
	// A signature fails as a bundle, and then as what lies in that place: the
	// place is what somebody can look up.
	for _, c := range slices.Backward(d.Checks) {
		if c.Outcome == decision.Pass || strings.Contains(d.Reason, c.Detail) {
			continue
		}
		if c.Step == "trust" && said[c.Code+c.Detail] {
			continue
		}
		said[c.Code+c.Detail] = true
		kept = append(kept, c)
	}
	for _, c := range slices.Backward(kept) {
		label := string(c.Outcome)
		if d.Verdict == decision.Allow && c.Outcome == decision.Fail {
			label = "passed over"
		}
		p.line(1, label, "%s: %s [%s]", c.Object, c.Detail, c.Code)
	}
}

// signer says who made a claim, what it is and when.
func (p *page) signer(s decision.Signer) {
	who := s.Subject + " (issuer " + s.Issuer + ")"
	switch {
	case s.Key != "":
		who = "key " + s.Key.String()
	case s.X509 != "":
		who = s.X509
	}
	when := "at no trusted time"
	if s.SignedAt != nil {
		when = s.SignedAt.Format("2006-01-02 15:04:05 MST")
	}
	p.line(2, "signer", "%s, %s", who, when)
	claim := s.Kind
	if s.PredicateType != "" {
		claim += " " + s.PredicateType
	}
	p.line(3, "claim", "%s of the %s, in %s", claim, s.Scope, s.Where)
}

// attestation says of one whether the signature covers it.
func (p *page) attestation(a decision.Attestation) {
	what := a.PredicateType
	if a.Name != "" {
		what += " (" + a.Name + ")"
	}
	if a.Digest != "" {
		what += " " + a.Digest.String()
	}
	p.line(1, "attestation", "%s: %s %s", a.Platform, a.Status, what)
	if a.Reason != "" {
		p.line(2, "because", "%s", a.Reason)
	}
}

func printReport(stdio Stdio, form string, r *inspect.Report) error {
	if form == "json" {
		return printJSON(stdio.Out, r)
	}
	p := newPage(stdio)
	p.line(0, "image", "%s", r.Name)
	p.line(0, "digest", "%s", r.Digest)
	if len(r.Indexes) == 0 {
		p.line(0, "index", "none: a bare manifest")
	}
	for _, i := range r.Indexes {
		p.line(0, "index", "%s", i)
	}
	for _, pl := range r.Platforms {
		p.platform(pl)
	}
	p.line(0, "requests", "%d", r.Requests)
	return p.err
}

// foretold says whether the manifest is one that the signature names, or only
// has the image ID that it names.
func (p *page) foretold(manifests []digest.Digest, got digest.Digest) {
	switch {
	case len(manifests) == 0:
	case slices.Contains(manifests, got):
		p.line(2, "foretold", "this very manifest")
	default:
		p.line(2, "foretold", "another manifest, %s: the layers are the signed ones, in another compression than gzip at its default level, or by a daemon with another deflate, or the manifest has annotations", manifests[0])
	}
}

func (p *page) platform(pl inspect.Platform) {
	p.line(0, "platform", "%s", pl.Platform)
	p.line(1, "manifest", "%s", pl.Manifest)
	p.line(1, "config", "%s (image ID)", pl.Config)
	p.line(1, "layers", "%d", pl.Layers)
	if len(pl.Bundles) == 0 {
		p.line(1, "bundle", "none: unsigned")
	}
	for _, b := range pl.Bundles {
		p.bundle(b)
		p.foretold(b.Foretold, pl.Manifest)
	}
	for _, a := range pl.Attestations {
		claim := words(claims[a.Claim], a.Name)
		if len(pl.Bundles) == 0 && a.Claim == inspect.NotNamed {
			claim = "there is no statement to name it"
		}
		p.line(1, "attestation", "%s, %d bytes, %s (%s)", a.PredicateType, a.Size, a.Digest, claim)
	}
}

// claims say what the statement in the bundle, which nobody verified, has on an
// attestation.
var claims = map[inspect.Claim]string{
	inspect.Named:    "claimed by the unverified statement as",
	inspect.NotNamed: "not named by the statement",
	inspect.Absent:   "not there, and claimed by the unverified statement as",
	inspect.Unread:   "could not be read",
}

func (p *page) bundle(b inspect.Bundle) {
	p.line(1, "bundle", "%s (not verified)", b.Digest)
	for _, where := range b.Where {
		p.line(2, "in the", "%s", where)
	}
	if b.Digest != "" && p.shown[b.Digest] {
		p.line(2, "same as", "above")
		return
	}
	p.shown[b.Digest] = true
	if b.Error != "" {
		p.line(2, "unreadable", "%s", b.Error)
	}
	p.signedBy(b)
	if b.PredicateType != "" {
		p.line(2, "predicate", "%s", b.PredicateType)
	}
	for _, s := range b.Subjects {
		p.line(2, "subject", "%s sha256:%s %s", s.Name, s.Digest["sha256"], s.Annotations["platform"])
	}
	if b.Build != nil {
		p.build(b.Build)
	}
}

// formats are the forms of signatures other than bundles.
var formats = map[string]string{
	"legacy":                "(cosign's old form)",
	"application/jose+json": "(Notary Project)",
	"application/cose":      "(Notary Project)",
}

// signedBy says whom a signature names, and by what it is bound.
func (p *page) signedBy(b inspect.Bundle) {
	if b.Format != "bundle" {
		p.line(2, "format", "%s", words(b.Format, formats[b.Format]))
	}
	switch {
	case b.Subject != "":
		p.line(2, "signer", "%s", b.Subject)
		p.line(2, "issuer", "%s", b.Issuer)
	case b.X509 != "":
		p.line(2, "signer", "%s", b.X509)
	case b.Key != "":
		p.line(2, "signer", "key %s", b.Key)
	case b.Keyed:
		p.line(2, "signer", "a key")
	}
	if b.Signs != "" {
		p.line(2, "signs", "%s", b.Signs)
	}
}

func (p *page) build(b *inspect.Build) {
	if b.Builder != "" {
		p.line(2, "builder", "%s", b.Builder)
	}
	if s := b.Source; s != nil {
		p.line(2, "source", "%s", strings.Join(strings.Fields(s.Repository+" "+s.Ref+" "+s.Revision), " "))
	}
	if b.Dockerfile.SHA256 != "" {
		p.line(2, "dockerfile", "%s sha256:%s", b.Dockerfile.Name, b.Dockerfile.SHA256)
	}
	for _, m := range b.Materials {
		name := m.URI
		if name == "" {
			name = m.Name
		}
		var digests []string
		for _, algorithm := range slices.Sorted(maps.Keys(m.Digest)) {
			digests = append(digests, algorithm+":"+m.Digest[algorithm])
		}
		p.line(2, "material", "%s %s", name, strings.Join(digests, " "))
	}
}
