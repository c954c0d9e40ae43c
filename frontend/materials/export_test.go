// SPDX-License-Identifier: Apache-2.0

package materials

import (
	"strings"
	"testing"

	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/plombproject/plomb/provenance/contents"
)

// SameContents are the facts about local sources that all have the same files.
func SameContents(t *testing.T, defs []*pb.Definition) Facts {
	facts := Facts{}
	summary := contents.Summary{Digest: strings.Repeat("ab", 32), Entries: 1}
	for _, def := range defs {
		for _, dt := range def.Def {
			var op pb.Op
			require.NoError(t, op.UnmarshalVT(dt))
			if op.GetSource() == nil {
				continue
			}
			filter, err := filterOf(op.GetSource())
			require.NoError(t, err)
			facts[digest.FromBytes(dt)] = &Fact{digest: map[string]string{contents.Algorithm: summary.Digest}, contents: &summary, filter: filter}
		}
	}
	return facts
}
