// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"fmt"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/plombproject/plomb/frontend/attach"
	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/frontend/catalog/document"
	"github.com/plombproject/plomb/frontend/internal/output"
	"github.com/plombproject/plomb/frontend/lineage"
	"github.com/plombproject/plomb/frontend/materials"
	"github.com/plombproject/plomb/provenance/sbom"
	"github.com/plombproject/plomb/provenance/slsa"
)

// A look is the catalogue of a base image in the build graph. It is marshalled
// before anything runs, because states share source maps that marshalling
// completes.
type look struct {
	state llb.State
	graph *llb.Definition
}

// lookAtBase puts a look at the base image's files into the build graph; nil
// for a base without files, and where no SBOM is wanted. BuildKit keeps what
// it finds for as long as the base is the same.
func (b *build) lookAtBase(ctx context.Context, line *lineage.Lineage) (*look, error) {
	if b.options.SBOM == SBOMOff || line.BaseSource == "" {
		return nil, nil
	}
	state := b.self.cataloguer(b.ui.BuildPlatforms[0]).Root(line.Base, catalog.Level(b.options.SBOM), "the base image")
	graph, err := state.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	onceLocated(graph.Source)
	return &look{state: state, graph: graph}, nil
}

// lookAt runs the look at the base and reads its report, nil for no look.
func (b *build) lookAt(ctx context.Context, l *look) (*sbom.Report, error) {
	if l == nil {
		return nil, nil
	}
	ref, err := output.Solve(ctx, b.gateway, l.graph, b.ui.CacheImports)
	if err != nil {
		return nil, fmt.Errorf("catalogue the base image: %w", err)
	}
	return catalog.Read(ctx, ref)
}

// describe writes the SBOM of every platform into the build, side by side.
func (b *build) describe(ctx context.Context, sealed *collection) error {
	if b.options.SBOM == SBOMOff {
		return nil
	}
	if err := b.sources.group.Wait(); err != nil { // for what pins the inputs
		return err
	}
	mask, _, err := b.mask(sealed.definitions())
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range sealed.built {
		g.Go(func() error {
			var err error
			if p.documents, err = b.documents(ctx, p, mask); err != nil {
				return fmt.Errorf("write the SBOM: %w", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// documents writes the SBOM of one platform: its packages, and its files if
// they were asked for.
func (b *build) documents(ctx context.Context, p *sealedPlatform, mask *materials.Mask) ([]attach.Document, error) {
	spec, reports, err := b.spec(p, mask)
	if err != nil {
		return nil, err
	}
	if spec.Files {
		return b.fromHelper(ctx, p, spec)
	}
	data, err := document.Packages(spec, reports, nil)
	if err != nil {
		return nil, err
	}
	if len(data) > attach.MaxFile {
		return b.fromHelper(ctx, p, spec)
	}
	p.packages = data
	return []attach.Document{attach.PackageSBOM(digest.FromBytes(data))}, nil
}

// embedSBOM begins to put the lists of packages into the build, which takes as
// long as the signature does. wait returns when that is done.
func (b *build) embedSBOM(ctx context.Context, sealed *collection) (wait func() error) {
	g, ctx := errgroup.WithContext(ctx)
	// Aside, because the documents are read for the provenance in the meantime.
	refs := make([]client.Reference, len(sealed.built))
	for i, p := range sealed.built {
		if p.packages == nil {
			continue // a helper wrote it where it belongs
		}
		g.Go(func() (err error) {
			if refs[i], err = attach.File(ctx, b.gateway, p.documents[0].Path, "[plomb] embed SBOM", p.packages); err != nil {
				return fmt.Errorf("put the SBOM into the build: %w", err)
			}
			return nil
		})
	}
	return func() error {
		if err := g.Wait(); err != nil {
			return err
		}
		for i, ref := range refs {
			if ref != nil {
				sealed.built[i].documents[0].Ref = ref
			}
		}
		return nil
	}
}

// spec is what the documents say beside the packages, and the reports that
// tell of the packages.
func (b *build) spec(p *sealedPlatform, mask *materials.Mask) (document.Spec, []*sbom.Report, error) {
	spec := document.Spec{Files: b.options.SBOM == SBOMFiles, Image: sbom.Image{
		Name:     b.options.Repository,
		Platform: platforms.Format(platforms.Normalize(p.result.Image.Platform)),
		ID:       p.config.String(),
		Created:  p.created,
		Tool:     "plomb-" + b.Version,

		Generation: sbom.GenerationBuild,
	}}
	spec.Image.Supplier, spec.Image.Author = responsible(p.result.Image, p.result.BaseImage)
	var err error
	if spec.Image.Base, err = baseImage(p.chain.base, p.result.Image.Platform, p.baseSBOM); err != nil {
		return spec, nil, err
	}
	if spec.Image.Inputs, err = inputs(p.definition, spec.Image.Base, b.self.name, b.sources.facts); err != nil {
		return spec, nil, err
	}
	var reports []*sbom.Report
	if p.base != nil {
		spec.Layers, reports = append(spec.Layers, document.Layer{Base: true}), append(reports, p.base)
	}
	for i, step := range p.chain.plan {
		at := instructionOf(p.definition, step.op, step.Name)
		spec.Layers = append(spec.Layers, document.Layer{DiffID: p.chain.layerOf(i, p.reports).String(), Instruction: shorten(mask.Instruction(at.text)), Line: at.line})
		reports = append(reports, p.layers[i])
	}
	return spec, reports, nil
}

// fromHelper has a helper write the documents, which may be larger than what
// travels between a frontend and BuildKit.
func (b *build) fromHelper(ctx context.Context, p *sealedPlatform, spec document.Spec) ([]attach.Document, error) {
	var reports []llb.State
	if p.look != nil {
		reports = append(reports, p.look.state)
	}
	for _, step := range p.chain.steps {
		reports = append(reports, step.Report())
	}
	written, err := b.self.documenter(b.ui.BuildPlatforms[0]).Write(spec, reports)
	if err != nil {
		return nil, err
	}
	graph, err := written.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	onceLocated(graph.Source)
	ref, err := output.Solve(ctx, b.gateway, graph, b.ui.CacheImports)
	if err != nil {
		return nil, err
	}
	made, err := document.Read(ctx, ref, spec)
	if err != nil {
		return nil, err
	}
	documents := []attach.Document{attach.PackageSBOM(made.Packages)}
	if spec.Files {
		documents = append(documents, attach.FileSBOM(made.Files))
	}
	for i := range documents {
		documents[i].Ref = ref
	}
	return documents, nil
}

// attachSBOM adds the documents of every platform to the result. One that
// nobody asked for goes only where an index is written anyway: without a
// signature, an image for `docker load` or a folder stays as it would be.
func (b *build) attachSBOM(res *client.Result, sealed *collection, signed bool) {
	for i, img := range sealed.images() {
		attach.Documents(res, img, sealed.built[i].documents, !signed && !b.options.SBOMAsked)
	}
}

// byproducts lists the documents of all platforms.
func (c *collection) byproducts() []slsa.ResourceDescriptor {
	var out []slsa.ResourceDescriptor
	for i, img := range c.images() {
		out = append(out, attach.Byproducts(platforms.Format(img.Platform), c.built[i].documents)...)
	}
	return out
}
