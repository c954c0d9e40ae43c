// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"errors"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
)

// locate gives an error of the Dockerfile parser its source lines, which
// clients print below the message.
func locate(err error, src *llb.SourceMap) error {
	var at *parser.LocationError
	if !errors.As(err, &at) || src == nil {
		return err
	}
	for _, ranges := range at.Locations {
		err = errdefs.WithSource(err, &errdefs.Source{
			Info: &pb.SourceInfo{
				Data:       src.Data,
				Filename:   src.Filename,
				Language:   src.Language,
				Definition: src.Definition.ToPB(),
			},
			Ranges: pbRanges(ranges),
		})
	}
	return err
}

// locateOp gives an error about one operation of a build graph the source
// lines that the operation came from.
func locateOp(err error, def *pb.Definition, op string) error {
	if def.Source == nil || def.Source.Locations[op] == nil {
		return err
	}
	for _, loc := range def.Source.Locations[op].Locations {
		if int(loc.SourceIndex) >= len(def.Source.Infos) {
			continue
		}
		err = errdefs.WithSource(err, &errdefs.Source{Info: def.Source.Infos[loc.SourceIndex], Ranges: loc.Ranges})
	}
	return err
}

func pbRanges(ranges []parser.Range) []*pb.Range {
	out := make([]*pb.Range, 0, len(ranges))
	for _, r := range ranges {
		out = append(out, &pb.Range{
			Start: &pb.Position{Line: int32(r.Start.Line), Character: int32(r.Start.Character)},
			End:   &pb.Position{Line: int32(r.End.Line), Character: int32(r.End.Character)},
		})
	}
	return out
}

// lintWarner passes on what the Dockerfile linter has to say.
func lintWarner(ctx context.Context, src *dockerui.Source) linter.LintWarnFunc {
	return func(rule, description, url, msg string, location []parser.Range) {
		line := 0
		if len(location) > 0 {
			line = location[0].Start.Line
		}
		opts := client.WarnOpts{Level: 1, Detail: [][]byte{[]byte(description)}, URL: url}
		if location != nil {
			opts.Range = pbRanges(location)
		}
		src.Warn(ctx, linter.LintFormatShort(rule, msg, line), opts)
	}
}

// warn is a warning of plomb's own. The rule names are listed in docs/frontend.md.
func warn(ctx context.Context, src *dockerui.Source, rule, msg string) {
	src.Warn(ctx, "[plomb] "+rule+": "+msg, client.WarnOpts{
		Level: 1,
		URL:   "https://plombproject.github.io/rules/" + rule,
	})
}
