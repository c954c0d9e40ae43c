// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"sort"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"

	"github.com/plombproject/plomb/frontend/attach"
	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/slsa"
)

// images lists what the statement is about.
func (c *collection) images() []attach.Image {
	out := make([]attach.Image, len(c.built))
	for i, p := range c.built {
		platform := platforms.Normalize(c.targets[i])
		out[i] = attach.Image{ID: platforms.FormatAll(platform), Platform: platform, Config: p.config}
		for _, m := range p.manifests {
			out[i].Manifests = append(out[i].Manifests, attach.Manifest(m))
		}
	}
	return out
}

func (c *collection) definitions() []*pb.Definition {
	out := make([]*pb.Definition, len(c.built))
	for i, p := range c.built {
		out[i] = p.definition
	}
	return out
}

// scrubbed lists what scrub rules touched, by platform.
func (c *collection) scrubbed() map[string][]slsa.Scrubbed {
	out := map[string][]slsa.Scrubbed{}
	for i, p := range c.built {
		seen := map[slsa.Scrubbed]bool{}
		for _, r := range p.reports {
			for _, s := range r.Scrubbed {
				seen[slsa.Scrubbed{Path: s.Path, Rule: s.Rule}] = true
			}
		}
		list := make([]slsa.Scrubbed, 0, len(seen))
		for s := range seen {
			list = append(list, s)
		}
		sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
		if len(list) > 0 {
			out[platforms.Format(c.targets[i])] = list
		}
	}
	return out
}

// provenance writes what is known of the build. signer is who vouches for it.
func (b *build) provenance(sealed *collection, signer string) (*slsa.Provenance, error) {
	defs := sealed.definitions()
	m, secrets, err := b.mask(defs)
	if err != nil {
		return nil, err
	}
	resolved, err := b.dependencies(defs)
	if err != nil {
		return nil, err
	}
	p := &slsa.Provenance{
		BuildDefinition: slsa.BuildDefinition{
			BuildType:            slsa.BuildType,
			ExternalParameters:   b.external(sealed, m, secrets),
			InternalParameters:   b.internal(sealed, m),
			ResolvedDependencies: m.Dependencies(resolved),
		},
		RunDetails: slsa.RunDetails{
			Builder:    slsa.Builder{ID: signer, Version: map[string]string{"plomb": b.Version}},
			Metadata:   b.metadata(sealed),
			Byproducts: sealed.byproducts(),
		},
	}
	// Last, because they are about all of the above.
	p.BuildDefinition.ExternalParameters.Masked = m.Masked()
	p.BuildDefinition.InternalParameters.Completeness, err = b.completeness(&p.BuildDefinition, defs, m)
	return p, err
}

// dependencies are the sources of the build graph; the context, where nothing
// but the Dockerfile came out of it; and the frontend's own image.
func (b *build) dependencies(defs []*pb.Definition) ([]slsa.ResourceDescriptor, error) {
	var dockerfile []slsa.ResourceDescriptor
	if from := b.dockerfileFrom(); from != slsa.ContextLocal && b.sources.fetched != nil {
		dockerfile = append(dockerfile, *b.sources.fetched)
	}
	resolved, err := materials.Of(defs, b.self.name, b.sources.facts, dockerfile...)
	if err != nil || b.self.name == "" {
		return resolved, err
	}
	d, err := materials.Image(strings.TrimPrefix(b.self.name, "docker-image://"), nil)
	d.Name = "frontend"
	return append(resolved, d), err
}

// internal are the parameters that the builder sets.
func (b *build) internal(sealed *collection, m *materials.Mask) slsa.InternalParameters {
	return slsa.InternalParameters{
		Frontend:      slsa.Frontend{Image: strings.TrimPrefix(b.self.name, "docker-image://"), Version: b.Version},
		Sealing:       b.sealing(sealed),
		BuildPlatform: platforms.Format(b.ui.BuildPlatforms[0]),
		WorkerLabels:  m.Values("workerLabels.", b.workerLabels()),
		BuildKit:      b.daemon(),
	}
}

func (c *collection) platformNames() []string {
	names := make([]string, len(c.targets))
	for i, p := range c.targets {
		names[i] = platforms.Format(p)
	}
	return names
}

func (b *build) sealing(sealed *collection) slsa.Sealing {
	s := slsa.Sealing{SBOM: string(b.options.SBOM), Layers: "keep", Scrub: "off", Subjects: "image-id", Scrubbed: sealed.scrubbed()}
	if b.options.Squash {
		s.Layers = "squash"
	}
	if b.options.Scrub {
		s.Scrub = "on"
	}
	if b.options.Manifests {
		s.Subjects = "manifest"
	}
	if epoch := sealed.built[0].result.Epoch; epoch != nil {
		seconds := epoch.Unix()
		s.SourceDateEpoch = &seconds
	}
	return s
}

func (b *build) workerLabels() map[string]string {
	if workers := b.gateway.BuildOpts().Workers; len(workers) > 0 {
		return workers[0].Labels
	}
	return nil
}

// ages are capabilities that stand for a version, the newest first.
var ages = []struct {
	capability apicaps.CapID
	version    string
}{
	{marks031, "v0.31"},
	{marks026, oldestDaemon},
}

// daemon is what BuildKit tells of itself, which is little: decision 0009.
func (b *build) daemon() slsa.BuildKit {
	opts := b.gateway.BuildOpts()
	d := slsa.BuildKit{Product: opts.Product}
	for _, age := range ages {
		if opts.LLBCaps.Contains(age.capability) {
			d.AtLeast = age.version
			break
		}
	}
	return d
}

// metadata leaves the times out where a reproducible result was asked for.
func (b *build) metadata(sealed *collection) slsa.Metadata {
	m := slsa.Metadata{InvocationID: b.gateway.BuildOpts().SessionID}
	if sealed.built[0].result.Epoch == nil {
		started, finished := b.started.UTC(), b.Now().UTC()
		m.StartedOn, m.FinishedOn = &started, &finished
	}
	return m
}
