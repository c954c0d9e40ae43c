// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"fmt"
	"maps"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/plombproject/plomb/frontend/attach"
	"github.com/plombproject/plomb/frontend/catalog"
	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/frontend/foretell"
	"github.com/plombproject/plomb/frontend/internal/output"
	"github.com/plombproject/plomb/frontend/lineage"
	"github.com/plombproject/plomb/frontend/seal"
	"github.com/plombproject/plomb/provenance/sbom"
)

// A sealedPlatform is what the build of one platform came to.
type sealedPlatform struct {
	result     *dockerui.BuildResult
	config     digest.Digest // foretold digest of the image config
	definition *pb.Definition
	converted  *dockerfile2llb.Result
	state      llb.State // the sealed image
	chain      *chain
	reports    []*seal.Report      // of the seals, in their order
	manifests  []foretell.Manifest // foretold too, where it was asked for

	// What the SBOM is written from, and the SBOM.
	created   int64 // T
	look      *look
	base      *sbom.Report   // nil for scratch
	baseSBOM  *sbom.Document // nil if the base image brings none
	layers    []*sbom.Report // what each step of the plan brought
	documents []attach.Document
	packages  []byte // the first of them, where it is not in the build yet
}

// platform builds and seals the image for one platform, nil for the default one.
func (b *build) platform(ctx context.Context, platform *ocispecs.Platform, idx int) (*sealedPlatform, error) {
	converted, def, err := b.convert(ctx, platform, idx)
	if err != nil {
		return nil, err
	}
	if err := guard(def); err != nil {
		return nil, err
	}
	if err := b.checkBases(ctx, def); err != nil {
		return nil, err
	}
	b.sources.of(def)
	image := foretell.Image{Config: converted.Image, Base: converted.BaseImage}
	times := image.Times(converted.Epoch)
	chain, err := b.chain(ctx, def, image, times)
	if err != nil {
		return nil, err
	}
	p, err := b.run(ctx, chain, def, image.Config.Platform)
	if err != nil {
		return nil, err
	}
	config, err := foretell.Config(image, chain.diffIDs(p.reports), times)
	if err != nil {
		return nil, fmt.Errorf("foretell the image config: %w", err)
	}
	if p.manifests, err = b.manifests(ctx, chain, image, config, p.reports); err != nil {
		return nil, err
	}
	p.result.Image, p.result.BaseImage, p.result.Epoch = image.Config, image.Base, converted.Epoch
	p.config = digest.FromBytes(config)
	p.converted = converted
	p.created = times.Clamp.Unix()
	return p, nil
}

// run runs the build steps and their seals and, beside them, looks at the base.
func (b *build) run(ctx context.Context, c *chain, def *pb.Definition, platform ocispecs.Platform) (*sealedPlatform, error) {
	p := &sealedPlatform{definition: def, chain: c, look: c.look}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		p.base, err = b.lookAt(gctx, c.look)
		return err
	})
	g.Go(func() (err error) {
		p.baseSBOM, err = b.baseDocument(gctx, c.base, platform)
		return err
	})
	g.Go(func() error {
		o, err := b.solve(gctx, c)
		if err != nil {
			return err
		}
		p.result, p.reports, p.layers, p.state = &dockerui.BuildResult{Reference: o.ref}, o.reports, o.found, c.result
		return nil
	})
	return p, g.Wait()
}

func (b *build) convert(ctx context.Context, platform *ocispecs.Platform, idx int) (*dockerfile2llb.Result, *pb.Definition, error) {
	opt := b.convertOpt(ctx)
	opt.BuildArgs = maps.Clone(opt.BuildArgs)
	opt.TargetPlatform = platform
	epoch := takeEpoch(opt.BuildArgs, b.source.Data)
	if idx != 0 {
		opt.Warn = nil // once is enough
	}
	converted, err := dockerfile2llb.Dockerfile2LLB(ctx, b.source.Data, opt)
	if err != nil {
		return nil, nil, err
	}
	if epoch != nil {
		converted.Epoch = epoch
	}
	def, err := converted.State.Marshal(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("marshal the build graph: %w", err)
	}
	return converted, def.ToPB(), nil
}

// guard refuses a graph in which a build step asks for the signing credential.
func guard(def *pb.Definition) error {
	for _, dt := range def.Def {
		var op pb.Op
		if err := proto.Unmarshal(dt, &op); err != nil {
			return fmt.Errorf("read the build graph: %w", err)
		}
		if err := credential.Guard(&op); err != nil {
			return locateOp(err, def, digest.FromBytes(dt).String())
		}
	}
	return nil
}

// A chain is the sealed layers of an image, as a build graph.
type chain struct {
	plan     []planned  // in the order of the layers; link sets their parents
	squash   *seal.Step // all of them as one layer, if the image has only one
	start    llb.State
	look     *look  // at the base, nil without an SBOM
	base     string // the source that the chain starts from, "" for scratch
	steps    []seal.Sealed
	squashed *seal.Sealed
	result   llb.State
}

// A planned step is a seal to come, and the operation whose layer it seals.
type planned struct {
	seal.Step
	op digest.Digest
}

