// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"slices"
	"strings"

	"github.com/moby/buildkit/solver/pb"

	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/slsa"
)

// completeness says what def, which is the rest of the provenance, does not
// tell of the build of defs.
func (b *build) completeness(def *slsa.BuildDefinition, defs []*pb.Definition, m *materials.Mask) (*slsa.Completeness, error) {
	all, err := materials.Gaps(defs)
	if err != nil {
		return nil, err
	}
	for _, list := range [][]slsa.Gap{
		gapsOf(slsa.GapDependency, unpinned(def.ResolvedDependencies)),
		gapsOf(slsa.GapInput, b.inputs(def.ExternalParameters)),
		gapsOf(slsa.GapCacheImport, b.cacheImports()),
		gapsOf(slsa.GapParameter, def.ExternalParameters.Masked),
	} {
		all = append(all, list...)
	}
	if def.InternalParameters.Frontend.Image == "" {
		all = append(all, slsa.Gap{Kind: slsa.GapDependency, Name: "frontend"})
	}
	for i := range all {
		all[i].Name = m.Public(all[i].Name)
		for j := range all[i].Steps {
			all[i].Steps[j].Name, all[i].Steps[j].File = m.Public(all[i].Steps[j].Name), m.Public(all[i].Steps[j].File)
		}
	}
	slices.SortStableFunc(all, materials.CompareGaps)
	return &slsa.Completeness{Complete: len(all) == 0, Gaps: all}, nil
}

// gapsOf makes a gap of each name, once.
func gapsOf(kind string, names []string) []slsa.Gap {
	names = slices.Clone(names)
	slices.Sort(names)
	var list []slsa.Gap
	for _, name := range slices.Compact(names) {
		list = append(list, slsa.Gap{Kind: kind, Name: name})
	}
	return list
}

// unpinned are the dependencies without a digest.
func unpinned(dependencies []slsa.ResourceDescriptor) []string {
	var uris []string
	for _, d := range dependencies {
		if len(d.Digest) == 0 {
			uris = append(uris, d.URI)
		}
	}
	return uris
}

// inputs are what other builds handed in. Their steps and sources are in the
// build graph, their parameters are not told.
func (b *build) inputs(ext slsa.ExternalParameters) []string {
	var names []string
	for name := range b.sources.inputs {
		names = append(names, name)
	}
	for _, c := range ext.Contexts {
		if c.Kind == slsa.ContextInput {
			names = append(names, c.URI)
		}
	}
	if ext.Context != nil && ext.Context.Kind == slsa.ContextInput {
		names = append(names, ext.Context.URI)
	}
	return names
}

// cacheImports are the caches that the client named, from which BuildKit may
// have taken the results of steps: the reference, or else the kind. Other
// attributes of a cache may be credentials.
func (b *build) cacheImports() []string {
	var names []string
	for _, c := range b.ui.CacheImports {
		names = append(names, strings.TrimSpace(c.Type+" "+c.Attrs["ref"]))
	}
	return names
}
