// SPDX-License-Identifier: Apache-2.0

package frontend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
)

// ErrDaemon reports a BuildKit that lacks what plomb cannot do without.
var ErrDaemon = errors.New("this BuildKit is too old for plomb")

// oldestDaemon is the oldest BuildKit whose images the tests have found equal
// to those of the newest; see docs/daemons.md.
const oldestDaemon = "v0.26"

// A need is a capability of BuildKit that plomb cannot do without. BuildKit
// tells a frontend its capabilities, and not its version.
type need struct {
	gateway bool // of the gateway and not of the build graph
	id      apicaps.CapID
	why     string
}

var needs = []need{
	{false, marksWhiteouts, "as the sign of a version that does not write the time of day into layers that delete files"},
	{false, pb.CapAnnotations, "to put the signature into the image index"},
	{false, pb.CapAttestations, "to put the signature into the image"},
	{true, gwpb.CapAttestations, "to put the signature into the image"},
	{true, gwpb.CapGatewayExec, "to read the signing credential"},
	{true, gwpb.CapGatewayWarnings, "to say what is wrong with an image that it builds all the same"},
}

// Capabilities that stand for something that BuildKit does not tell.
const (
	// marksWhiteouts is not in v0.17.3, which has containerd 1.7, and is in
	// v0.20.2, which has containerd 2.0: from then on the marks of deleted
	// files have a fixed time. Without it, digests cannot be foretold with the
	// native snapshotter.
	marksWhiteouts = pb.CapFileSymlinkCreate
	// marks026 came with v0.26.0, the first version that is tested.
	marks026 = pb.CapFileCopyRequiredPaths
	// marks031 came with v0.31.0, together with OCI media types as the default
	// of exporters. Before, only images with attestations had them.
	marks031 = pb.CapExecMetaNetworkProxy
)

// checkDaemon refuses a daemon before anything is built with it.
func checkDaemon(opts client.BuildOpts) error {
	for _, n := range needs {
		caps := opts.LLBCaps
		if n.gateway {
			caps = opts.Caps
		}
		if err := caps.Supports(n.id); err != nil {
			return fmt.Errorf("%w: it lacks %q, which plomb needs %s: use BuildKit %s or newer", ErrDaemon, n.id, n.why, oldestDaemon)
		}
	}
	return nil
}

// warnDaemon tells of what this daemon will make otherwise than a newer one.
func (b *build) warnDaemon(ctx context.Context, attests bool) {
	opts := b.gateway.BuildOpts()
	if !opts.LLBCaps.Contains(marks026) {
		warn(ctx, b.source, "Daemon", "this BuildKit is older than "+oldestDaemon+": some steps make other files on it, so that layers and image ID differ from those of newer ones. Use BuildKit "+oldestDaemon+" or newer.")
	}
	if !attests && !attested(opts.Opts) && !opts.LLBCaps.Contains(marks031) {
		warn(ctx, b.source, "Daemon", "this BuildKit is older than v0.31 and gives images without attestations Docker media types: the manifest digest differs from that of newer ones, the image ID does not. Say oci-mediatypes=true in --output, or use BuildKit v0.31 or newer.")
	}
}

// attested tells whether the client asked BuildKit for attestations of its own.
func attested(opts map[string]string) bool {
	for name, value := range opts {
		if strings.HasPrefix(name, "attest:") && !strings.Contains(value, "disabled=true") {
			return true
		}
	}
	return false
}
