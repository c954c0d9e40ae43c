// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"google.golang.org/protobuf/proto"
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

// onceLocated removes repeated places of one operation. The graph of a sealed
// image holds the Dockerfile's operations several times, and a client would
// print the lines of one that fails as often.
func onceLocated(src *pb.Source) {
	if src == nil {
		return
	}
	var infos []*pb.SourceInfo
	index := make([]int32, len(src.Infos))
	for i, info := range src.Infos {
		same := slices.IndexFunc(infos, func(other *pb.SourceInfo) bool {
			return other.Filename == info.Filename && bytes.Equal(other.Data, info.Data)
		})
		if same < 0 {
			same = len(infos)
			infos = append(infos, info)
		}
		index[i] = int32(same)
	}
	for _, locations := range src.Locations {
		var once []*pb.Location
		for _, l := range locations.Locations {
			if int(l.SourceIndex) >= len(index) {
				continue
			}
			moved := &pb.Location{SourceIndex: index[l.SourceIndex], Ranges: l.Ranges}
			if !slices.ContainsFunc(once, func(other *pb.Location) bool { return proto.Equal(other, moved) }) {
				once = append(once, moved)
			}
		}
		locations.Locations = once
	}
	src.Infos = infos
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
