// SPDX-License-Identifier: Apache-2.0

package basesbom

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/frontend/gateway/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/plombproject/plomb/frontend/internal/output"
	"github.com/plombproject/plomb/internal/strictjson"
	"github.com/plombproject/plomb/provenance/sbom"
)

// Command is the sub-command of the helper in the frontend's binary.
const Command = "base-sbom"

const (
	reportDir  = "/report"
	reportFile = "base.json"
	maxReport  = 1 << 16 // bytes
)

// report is what the helper found; no document at all is an empty object.
type report struct {
	Document *sbom.Document `json:"document,omitempty"`
}

// A Helper is the image that carries this package's binary.
type Helper struct {
	Image    llb.State
	Binary   string            // its path in the image
	Platform ocispecs.Platform // where the helper runs, whatever the target is
}

// Find puts a search for the SBOM of an image into the build graph. It is the
// only helper with a network.
func (h Helper) Find(image reference.Canonical, platform ocispecs.Platform) llb.State {
	return h.Image.Run(
		llb.Args([]string{h.Binary, Command, "--image", image.String(), "--platform", platforms.FormatAll(platform)}),
		llb.Platform(h.Platform),
		llb.ReadonlyRootFS(),
		llb.WithCustomName("[plomb] look for the SBOM of the base image"),
	).AddMount(reportDir, llb.Scratch())
}

// Read reads what the helper found, nil for nothing.
func Read(ctx context.Context, ref client.Reference) (*sbom.Document, error) {
	data, err := output.Read(ctx, ref, reportFile, maxReport)
	if err != nil {
		return nil, err
	}
	var r report
	if err := strictjson.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read the helper's report: %w", err)
	}
	return r.Document, nil
}

// Main is the helper. open makes a Reader for an image.
func Main(ctx context.Context, args []string, open func(image string) Reader) error {
	return find(ctx, args, open, reportDir)
}

func find(ctx context.Context, args []string, open func(image string) Reader, dir string) error {
	flags := flag.NewFlagSet(Command, flag.ContinueOnError)
	image := flags.String("image", "", "`NAME@DIGEST` of the base image")
	platform := flags.String("platform", "", "os/architecture[/variant] of the image")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := platforms.Parse(*platform)
	if err != nil {
		return err
	}
	named, err := reference.ParseNormalizedNamed(*image)
	if err != nil {
		return fmt.Errorf("--image %q: %w", *image, err)
	}
	pinned, ok := named.(reference.Canonical)
	if !ok {
		return fmt.Errorf("--image %q has no digest", *image)
	}
	var r report
	r.Document, err = Find(ctx, open(*image), pinned.Digest(), p)
	if err != nil && !errors.Is(err, ErrDenied) {
		return err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, reportFile), data, 0o644)
}
