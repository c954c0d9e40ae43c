// SPDX-License-Identifier: Apache-2.0

package lineage

import (
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

// Roots returns the source operations of def whose files some RUN had as its
// root filesystem, so that their programs may have run. What cannot be
// followed, a merge or a diff of several, is left out.
func Roots(def *pb.Definition) (map[digest.Digest]bool, error) {
	g, _, err := parse(def)
	if err != nil {
		return nil, err
	}
	roots := map[digest.Digest]bool{}
	for _, op := range g.ops {
		for _, m := range op.GetExec().GetMounts() {
			if m.Dest != pb.RootMount {
				continue
			}
			if at, err := input(op, m.Input); err == nil {
				if src := g.source(at); src != "" {
					roots[src] = true
				}
			}
		}
	}
	return roots, nil
}

// source follows at back to the source that it starts from, "" for scratch and
// for what cannot be followed.
func (g *graph) source(at position) digest.Digest {
	for range len(g.ops) * maxActions {
		op := g.ops[at.op]
		switch {
		case op == nil:
			return ""
		case op.GetSource() != nil:
			return at.op
		}
		_, before, err := back(op, at.index)
		if err != nil {
			return ""
		}
		at = before
	}
	return ""
}
