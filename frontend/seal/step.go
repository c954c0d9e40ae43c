// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"context"
	"fmt"
	"strconv"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/internal/output"
	"github.com/plombproject/plomb/internal/strictjson"
)

// Command is the helper's sub-command in the frontend's binary.
const Command = "seal"

// Mount points in the helper's container, and the report's name in its own.
const (
	LowerDir   = "/lower"
	UpperDir   = "/upper"
	OutDir     = "/out"
	ReportDir  = "/report"
	ReportFile = "report.json"
)

// maxReport bounds, in bytes, a report that is read back from a build.
const maxReport = 64 << 20

// A Helper is the image that carries this package's binary.
type Helper struct {
	Image    llb.State
	Binary   string            // its path in the image
	Platform ocispecs.Platform // where the helper runs, whatever the target is
}

// A Step is one layer to seal.
type Step struct {
	Lower, Upper llb.State // around the build step
	Parent       llb.State // the sealed layers below
	Name         string    // what the progress display calls it
	Rules        Rules
	Anew         bool // run even if the cache has the outcome
	// Catalog is how deeply the layer is looked at, beside being sealed; "" for
	// not at all.
	Catalog string
}

// A Sealed is the outcome of a step in the build graph.
type Sealed struct {
	State  llb.State // Parent with the sealed layer on top
	report llb.State
}

// unhashed has BuildKit find a step in its cache by what made its inputs. By
// default it would read and hash every file of both root filesystems first,
// which takes far longer than the seal. What was forced to run again, as by
// --no-cache, is never found by that, so the seal behind it runs again, too.
var unhashed = llb.ContentCache(llb.MountContentCacheOff)

// Add puts the helper's run for s into the build graph.
func (h Helper) Add(s Step) Sealed {
	args := append([]string{h.Binary, Command}, s.Rules.flags()...)
	if s.Catalog != "" {
		args = append(args, "--catalog", s.Catalog)
	}
	options := []llb.RunOption{
		llb.Args(args),
		llb.Network(llb.NetModeNone),
		llb.Platform(h.Platform),
		llb.ReadonlyRootFS(),
		llb.AddMount(LowerDir, s.Lower, llb.Readonly, unhashed),
		llb.AddMount(UpperDir, s.Upper, llb.Readonly, unhashed),
		llb.WithCustomName("[plomb] seal " + s.Name),
	}
	if s.Anew {
		options = append(options, llb.IgnoreCache)
	}
	run := h.Image.Run(options...)
	return Sealed{
		State:  run.AddMount(OutDir, s.Parent, unhashed),
		report: run.AddMount(ReportDir, llb.Scratch()),
	}
}

// flags hands the rules to the helper. They are part of the step's cache key.
func (r Rules) flags() []string {
	flags := []string{"--time", strconv.FormatInt(r.Time.Unix(), 10), "--scrub", "off"}
	if r.Scrub {
		flags[len(flags)-1] = "on"
	}
	if r.Compress {
		flags = append(flags, "--compress")
	}
	return flags
}

// Report is the state with what the step reports: ReportFile, and what the
// catalogue wrote beside it. Marshalling it is not for
// two goroutines at once: steps share source maps, which marshalling completes.
func (s Sealed) Report() llb.State { return s.report }

// ReadReport reads what a step reported into the result of its report graph.
func ReadReport(ctx context.Context, ref client.Reference) (*Report, error) {
	data, err := output.Read(ctx, ref, ReportFile, maxReport)
	if err != nil {
		return nil, err
	}
	var report Report
	if err := strictjson.Unmarshal(data, &report); err != nil {
		return nil, fmt.Errorf("read the helper's report: %w", err)
	}
	if err := report.DiffID.Validate(); err != nil {
		return nil, fmt.Errorf("read the helper's report: diffID: %w", err)
	}
	return &report, nil
}