// chain plans one seal for each layer.
func (b *build) chain(ctx context.Context, def *pb.Definition, image foretell.Image, times foretell.Times) (*chain, error) {
	line, err := lineage.Of(def)
	if err != nil {
		return nil, err
	}
	filesAsLayer(line, image)
	if err := b.startAtInput(ctx, line, image); err != nil {
		return nil, err
	}
	c := &chain{start: line.Base, base: line.BaseSource}
	if c.look, err = b.lookAtBase(ctx, line); err != nil {
		return nil, err
	}
	oneLayer := b.oneLayer(ctx, image, len(line.Steps))
	below := line.Base
	for _, step := range line.Steps {
		c.plan = append(c.plan, planned{op: step.Op, Step: seal.Step{
			Lower: below, Upper: step.State, Name: step.Name, Catalog: b.options.SBOM.level(),
			Rules: seal.Rules{
				Time:     times.Clamp,
				Scrub:    b.options.Scrub && step.Kind == lineage.Exec,
				Compress: b.options.Manifests && !oneLayer,
			},
		}})
		below = step.State
	}
	if oneLayer {
		image.Squash()
		c.squash = &seal.Step{
			Lower: line.Base, Parent: line.Base, Name: "all layers as one",
			Rules: seal.Rules{Time: times.Clamp, Compress: b.options.Manifests},
		}
	}
	return c, nil
}

// link puts one seal behind the other; anew runs even those that the cache has.
func (c *chain) link(helper seal.Helper, anew bool) {
	c.steps, c.squashed, c.result = nil, nil, c.start
	for _, p := range c.plan {
		s := p.Step
		s.Parent, s.Anew = c.result, anew
		sealed := helper.Add(s)
		c.steps = append(c.steps, sealed)
		c.result = sealed.State
	}
	if c.squash != nil {
		s := *c.squash
		s.Upper, s.Anew = c.result, anew
		sealed := helper.Add(s)
		c.squashed, c.result = &sealed, sealed.State
	}
}

// oneLayer decides whether everything above the base becomes a single layer:
// because it was asked for, or because the history tells of other layers than
// the build graph makes, and which is which must not be guessed.
func (b *build) oneLayer(ctx context.Context, image foretell.Image, steps int) bool {
	if told := image.NewLayers(); told != steps {
		warn(ctx, b.source, "OneLayer", fmt.Sprintf("the image's history tells of %d new layers and the build makes %d; they are sealed as one", told, steps))
		return true
	}
	return b.options.Squash && steps > 1
}

// layers are the reports of the layers that the chain puts on the base.
func (c *chain) layers(reports []*seal.Report) []*seal.Report {
	if c.squashed != nil {
		return reports[len(reports)-1:]
	}
	return reports
}

// layerOf is the layer that the i-th step of the plan ended up in.
func (c *chain) layerOf(i int, reports []*seal.Report) digest.Digest {
	if c.squashed != nil {
		i = len(reports) - 1
	}
	return reports[i].DiffID
}

func (c *chain) diffIDs(reports []*seal.Report) []digest.Digest {
	ids := make([]digest.Digest, 0, len(reports))
	for _, r := range c.layers(reports) {
		ids = append(ids, r.DiffID)
	}
	return ids
}

// An outcome is what the run of a chain came to.
type outcome struct {
	ref     client.Reference
	reports []*seal.Report // of the seals, in their order
	found   []*sbom.Report // what each step of the plan brought; nil without an SBOM
}

// solve runs the build and collects what the seals report.
//
// The cache may have dropped a step and kept its seal. If the step has to run
// once more, for the sake of one that comes later, it may write something
// else, and the seals of the two do not fit together. Then all are made anew.
func (b *build) solve(ctx context.Context, c *chain) (*outcome, error) {
	helper := b.self.sealer(b.ui.BuildPlatforms[0])
	c.link(helper, false)
	o, err := b.solveChain(ctx, c)
	if err == nil && !seal.OfOneRun(o.reports[:len(c.steps)]) {
		c.link(helper, true)
		o, err = b.solveChain(ctx, c)
	}
	return o, err
}

func (b *build) solveChain(ctx context.Context, c *chain) (*outcome, error) {
	def, err := c.result.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	onceLocated(def.Source)
	o := &outcome{}
	if o.ref, err = output.Solve(ctx, b.gateway, def, b.ui.CacheImports); err != nil {
		return nil, err
	}
	steps := c.steps
	if c.squashed != nil {
		steps = append(steps[:len(steps):len(steps)], *c.squashed)
	}
	graphs := make([]*llb.Definition, len(steps))
	for i, s := range steps {
		if graphs[i], err = s.Report().Marshal(ctx); err != nil {
			return nil, err
		}
		onceLocated(graphs[i].Source)
	}
	o.reports = make([]*seal.Report, len(graphs))
	if b.options.SBOM != SBOMOff {
		o.found = make([]*sbom.Report, len(c.steps))
	}
	eg, egCtx := errgroup.WithContext(ctx)
	for i, graph := range graphs {
		eg.Go(func() error { return b.readReports(egCtx, o, i, graph) })
	}
	return o, eg.Wait()
}

// readReports reads what the i-th seal reports, and what it found in the layer.
func (b *build) readReports(ctx context.Context, o *outcome, i int, graph *llb.Definition) error {
	ref, err := output.Solve(ctx, b.gateway, graph, b.ui.CacheImports)
	if err != nil {
		return err
	}
	if o.reports[i], err = seal.ReadReport(ctx, ref); err != nil {
		return err
	}
	if i < len(o.found) {
		o.found[i], err = catalog.Read(ctx, ref)
	}
	return err
}
