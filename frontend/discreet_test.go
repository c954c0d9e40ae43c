// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"testing"

	"github.com/moby/buildkit/solver/pb"
	"github.com/stretchr/testify/require"
)

// The address of a context, with its password, is in no name that BuildKit
// prints. What it fetches is still the same.
func TestProgressHoldsNoPassword(t *testing.T) {
	const address = "https://user:s3cr3t@example.com/repo.git"
	names := func(opts ...string) (printed []string, fetched map[string]bool) {
		g := newGateway(t, "FROM base\nCOPY x /x\nCOPY --from=dep / /dep\nADD https://user:s3cr3t@example.com/f /f\n", append(opts, "dockerfilekey=dockerfile", signOff)...)
		_, err := g.build()
		require.NoError(t, err)
		fetched = map[string]bool{}
		for _, def := range g.solved {
			for _, md := range def.Metadata {
				printed = append(printed, md.Description["llb.customname"], md.ProgressGroup.GetName())
			}
			ops, _ := parse(t, def)
			for _, op := range ops {
				fetched[op.GetSource().GetIdentifier()] = true
				fetched[op.GetSource().GetAttrs()[pb.AttrFullRemoteURL]] = true
			}
		}
		return printed, fetched
	}
	printed, fetched := names("context="+address+"#main", "context:dep="+address+"#other")
	require.NotEmpty(t, printed)
	for _, name := range printed {
		require.NotContains(t, name, "s3cr3t")
	}
	require.Contains(t, printed, "[internal] load git source https://example.com/repo.git#main")
	require.Contains(t, fetched, address)
	require.Contains(t, fetched, "https://user:s3cr3t@example.com/f")
}
