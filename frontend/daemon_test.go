// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"slices"
	"testing"

	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	apicapspb "github.com/moby/buildkit/util/apicaps/pb"
	"github.com/stretchr/testify/require"
)

// without is a daemon that has no capability called id, or has it switched off.
func without(id apicaps.CapID, disabled bool) client.BuildOpts {
	strip := func(caps []*apicapspb.APICap) []*apicapspb.APICap {
		return slices.DeleteFunc(caps, func(c *apicapspb.APICap) bool {
			if c.ID != string(id) {
				return false
			}
			c.Enabled = false
			return !disabled
		})
	}
	return client.BuildOpts{LLBCaps: pb.Caps.CapSet(strip(pb.Caps.All())), Caps: gwpb.Caps.CapSet(strip(gwpb.Caps.All()))}
}

func TestCheckDaemon(t *testing.T) {
	require.NoError(t, checkDaemon(without("", false)))
	for _, n := range needs {
		for _, disabled := range []bool{false, true} {
			err := checkDaemon(without(n.id, disabled))
			require.ErrorIs(t, err, ErrDaemon, n.id)
			require.ErrorContains(t, err, string(n.id))
			require.ErrorContains(t, err, n.why)
			require.ErrorContains(t, err, oldestDaemon)
		}
	}
	for _, mark := range []apicaps.CapID{marks026, marks031} {
		require.NoError(t, checkDaemon(without(mark, false)), "a warning is enough")
	}
}

const sbomOff = "build-arg:PLOMB_SBOM=off"

func TestBuildRefusesADaemonThatIsTooOld(t *testing.T) {
	g := newGateway(t, dockerfile, signOff)
	g.without = gwpb.CapAttestations
	_, err := g.build()
	require.ErrorIs(t, err, ErrDaemon)
	require.Empty(t, g.solved, "nothing runs")
}

// Only images without attestations differ in their media types: those with them
// always had OCI's. Before v0.26, all do.
func TestBuildWarnsOfADaemonWithOtherDefaults(t *testing.T) {
	for name, tc := range map[string]struct {
		without apicaps.CapID
		opts    []string
		warned  string
	}{
		"new":                 {opts: []string{signOff}},
		"old":                 {without: marks031, opts: []string{signOff, sbomOff}, warned: "oci-mediatypes=true"},
		"old, SBOM":           {without: marks031, opts: []string{signOff}},
		"old, provenance":     {without: marks031, opts: []string{signOff, "attest:provenance=mode=min,inline-only=true"}},
		"old, no provenance":  {without: marks031, opts: []string{signOff, sbomOff, "attest:provenance=disabled=true"}, warned: "oci-mediatypes=true"},
		"older":               {without: marks026, opts: []string{signOff}, warned: "older than v0.26"},
		"older, provenance":   {without: marks026, opts: []string{signOff, "attest:provenance="}, warned: "older than v0.26"},
		"old, something else": {without: marks031, opts: []string{signOff, sbomOff, "label:attest=yes"}, warned: "oci-mediatypes=true"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, dockerfile, tc.opts...)
			g.without = tc.without
			_, err := g.build()
			require.NoError(t, err)
			if tc.warned == "" {
				require.Empty(t, g.warnings)
				return
			}
			require.Len(t, g.warnings, 1)
			require.Contains(t, g.warnings[0], "[plomb] Daemon: ")
			require.Contains(t, g.warnings[0], tc.warned)
		})
	}
}
