// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/plombproject/plomb/provenance/slsa"
	"github.com/plombproject/plomb/verify"
	"github.com/plombproject/plomb/verify/decision"
	"github.com/plombproject/plomb/verify/documents"
)

// printProvenance answers who, from what, with what, and what is not known.
func printProvenance(stdio Stdio, img *documents.Image, req verify.Request) error {
	p := newPage(stdio)
	p.line(0, "image", "%s", decision.Image{Name: req.Name, Digest: req.Descriptor.Digest})
	p.line(0, "platform", "%s", img.Platform())
	who := "signer"
	if !img.Verified {
		who = "claims to be"
	}
	p.line(0, who, "%s (issuer %s)", img.Signer.Subject, img.Signer.Issuer)
	build, run := img.Provenance.BuildDefinition, img.Provenance.RunDetails
	p.line(0, "builder", "%s", run.Builder.ID)
	for _, program := range slices.Sorted(maps.Keys(run.Builder.Version)) {
		p.line(1, "version", "%s %s", program, run.Builder.Version[program])
	}
	if build.BuildType != slsa.BuildType {
		p.line(0, "build type", "%s: not plomb's; see --output json", build.BuildType)
		return p.err
	}
	p.recipe(build.ExternalParameters)
	p.inputs(build.ResolvedDependencies)
	p.builder(build.InternalParameters)
	p.run(run)
	return p.err
}

// recipe is what whoever started the build asked for.
func (p *page) recipe(e slsa.ExternalParameters) {
	if s := e.Source; s != nil {
		p.line(0, "source", "%s", words(s.Repository, s.Ref))
		p.line(1, "revision", "%s", s.Revision)
		if s.Context != "" {
			p.line(1, "folder", "%s", s.Context)
		}
	}
	p.line(0, "dockerfile", "%s", words(e.Dockerfile.Name, "sha256:"+e.Dockerfile.SHA256, e.Dockerfile.From))
	if e.Target != "" {
		p.line(1, "target", "%s", e.Target)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Args)) {
		p.line(1, "argument", "%s=%s", name, e.Args[name])
	}
	for _, name := range e.Masked {
		p.line(1, "masked", "%s: its value is a secret and was left out", name)
	}
	for _, name := range e.Secrets {
		p.line(1, "secret", "%s", name)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Options)) {
		p.line(1, "option", "%s=%s", name, e.Options[name])
	}
	if c := e.Context; c != nil {
		p.line(0, "context", "%s", words(c.Kind, c.URI, digests(c.Digest)))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Contexts)) {
		c := e.Contexts[name]
		p.line(0, "context", "%s: %s", name, words(c.Kind, c.URI, digests(c.Digest)))
	}
}

// inputs are images first, then everything else, as the provenance orders them.
func (p *page) inputs(dependencies []slsa.ResourceDescriptor) {
	for _, d := range dependencies {
		if d.Name != "frontend" && strings.HasPrefix(d.URI, "pkg:docker/") {
			p.input("image", d)
		}
	}
	for _, d := range dependencies {
		if d.Name != "frontend" && !strings.HasPrefix(d.URI, "pkg:docker/") {
			p.input("input", d)
		}
	}
}

func (p *page) input(label string, d slsa.ResourceDescriptor) {
	p.line(0, label, "%s", words(d.URI, digests(d.Digest)))
	if gap, _ := d.Annotations[slsa.AnnotationIncomplete].(bool); gap || len(d.Digest) == 0 {
		p.line(1, "incomplete", "no digest pins it")
	}
}

// builder is what the builder set, and what it does not know.
func (p *page) builder(i slsa.InternalParameters) {
	p.line(0, "frontend", "%s", words(i.Frontend.Version, i.Frontend.Image))
	sealing := []string{"layers=" + i.Sealing.Layers, "scrub=" + i.Sealing.Scrub}
	if e := i.Sealing.SourceDateEpoch; e != nil {
		sealing = append(sealing, fmt.Sprintf("sourceDateEpoch=%d", *e))
	}
	p.line(0, "sealing", "%s", strings.Join(sealing, " "))
	if i.BuildPlatform != "" {
		p.line(0, "built on", "%s", i.BuildPlatform)
	}
	if b := i.BuildKit; b != (slsa.BuildKit{}) {
		if b.AtLeast != "" {
			b.AtLeast = "at least " + b.AtLeast
		}
		p.line(0, "buildkit", "%s", words(b.Product, b.AtLeast))
	}
	p.completeness(i.Completeness)
}

// gaps say in words what each kind of gap is; its name follows.
var gaps = map[string]string{
	slsa.GapNetwork:     "a step could fetch anything, network",
	slsa.GapCacheMount:  "a step saw what earlier builds left in cache",
	slsa.GapCacheImport: "steps may have been taken from cache",
	slsa.GapSecret:      "a step could read secret",
	slsa.GapSSH:         "a step could use SSH agent",
	slsa.GapDevice:      "a step had device of the host",
	slsa.GapPrivileged:  "a step was not isolated from the host",
	slsa.GapDependency:  "no digest pins",
	slsa.GapInput:       "another build made input",
	slsa.GapNestedBuild: "a step is a build of its own",
	slsa.GapParameter:   "a value was left out of",
}

// completeness says what the provenance does not tell.
func (p *page) completeness(c *slsa.Completeness) {
	switch {
	case c == nil:
		p.line(0, "complete", "not told")
	case c.Complete:
		p.line(0, "complete", "yes: nothing else went in")
	default:
		p.line(0, "complete", "no")
		for _, g := range c.Gaps {
			p.gap(g)
		}
	}
}

func (p *page) gap(g slsa.Gap) {
	what, ok := gaps[g.Kind]
	if !ok {
		what = g.Kind
	}
	p.line(1, "gap", "%s", words(what, g.Name))
	for _, s := range g.Steps {
		at := s.File
		if s.Line > 0 {
			at += fmt.Sprintf(":%d", s.Line)
		}
		p.line(2, "in", "%s", words(s.Name, at))
	}
}

// run is about this one run, and what it made beside the image.
func (p *page) run(r slsa.RunDetails) {
	for _, at := range []struct {
		label string
		time  *time.Time
	}{{"started", r.Metadata.StartedOn}, {"finished", r.Metadata.FinishedOn}} {
		if at.time != nil {
			p.line(0, at.label, "%s", at.time.UTC().Format(time.RFC3339))
		}
	}
	for _, b := range r.Byproducts {
		platform, _ := b.Annotations[slsa.AnnotationPlatform].(string)
		p.line(0, "byproduct", "%s", words(b.Name, platform, b.MediaType, digests(b.Digest)))
	}
}

// words joins what there is.
func words(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(w string) bool { return w == "" }), " ")
}

func digests(m map[string]string) string {
	var list []string
	for _, algorithm := range slices.Sorted(maps.Keys(m)) {
		list = append(list, algorithm+":"+m[algorithm])
	}
	return strings.Join(list, " ")
}
