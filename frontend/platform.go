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

	"github.com/plombproject/plomb/frontend/credential"
	"github.com/plombproject/plomb/frontend/foretell"
	"github.com/plombproject/plomb/frontend/lineage"
	"github.com/plombproject/plomb/frontend/seal"
)

// A sealedPlatform is what the build of one platform came to.
type sealedPlatform struct {
	result     *dockerui.BuildResult
	config     digest.Digest // foretold digest of the image config
	definition *pb.Definition
	converted  *dockerfile2llb.Result
	state      llb.State // the sealed image
	reports    []*seal.Report
	manifests  []foretell.Manifest // foretold too, where it was asked for
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
	ref, reports, err := b.solve(ctx, chain)
	if err != nil {
		return nil, err
	}
	config, err := foretell.Config(image, chain.diffIDs(reports), times)
	if err != nil {
		return nil, fmt.Errorf("foretell the image config: %w", err)
	}
	manifests, err := b.manifests(ctx, chain, image, config, reports)
	if err != nil {
		return nil, err
	}
	return &sealedPlatform{
		manifests:  manifests,
		result:     &dockerui.BuildResult{Reference: ref, Image: image.Config, BaseImage: image.Base, Epoch: converted.Epoch},
		config:     digest.FromBytes(config),
		definition: def,
		converted:  converted,
		state:      chain.result,
		reports:    reports,
	}, nil
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
	plan     []seal.Step // in the order of the layers; link sets their parents
	squash   *seal.Step  // all of them as one layer, if the image has only one
	start    llb.State
	base     string // the source that the chain starts from, "" for scratch
	steps    []seal.Sealed
	squashed *seal.Sealed
	result   llb.State
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
	oneLayer := b.oneLayer(ctx, image, len(line.Steps))
	below := line.Base
	for _, step := range line.Steps {
		c.plan = append(c.plan, seal.Step{
			Lower: below, Upper: step.State, Name: step.Name,
			Rules: seal.Rules{
				Time:     times.Clamp,
				Scrub:    b.options.Scrub && step.Kind == lineage.Exec,
				Compress: b.options.Manifests && !oneLayer,
			},
		})
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
	for _, s := range c.plan {
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

func (c *chain) diffIDs(reports []*seal.Report) []digest.Digest {
	ids := make([]digest.Digest, 0, len(reports))
	for _, r := range c.layers(reports) {
		ids = append(ids, r.DiffID)
	}
	return ids
}

// solve runs the build and collects what the seals report, in their order.
//
// The cache may have dropped a step and kept its seal. If the step has to run
// once more, for the sake of one that comes later, it may write something
// else, and the seals of the two do not fit together. Then all are made anew.
func (b *build) solve(ctx context.Context, c *chain) (client.Reference, []*seal.Report, error) {
	helper := b.self.sealer(b.ui.BuildPlatforms[0])
	c.link(helper, false)
	ref, reports, err := b.solveChain(ctx, c)
	if err == nil && !seal.OfOneRun(reports[:len(c.steps)]) {
		c.link(helper, true)
		ref, reports, err = b.solveChain(ctx, c)
	}
	return ref, reports, err
}

func (b *build) solveChain(ctx context.Context, c *chain) (client.Reference, []*seal.Report, error) {
	def, err := c.result.Marshal(ctx)
	if err != nil {
		return nil, nil, err
	}
	onceLocated(def.Source)
	res, err := b.gateway.Solve(ctx, client.SolveRequest{Definition: def.ToPB(), CacheImports: b.ui.CacheImports})
	if err != nil {
		return nil, nil, err
	}
	ref, err := res.SingleRef()
	if err != nil {
		return nil, nil, err
	}
	steps := c.steps
	if c.squashed != nil {
		steps = append(steps[:len(steps):len(steps)], *c.squashed)
	}
	graphs := make([]*llb.Definition, len(steps))
	for i, s := range steps {
		if graphs[i], err = s.ReportGraph(ctx); err != nil {
			return nil, nil, err
		}
		onceLocated(graphs[i].Source)
	}
	reports := make([]*seal.Report, len(graphs))
	eg, egCtx := errgroup.WithContext(ctx)
	for i, graph := range graphs {
		eg.Go(func() error {
			var err error
			reports[i], err = seal.ReadReport(egCtx, b.gateway, graph, b.ui.CacheImports)
			return err
		})
	}
	return ref, reports, eg.Wait()
}
